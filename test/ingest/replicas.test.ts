/** Events that one replica takes, of keys that only another one has served: two servers over one PostgreSQL and one Redis. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { type Replica, startReplica } from '../support/replica.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const orders = source("orders", { timestamp: "ordered_at" });
export const rates = source("rates", { timestamp: "set_at" });
export const clicks = source("clicks", { timestamp: "at", id: "click_id" });
export const clicked = feature({ entity: User, refresh: "1h", type: "int", sql: "SELECT COUNT(*) FROM clicks WHERE user_id = $user_id" });
export const visits = source("visits", { timestamp: "at", delay: "1s" });
export const spent = feature({ entity: User, refresh: "1h", type: "int", sql: "SELECT COALESCE(SUM(amount), 0) FROM orders WHERE user_id = $user_id" });
export const spent_twice = feature({ entity: User, refresh: "1h", type: "int", uses: [spent] }, async (user, { get }) => 2 * (await get(spent)));
export const in_euros = feature({ entity: User, refresh: "1h", type: "int",
  sql: "SELECT COALESCE(SUM(o.amount * r.rate), 0)::bigint FROM orders o JOIN rates r ON r.currency = 'EUR' WHERE o.user_id = $user_id" });
export const by_function = feature({ entity: User, refresh: "1h", type: "int" }, async (user, { db }) =>
  Number(await db.fetchval("SELECT COUNT(*) FROM orders WHERE user_id = $1", user)));
export const visited = feature({ entity: User, refresh: "1h", type: "int", sql: "SELECT COUNT(*) FROM visits WHERE user_id = $user_id" });
`
const TABLES = `
CREATE TABLE orders (user_id text, amount bigint, ordered_at timestamptz);
CREATE TABLE rates (currency text, rate bigint, set_at timestamptz);
CREATE TABLE visits (user_id text, at timestamptz);
CREATE TABLE clicks (click_id text PRIMARY KEY, user_id text, at timestamptz);
INSERT INTO orders SELECT 'u' || n, 10, timestamptz '2026-01-01T00:00:00Z' FROM generate_series(1, 4) AS n;
INSERT INTO rates VALUES ('EUR', 2, '2026-01-01T00:00:00Z')`
const LIMIT_MS = 5_000

let servers: ProductionServers
let folder: ProjectFolder
let replicas: readonly Replica[]
let postgresUrl: string

// One pair for all: each test has a user of its own.
beforeAll(async () => {
  servers = await startProduction()
  folder = projectFolder({ 'features.ts': FEATURES })
  const addresses = await servers.fresh()
  postgresUrl = addresses.FABRA_POSTGRES_URL
  await using sql = new SQL(postgresUrl, { max: 1 })
  await sql.unsafe(TABLES)
  replicas = [await startReplica(folder, 'a', addresses), await startReplica(folder, 'b', addresses)]
})
afterAll(async () => {
  await Promise.all(replicas.map((one) => one.close()))
  folder[Symbol.dispose]()
  await servers[Symbol.asyncDispose]()
})

const two = (): readonly [Replica, Replica] => {
  const [a, b] = replicas
  if (!a || !b) throw new Error('There are no two replicas.')
  return [a, b]
}
const now = () => new Date().toISOString()

test.each([
  ['a query', 'spent', 'u1', 10, 15],
  ['a feature built on one', 'spent_twice', 'u2', 20, 30],
  ['a function that reads the source', 'by_function', 'u3', 1, 2],
])('%s follows an event that another replica takes', async (_, feature, user, before, after) => {
  const [a, b] = two()
  expect(await b.read(feature, user)).toBe(before)
  await a.append('orders', { user_id: user, amount: 5, ordered_at: now() })
  await until('the event in the value', LIMIT_MS, async () => ((await b.read(feature, user)) === after ? true : undefined))
  expect(await a.read(feature, user)).toBe(after)
})

test('a row that tells of no key reaches keys in use at any replica, just now too', async () => {
  const [a, b] = two()
  expect(await b.read('in_euros', 'u4')).toBe(20)
  await a.append('rates', { currency: 'EUR', rate: 1, set_at: now() })
  await until('the event in the value', LIMIT_MS, async () => ((await b.read('in_euros', 'u4')) === 30 ? true : undefined))
})

test('a row that is visible only later reaches a key that another replica served meanwhile', async () => {
  const [a, b] = two()
  let tries = 0
  // A busy machine may take longer than the delay of the source: then the row can be seen already.
  const user = await until('a read before the row is visible', LIMIT_MS, async () => {
    const user_id = `visitor${++tries}`
    await a.append('visits', { user_id, at: now() })
    return (await b.read('visited', user_id)) === 0 ? user_id : undefined
  })
  await until('the event in the value', LIMIT_MS, async () => ((await b.read('visited', user)) === 1 ? true : undefined))
})

test('a row that is sent again is followed, too: the process that took it may have died before anything was', async () => {
  const [a, b] = two()
  expect(await b.read('clicked', 'clicker')).toBe(0)
  const click = { click_id: 'c1', user_id: 'clicker', at: now() }
  await using sql = new SQL(postgresUrl, { max: 1 })
  await sql`INSERT INTO clicks VALUES (${click.click_id}, ${click.user_id}, ${click.at})`
  expect((await a.send('POST', '/v1/sources/clicks/rows', { rows: [click] })).json).toMatchObject({ accepted: 0, duplicates: 1 })
  await until('the event in the value', LIMIT_MS, async () => ((await b.read('clicked', 'clicker')) === 1 ? true : undefined))
})
