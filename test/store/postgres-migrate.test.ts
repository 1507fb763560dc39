import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { FabraError } from '../../src/errors.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { finishMigration, migrate, migrationState } from '../../src/store/postgres/schema/migrate.ts'
import { migrationPlan } from '../../src/store/postgres/schema/migration-plan.ts'
import { MIGRATIONS, type Migration } from '../../src/store/postgres/schema/migrations/index.ts'
import { startPgBouncer, startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const LONG = { timeoutMs: 30_000 }
const LOCK_NAMES: Readonly<Record<string, string>> = {
  RowExclusiveLock: 'ROW EXCLUSIVE',
  ShareLock: 'SHARE',
  ShareRowExclusiveLock: 'SHARE ROW EXCLUSIVE',
  AccessExclusiveLock: 'ACCESS EXCLUSIVE',
}
const NAMES = MIGRATIONS.map(({ name }) => name)
const next: Migration = { id: 1_000, name: 'next', text: 'CREATE TABLE fabra.next (x integer); INSERT INTO fabra.next VALUES (1)' }

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

test('a schema that a newer executable expanded is used as it is; one that it took something from is refused, by name', async () => {
  await empty()
  await migrate(postgres, [...MIGRATIONS, next])
  expect(await migrate(postgres)).toEqual({ migrations: await migrationState(postgres), applied: [] })
  expect((await migrationState(postgres)).filter(({ isNewer }) => isNewer).map(({ name }) => name)).toEqual(['next'])
  await migrate(postgres, [...MIGRATIONS, next, { id: 1_002, name: 'gone', text: 'DROP TABLE fabra.debts', contracts: true }])
  const error = await failure(migrate(postgres))
  expect(error.code).toBe('schema_mismatch')
  expect(error.message).toContain('newer than this executable: step 1002 (gone)')
})

test('of steps of versions that did not say so it is not known whether they took something', async () => {
  await empty()
  await migrate(postgres, [...MIGRATIONS, next])
  await postgres.run('ALTER TABLE fabra.migrations DROP COLUMN contracts', [], LONG)
  expect((await failure(migrationState(postgres))).code).toBe('schema_mismatch')
  expect((await migrate(postgres, [...MIGRATIONS, next])).applied).toEqual([])
})

test('what a step would lock is told as PostgreSQL locks it, and no step holds history for longer than a change of names takes', async () => {
  await empty()
  for (const [i, migration] of MIGRATIONS.entries()) {
    const id = new Set([migration.id])
    const plan = await migrationPlan(postgres, id)
    const planned = new Map<string, string>()
    for (const { locks } of plan.get(migration.id) ?? []) {
      for (const { table, mode, seconds } of locks) {
        planned.set(table, mode)
        if (table.startsWith('fabra.feature_history')) expect(seconds).toBe(0)
      }
    }
    expect(planned).toEqual(await locksOf(migration.text))
    await migrate(postgres, MIGRATIONS.slice(0, i + 1))
  }
})

test('a schema that is there is finished when that is asked for, however long its history is in use, and not by a server that starts', async () => {
  await empty()
  const released = MIGRATIONS.filter(({ id }) => id <= 5)
  await migrate(postgres, released)
  expect((await migrate(postgres)).applied).toEqual(['packed history'])
  expect((await migrate(postgres)).applied).toEqual([])
  expect((await migrationState(postgres)).filter(({ applied }) => !applied)).toMatchObject([
    { name: 'packed history only', finishes: true },
  ])
  // The version before goes on beside what was expanded.
  expect((await migrate(postgres, released)).applied).toEqual([])
  const finishing = await postgres.transaction(LONG, async (statements) => {
    await statements.run('SELECT count(*) FROM fabra.feature_history')
    const work = finishMigration(postgres)
    await until('it to have waited for a lock, and to have given up', 30_000, async () => {
      const { rows } = await postgres.run("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", [], LONG)
      return rows[0]?.[0] === '1' || undefined
    })
    await until('nobody to wait behind it', 30_000, async () => {
      const { rows } = await postgres.run('SELECT count(*) FROM pg_locks WHERE NOT granted', [], LONG)
      return rows[0]?.[0] === '0' || undefined
    })
    return { work }
  })
  expect((await finishing.work).applied).toEqual(['packed history only'])
  expect((await finishMigration(postgres)).applied).toEqual([])
  expect((await failure(migrate(postgres, released))).message).toContain('(packed history only) took away')
})

test('the plan counts rows, and says of each kind of statement who waits', async () => {
  await empty()
  await migrate(postgres)
  await postgres.run("INSERT INTO fabra.source_rows SELECT 's', now(), n::text FROM generate_series(1, 300000) AS n", [], LONG)
  await postgres.run('ANALYZE fabra.source_rows', [], LONG)
  const text = `-- Besides.
CREATE TABLE fabra.new (x integer); CREATE INDEX ON fabra.new (x);
CREATE INDEX ON fabra.source_rows (arrived_at);
ALTER TABLE fabra.source_rows ADD COLUMN ö text, ADD COLUMN y text;
ALTER TABLE fabra.source_rows ALTER COLUMN row TYPE jsonb USING row::jsonb;
UPDATE fabra.source_rows SET y = 'x'`
  const plan = await migrationPlan(postgres, new Set([7]), [{ id: 7, name: 'seven', text }])
  const shown = (plan.get(7) ?? []).map(({ sql, locks }) => [
    sql.slice(-20),
    ...locks.map(({ mode, rows, seconds }) => `${mode} ${rows} ${seconds}`),
  ])
  expect(shown).toEqual([
    ['fabra.new (x integer)'.slice(-20)],
    ['INDEX ON fabra.new (x)'.slice(-20)],
    ['source_rows (arrived_at)'.slice(-20), 'SHARE 300000 0.6'],
    ['ADD COLUMN ö text, ADD COLUMN y text'.slice(-20), 'ACCESS EXCLUSIVE 300000 0'],
    ['TYPE jsonb USING row::jsonb'.slice(-20), 'ACCESS EXCLUSIVE 300000 1.5'],
    ["fabra.source_rows SET y = 'x'".slice(-20), 'ROW EXCLUSIVE 300000 1.5'],
  ])
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

/** The strongest lock of each table of ours that was there before, as PostgreSQL tells it. */
async function locksOf(text: string): Promise<Map<string, string>> {
  const undone = new Error('undone')
  const locks = new Map<string, string>()
  const work = postgres.transaction(LONG, async (statements) => {
    await statements.run('CREATE TEMPORARY TABLE there ON COMMIT DROP AS SELECT oid, oid::regclass::text AS called FROM pg_class')
    await statements.script('CREATE SCHEMA IF NOT EXISTS fabra')
    await statements.script(text)
    const { rows } = await statements.run(`
      SELECT called, mode FROM pg_locks JOIN there ON there.oid = relation JOIN pg_class ON pg_class.oid = relation
      WHERE pid = pg_backend_pid() AND relkind IN ('r', 'p') AND relnamespace = 'fabra'::regnamespace
        AND mode IN ('RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock')
      ORDER BY array_position(ARRAY['RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock'], mode)`)
    for (const [table, mode] of rows) locks.set(String(table), LOCK_NAMES[String(mode)] ?? String(mode))
    throw undone
  })
  await work.catch((error: unknown) => {
    if (error !== undone) throw error
  })
  return locks
}
