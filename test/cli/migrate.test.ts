import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { run } from '../../src/cli/run.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(60_000)

let postgres: TestServer
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())

async function fabra(args: readonly string[], env: Readonly<Record<string, string>> = { FABRA_POSTGRES_URL: postgres.url }) {
  let stdout = ''
  let stderr = ''
  const exitCode = await run(args, {
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
    },
    cwd: '/tmp',
    env,
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    onSignal: () => undefined,
  })
  return { exitCode, stdout, stderr }
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
