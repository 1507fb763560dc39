/** Ids that no key can be: a list leaves them out and says so, a read answers 422, and no refresh runs into them again. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { type RealApp, realApp } from '../support/real-app.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

let postgres: TestServer
let count = 0
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

interface RunJson {
  readonly keys: number
  readonly failed: number
  readonly skipped: number
  readonly error: string | null
  readonly finished_at: string | null
}

async function open(engine: string, features: string, schema: string): Promise<RealApp> {
  if (engine === 'DuckDB') return refreshing(await realApp({ 'features.ts': features }, { FABRA_PORT: '0' }))
  const name = `unusable_${++count}`
  await using admin = new SQL(postgres.url, { max: 1 })
  await admin.unsafe(`CREATE DATABASE ${name}`)
  const url = postgres.url.replace(/\/[^/]*$/, `/${name}`)
  await using sql = new SQL(url, { max: 1 })
  await sql.unsafe(schema)
  return refreshing(await realApp({ 'features.ts': features }, { FABRA_POSTGRES_URL: url, FABRA_PORT: '0' }))
}
/** Only a server refreshes unasked. */
async function refreshing(app: RealApp): Promise<RealApp> {
  await app.app.listen()
  return app
}
const runs = async (app: RealApp, feature: string) =>
  (JSON.parse((await app.get(`/v1/runs?feature=${feature}`)).text).runs as RunJson[]).filter((run) => run.finished_at !== null)

describe.each(['DuckDB', 'PostgreSQL'])('on %s', (engine) => {
  test('a list with an empty, a NULL, and an over-long key is refreshed but for these, and the run says so', async () => {
    const features = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id", keys: "SELECT user_id FROM users" });
export const users = source("users", { static: true, columns: { user_id: "VARCHAR" } });
export const f = feature({ entity: User, refresh: "1s", type: "string" }, async (id) => id);
`
    const schema = `CREATE TABLE users (user_id text); INSERT INTO users VALUES ('a'), (NULL), (''), (repeat('x', 5000)), ('b')`
    await using app = await open(engine, features, schema)
    if (engine === 'DuckDB') {
      const rows = ['a', null, '', 'b'].map((user_id) => ({ user_id }))
      expect((await app.post('/v1/sources/users/rows', { rows })).status).toBe(200)
    }
    const bad = engine === 'DuckDB' ? 2 : 3
    const run = await until('a scheduled run', 10_000, async () => (await runs(app, 'f')).find(({ keys }) => keys === 2))
    expect(run).toMatchObject({
      failed: 0,
      skipped: bad,
      error: `${bad} keys were left out. The first, row 2: User.user_id: a key column cannot be empty.`,
    })
    const asked = JSON.parse((await app.post('/v1/features/f/refresh', {})).text)
    expect(asked).toMatchObject({ keys: 2, failed: 0, skipped: bad })
    expect(JSON.parse((await app.get('/v1/features/f?entity_id=b')).text)).toMatchObject({ value: 'b', served_from: 'online' })
  })

  test('a list that cannot be read is a failed run', async () => {
    const features = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id", keys: "SELECT CAST(CAST(user_id AS INTEGER) AS VARCHAR) AS user_id FROM users" });
export const users = source("users", { static: true, columns: { user_id: "VARCHAR" } });
export const f = feature({ entity: User, refresh: "1s", type: "string" }, async (id) => id);
`
    await using app = await open(engine, features, 'CREATE TABLE users (user_id text)')
    expect((await app.post('/v1/sources/users/rows', { rows: [{ user_id: 'x' }] })).status).toBe(200)
    const run = await until('a failed run', 10_000, async () => (await runs(app, 'f'))[0])
    expect(run).toMatchObject({ keys: 0, error: expect.stringMatching(/^The keys of User could not be listed/) })
  })

  test('an id that the table cannot have is a 422, and no key in use', async () => {
    const features = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const buys = source("buys", { timestamp: "at", columns: { customer: "BIGINT", at: "TIMESTAMPTZ" } });
export const f = feature({ entity: User, refresh: "1s", type: "int", sql: "SELECT COUNT(*) FROM buys WHERE customer = $user_id" });
`
    await using app = await open(engine, features, 'CREATE TABLE buys (customer bigint, at timestamptz)')
    await app.post('/v1/sources/buys/rows', { rows: [{ customer: 7, at: '2026-01-01T00:00:00Z' }] })
    expect(JSON.parse((await app.get('/v1/features/f?entity_id=7')).text)).toMatchObject({ value: 1 })
    for (const id of ['nobody', '7x', '1e3x']) {
      const { status, text } = await app.get(`/v1/features/f?entity_id=${id}`)
      expect(status, text).toBe(422)
      expect(JSON.parse(text).error).toMatchObject({ code: 'invalid_key', message: expect.stringContaining(id) })
    }
    const { text } = await app.post('/v1/features', { features: ['f'], rows: [{ user_id: 'nobody' }, { user_id: '7' }] })
    expect(JSON.parse(text)).toMatchObject({
      results: [{ statuses: ['error'] }, { values: [1] }],
      errors: [{ row: 0, code: 'invalid_key' }],
    })
    const before = (await runs(app, 'f')).length
    await until('three more runs', 15_000, async () => ((await runs(app, 'f')).length > before + 2 ? true : undefined))
    for (const run of (await runs(app, 'f')).slice(0, 3)) expect(run).toMatchObject({ failed: 0, skipped: 0, error: null })
    expect(JSON.parse((await app.post('/v1/features/f/refresh', { rows: [{ user_id: 'nobody' }] })).text)).toMatchObject({
      keys: 1,
      failed: 1,
    })
  })
})
