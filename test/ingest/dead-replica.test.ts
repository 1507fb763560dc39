/** A process that dies between history's commit and the online store, and another one that its rows are sent to again. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { type PostgresProxy, startPostgresProxy } from '../support/postgres-proxy.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { type Replica, startReplica } from '../support/replica.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature } from "fabra";
export const User = entity("User", { key: "user_id" });
export const score = feature({ entity: User, type: "int" });
export const twice = feature({ entity: User, refresh: "1h", type: "int", uses: [score] }, async (user, { get }) => 2 * (await get(score)));
`
const LIMIT_MS = 10_000

let servers: ProductionServers
let proxy: PostgresProxy
let folder: ProjectFolder
/** Nothing that it hears of PostgreSQL after a COMMIT reaches it. */
let dying: Replica
let other: Replica

beforeAll(async () => {
  servers = await startProduction()
  const addresses = await servers.fresh()
  proxy = await startPostgresProxy({ url: addresses.FABRA_POSTGRES_URL, port: servers.postgres.port })
  folder = projectFolder({ 'features.ts': FEATURES })
  other = await startReplica(folder, 'other', addresses)
  dying = await startReplica(folder, 'dying', { ...addresses, FABRA_POSTGRES_URL: proxy.url })
})
afterAll(async () => {
  proxy.set('pass')
  await Promise.all([dying.close(), other.close()])
  await proxy[Symbol.asyncDispose]()
  await servers[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

const day = (n: number) => `2026-01-0${n}T00:00:00Z`
const row = (user_id: string, n: number, value: number | null) => ({
  user_id,
  event_timestamp: day(n),
  ...(value === null ? { delete: true } : { value }),
})
const push = (replica: Replica, ...rows: object[]) => replica.send('POST', '/v1/features/score/values', { rows })
const valuesOf = async (user: string) => {
  const { json } = await other.get(`/v1/features/score/history?entity_id=${user}`)
  return (json['history'] as { value: unknown }[]).map(({ value = null }) => value)
}

test('what it had committed is told as duplicates, is in history once, and is served, in whatever company it is sent again', async () => {
  const before = ['newer', 'twofold', 'corrected', 'deleted', 'unseen'].map((user) => row(user, 1, 1))
  expect(await push(other, ...before)).toMatchObject({ json: { accepted: 5 } })
  expect(await other.read('twice', 'newer')).toBe(2)
  proxy.set('hold after appends')
  const lost = [
    row('newer', 2, 2),
    row('twofold', 2, 2),
    row('twofold', 3, 3),
    row('corrected', 1, 7),
    row('deleted', 2, null),
    row('unseen', 2, 2),
    row('first', 1, 1),
  ]
  const dead = push(dying, ...lost)
  await until('its COMMIT', LIMIT_MS, async () => ((await valuesOf('first')).length > 0 ? true : undefined))
  expect(await other.read('score', 'newer')).toBe(1)

  // A repeat beside rows that are new, late or corrections; and rows whose newer ones are never sent again.
  const again = [
    row('newer', 2, 2),
    row('newer', 4, 4),
    row('twofold', 2, 2),
    row('corrected', 1, 7),
    row('deleted', 2, null),
    row('deleted', 1, 0),
    row('first', 1, 1),
    row('fresh', 2, 2),
  ]
  expect(await push(other, ...again)).toMatchObject({ status: 200, json: { accepted: 3, duplicates: 5, fenced: 0 } })
  expect(await push(other, row('unseen', 2, 2))).toMatchObject({ status: 200, json: { accepted: 0, duplicates: 1 } })
  expect(await push(other, ...again, row('unseen', 2, 2))).toMatchObject({ json: { accepted: 0, duplicates: 9 } })
  const served = { newer: 4, twofold: 3, corrected: 7, deleted: null, unseen: 2, first: 1, fresh: 2 }
  for (const [user, value] of Object.entries(served)) expect([user, await other.read('score', user)]).toEqual([user, value])
  await until('what is built on it', LIMIT_MS, async () => ((await other.read('twice', 'newer')) === 8 ? true : undefined))
  const history = { newer: [4, 2, 1], twofold: [3, 2, 1], corrected: [7, 1], deleted: [null, 0, 1], unseen: [2, 1], first: [1], fresh: [2] }
  for (const [user, values] of Object.entries(history)) expect([user, await valuesOf(user)]).toEqual([user, values])

  // It was not dead after all, and hears of its commit.
  proxy.set('pass')
  expect([200, 504]).toContain((await dead).status)
  for (const [user, values] of Object.entries(history)) expect([user, await valuesOf(user)]).toEqual([user, values])
  for (const [user, value] of Object.entries(served)) expect([user, await other.read('score', user)]).toEqual([user, value])
})
