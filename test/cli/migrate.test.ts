import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { runCommand } from '../support/command.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

let postgres: TestServer
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

async function fabra(args: readonly string[], env: Readonly<Record<string, string>> = { FABRA_POSTGRES_URL: postgres.url }) {
  return runCommand(args, {
    cwd: '/tmp',
    env,
  })
}

test('a dry run tells what is to do and does nothing; a run does it; another finds it done', async () => {
  const sql = new SQL(postgres.url, { max: 1 })
  const planned = await fabra(['migrate', '--dry-run'])
  expect(planned).toMatchObject({ exitCode: 0 })
  expect(planned.stdout).toContain('to do')
  expect([...(await sql`SELECT to_regnamespace('fabra') AS schema`)]).toEqual([{ schema: null }])
  const done = await fabra(['migrate', '--json'], { FABRA_POSTGRES_URL: postgres.url.replace('postgres://', 'postgresql+asyncpg://') })
  expect(done.exitCode).toBe(0)
  const report = JSON.parse(done.stdout)
  expect(report.applied.length).toBe(report.migrations.length)
  const again = await fabra(['migrate'])
  expect(again.stdout).toContain('done')
  expect(again.stderr).toContain('was up to date')
  await sql.close()
})

test('a role for sources reads tables that are there and tables that come, and nothing of Fabra', async () => {
  const sql = new SQL(postgres.url, { max: 1 })
  await sql
    .unsafe(
      'CREATE TABLE public.before_role (n int); INSERT INTO public.before_role VALUES (1); CREATE SCHEMA app; CREATE TABLE app.more (n int)',
    )
    .simple()
  const planned = await fabra(['migrate', '--source-role', 'fabra_reader', '--dry-run'])
  expect(planned.stdout).toContain('GRANT SELECT ON ALL TABLES IN SCHEMA app TO fabra_reader;')
  expect([...(await sql`SELECT 1 FROM pg_roles WHERE rolname = 'fabra_reader'`)]).toEqual([])

  const made = await fabra(['migrate', '--source-role', 'fabra_reader'])
  expect(made).toMatchObject({ exitCode: 0 })
  const url = /^FABRA_SOURCE_URL=(\S+)$/m.exec(made.stdout)?.[1] ?? ''
  await sql.unsafe('CREATE TABLE public.after_role (n int)').simple()
  const reader = new SQL(url, { max: 1 })
  for (const table of ['before_role', 'after_role', 'app.more']) await reader.unsafe(`SELECT * FROM ${table}`)
  for (const refused of [
    'SELECT * FROM fabra.api_keys',
    'SELECT * FROM fabra.runs',
    'INSERT INTO before_role VALUES (2)',
    'CREATE ROLE x',
  ]) {
    await expect(reader.unsafe(refused)).rejects.toThrow(/permission denied/)
  }
  await reader.close()

  const again = await fabra(['migrate', '--source-role', 'fabra_reader'])
  expect(again).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('its password is what it was') })
  expect(again.stdout).not.toContain('FABRA_SOURCE_URL')
  for (const name of ['fabra', 'pg_monitor', 'a b', 'x"; DROP TABLE before_role; --', 'postgres;']) {
    expect(await fabra(['migrate', '--source-role', name])).toMatchObject({ exitCode: 2 })
  }
  await sql
    .unsafe(
      'CREATE ROLE ordinary LOGIN; GRANT CREATE ON DATABASE fabra TO ordinary; GRANT USAGE ON SCHEMA fabra TO ordinary; GRANT SELECT ON fabra.migrations TO ordinary',
    )
    .simple()
  const ordinary = await fabra(['migrate', '--source-role', 'other_reader'], {
    FABRA_POSTGRES_URL: postgres.url.replace('//fabra', '//ordinary'),
  })
  expect(ordinary).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--dry-run') })
  await sql.close()
})

test('a schema that is newer than the executable is refused', async () => {
  await fabra(['migrate'])
  const sql = new SQL(postgres.url, { max: 1 })
  await sql`INSERT INTO fabra.migrations (id, name, checksum) VALUES (999, 'of tomorrow', '')`
  const refused = await fabra(['migrate'])
  expect(refused.exitCode).toBe(1)
  expect(refused.stderr).toContain('of tomorrow')
  await sql`DELETE FROM fabra.migrations WHERE id = 999`
  await sql.close()
})

test('without PostgreSQL, or with one that does not answer, it says so and no password', async () => {
  const none = await fabra(['migrate'], {})
  expect(none.exitCode).toBe(2)
  expect(none.stderr).toContain('FABRA_POSTGRES_URL')
  const down = await fabra(['migrate'], { FABRA_POSTGRES_URL: 'postgres://me:hush@127.0.0.1:1/db' })
  expect(down.exitCode).toBe(1)
  expect(down.stderr).toContain('cannot be reached')
  expect(down.stderr).not.toContain('hush')
})
