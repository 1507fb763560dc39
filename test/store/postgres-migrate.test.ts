import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { migrate, migrationState } from '../../src/store/postgres/schema/migrate.ts'
import { MIGRATIONS } from '../../src/store/postgres/schema/migrations/index.ts'
import { startPgBouncer, startPostgres, type TestServer } from '../support/servers.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const LONG = { timeoutMs: 30_000 }
const NAMES = MIGRATIONS.map(({ name }) => name)
const next = { id: 1_000, name: 'next', text: 'CREATE TABLE fabra.next (x integer); INSERT INTO fabra.next VALUES (1)' }

let server: TestServer
let bouncer: TestServer
let postgres: Postgres
beforeAll(async () => {
  server = await startPostgres()
  bouncer = await startPgBouncer(server)
  postgres = openPostgres({ url: server.url })
})
afterAll(async () => {
  await postgres.close()
  await bouncer[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const empty = () => postgres.run('DROP SCHEMA IF EXISTS fabra CASCADE', [], LONG)
const failure = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  if (!(error instanceof FabraError)) throw new Error(`Not a FabraError: ${String(error)}`)
  return error
}

test('looking at the state changes nothing', async () => {
  await empty()
  expect((await migrationState(postgres)).map(({ applied }) => applied)).toEqual(MIGRATIONS.map(() => false))
  expect((await postgres.run("SELECT to_regnamespace('fabra')", [], LONG)).rows).toEqual([[null]])
})

test('an empty database is brought up, once, by however many processes begin at the same time', async () => {
  await empty()
  const clients = Array.from({ length: 6 }, (_, i) => openPostgres({ url: i % 2 === 0 ? server.url : bouncer.url, maxConnections: 1 }))
  const done = await Promise.all(clients.map((client) => migrate(client)))
  expect(done.flatMap(({ applied }) => applied)).toEqual(NAMES)
  expect(done.every(({ migrations }) => migrations.every(({ applied }) => applied))).toBe(true)
  expect((await migrate(postgres)).applied).toEqual([])
  await Promise.all(clients.map((client) => client.close()))
})

test('only what is missing is done, and a step that fails leaves nothing behind', async () => {
  await empty()
  await migrate(postgres)
  const broken = { id: 1_001, name: 'broken', text: 'CREATE TABLE fabra.half (x integer); SELECT 1/0' }
  expect((await failure(migrate(postgres, [...MIGRATIONS, next, broken]))).code).toBe('store_unavailable')
  expect((await postgres.run("SELECT to_regclass('fabra.next'), to_regclass('fabra.half')", [], LONG)).rows).toEqual([[null, null]])
  expect((await migrate(postgres, [...MIGRATIONS, next])).applied).toEqual(['next'])
  expect((await postgres.run('SELECT x FROM fabra.next', [], LONG)).rows).toEqual([['1']])
})

test('a schema that a newer executable made is refused, by name', async () => {
  await empty()
  await migrate(postgres, [...MIGRATIONS, next])
  const error = await failure(migrate(postgres))
  expect(error.code).toBe('schema_mismatch')
  expect(error.message).toContain('newer than this executable: it has step 1000 (next)')
})

test('a schema whose steps were others is refused; their comments may change', async () => {
  await empty()
  await migrate(postgres, [...MIGRATIONS, next])
  const said = { ...next, text: `-- Said more clearly.\n${next.text.replace('; ', ';\n  ')}` }
  expect((await migrate(postgres, [...MIGRATIONS, said])).applied).toEqual([])
  const changed = { ...next, text: next.text.replace('VALUES (1)', 'VALUES (2)') }
  expect((await failure(migrationState(postgres, [...MIGRATIONS, changed]))).code).toBe('schema_mismatch')
})

test('a role that may change nothing is told which command helps, and serves once all is done', async () => {
  await empty()
  await postgres.run("DO $$ BEGIN IF to_regrole('reader') IS NULL THEN CREATE ROLE reader LOGIN; END IF; END $$", [], LONG)
  await postgres.run('REVOKE CREATE ON DATABASE fabra FROM reader, public', [], LONG)
  const reader = openPostgres({ url: server.url.replace('fabra@', 'reader@') })
  const error = await failure(migrate(reader))
  expect(error.code).toBe('forbidden')
  expect(error.hint).toContain('fabra migrate')
  await migrate(postgres)
  await postgres.run('GRANT USAGE ON SCHEMA fabra TO reader', [], LONG)
  await postgres.run('GRANT SELECT ON fabra.migrations TO reader', [], LONG)
  expect((await migrate(reader)).applied).toEqual([])
  await reader.close()
})
