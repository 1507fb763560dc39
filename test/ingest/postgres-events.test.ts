import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { type RealApp, realApp } from '../support/real-app.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const orders = source("orders", { timestamp: "ordered_at", id: "id" });
export const spent = feature({ entity: User, refresh: "1h", type: "float", sql: "SELECT COALESCE(SUM(amount), 0) FROM orders WHERE user_id = $user_id" });
`

let server: TestServer
let sql: SQL
beforeAll(async () => {
  server = await startPostgres()
  sql = new SQL(server.url, { max: 1 })
})
afterAll(async () => {
  await sql.close()
  await server[Symbol.asyncDispose]()
})

async function post(app: RealApp, rows: readonly unknown[], headers: Record<string, string> = {}) {
  const request = new Request('http://localhost/v1/sources/orders/rows', { method: 'POST', body: JSON.stringify({ rows }), headers })
  const response = await app.app.fetch(request)
  return { status: response.status, json: JSON.parse(await response.text()) }
}

const spent = async (app: RealApp) => JSON.parse((await app.get('/v1/features/spent?user_id=u1')).text).value
const order = (id: string, amount: number) => ({ id, user_id: 'u1', amount, ordered_at: '2026-01-02T03:04:05.123456Z' })
const makeTable = () =>
  sql.unsafe(`
    DROP SCHEMA IF EXISTS fabra CASCADE;
    DROP TABLE IF EXISTS public.orders;
    CREATE TABLE public.orders (id text PRIMARY KEY, user_id text NOT NULL, amount numeric(12,2) CHECK (amount >= 0), ordered_at timestamptz, note text DEFAULT 'none');
    INSERT INTO public.orders VALUES ('o1', 'u1', 1.50, '2026-01-01T00:00:00Z')`)

test('rows go into the table of the user, durable and counted once, and features follow', async () => {
  await makeTable()
  await using app = await realApp({ 'features.ts': FEATURES }, { FABRA_POSTGRES_URL: server.url })
  expect(await spent(app)).toBe(1.5)
  const sent = [order('o1', 9), order('o2', 2.25)]
  const keyed = { 'idempotency-key': 'order 1' }
  expect(await post(app, sent, keyed)).toEqual({ status: 200, json: { accepted: 1, duplicates: 1 } })
  const [row] = await sql`SELECT amount, ordered_at::text AS at, note FROM public.orders WHERE id = 'o2'`
  expect(row).toEqual({ amount: '2.25', at: '2026-01-02 03:04:05.123456+00', note: 'none' })
  await until('the feature to follow', 5_000, async () => ((await spent(app)) === 3.75 ? true : undefined))
  await app.restart()
  expect(await post(app, sent, keyed)).toEqual({ status: 200, json: { accepted: 0, duplicates: 2 } })
  expect(await spent(app)).toBe(3.75)
})

test('what a constraint of the table refuses is told in its words, and the rows beside it are written', async () => {
  await makeTable()
  await using app = await realApp({ 'features.ts': FEATURES }, { FABRA_POSTGRES_URL: server.url })
  const answers = await Promise.all([
    post(app, [order('o2', 1)]),
    post(app, [order('o3', 1), order('o4', -1)]),
    post(app, [order('o5', 1)]),
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 422, 200])
  expect(answers[1]?.json.error).toMatchObject({ code: 'invalid_value', message: expect.stringContaining('violates check constraint') })
  expect((await sql`SELECT id FROM public.orders ORDER BY id`.values()).flat()).toEqual(['o1', 'o2', 'o5'])
})

test('without the right to insert it is a 409 that says how to give it, and 200 once it is given', async () => {
  await makeTable()
  await sql.unsafe('CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE fabra TO app; GRANT SELECT ON public.orders TO app')
  await using app = await realApp({ 'features.ts': FEATURES }, { FABRA_POSTGRES_URL: server.url.replace('fabra@', 'app@') })
  expect(await spent(app)).toBe(1.5)
  const refused = await post(app, [order('o2', 1)])
  expect(refused).toMatchObject({ status: 409, json: { error: { code: 'not_appendable', hint: expect.stringContaining('GRANT INSERT') } } })
  await sql.unsafe('GRANT INSERT ON public.orders TO app')
  expect((await post(app, [order('o2', 1)])).status).toBe(200)
  await sql.unsafe('REVOKE INSERT ON public.orders FROM app')
  expect((await post(app, [order('o3', 1)])).status).toBe(409)
})

test('features run with the role that only reads, and tables that Fabra makes are given to it to read', async () => {
  await sql.unsafe('DROP SCHEMA IF EXISTS fabra CASCADE; DROP TABLE IF EXISTS public.orders; CREATE ROLE reader LOGIN')
  const reader = { FABRA_POSTGRES_URL: server.url, FABRA_SOURCE_URL: server.url.replace('fabra@', 'reader@') }
  const file = FEATURES.replace('id: "id" }', 'id: "id", file: "./orders.csv" }')
  const csv = 'id,user_id,amount,ordered_at\no1,u1,1.5,2026-01-01T00:00:00Z\n'
  await using app = await realApp({ 'features.ts': file, 'orders.csv': csv }, reader)
  expect(await spent(app)).toBe(1.5)
  expect((await post(app, [order('o2', 2)])).status).toBe(200)
  await until('the feature to follow', 5_000, async () => ((await spent(app)) === 3.5 ? true : undefined))
  app.folder.write({ 'orders.csv': csv.replace('1.5', '4') })
  await app.restart()
  await app.post('/v1/features/spent/refresh', {})
  await until('the new file to count', 5_000, async () => ((await spent(app)) === 6 ? true : undefined))
})
