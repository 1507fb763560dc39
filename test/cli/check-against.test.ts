import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { SQL } from 'bun'
import { runCommand } from '../support/command.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

let server: TestServer
let sql: SQL

beforeAll(async () => {
  server = await startPostgres()
  sql = new SQL(server.url, { max: 1 })
  await sql.unsafe(`
    CREATE TABLE payments (user_id uuid, state text, amount numeric, created_at timestamptz);
    CREATE TABLE secret (user_id uuid)`)
})
afterAll(async () => {
  await sql.close()
  await server[Symbol.asyncDispose]()
})

const HEAD = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const payments = source('payments', { timestamp: 'created_at' })
`
const feature = (name: string, query: string) =>
  `export const ${name} = feature({ entity: User, refresh: '5m', sql: \`${query} FROM payments WHERE user_id = $user_id\` })\n`
/** Only PostgreSQL has FILTER with a cast like this, and jsonb. */
const POSTGRES_ONLY = feature('shape', "SELECT jsonb_build_object('n', COUNT(*))::text")
const DUCKDB_ONLY = feature('rows', "SELECT LIST({'a': amount})")

describe('fabra check, where PostgreSQL would serve', () => {
  test('tables that are there are there, and SQL of PostgreSQL is right', async () => {
    using project = projectFolder({ 'features.ts': HEAD + POSTGRES_ONLY })
    const found = { exitCode: 0, stdout: expect.stringContaining('1 feature, 1 source, no problems') }
    expect(await fabra(project, ['check'], address())).toMatchObject(found)
    expect(await fabra(project, ['check', '--against', server.url])).toMatchObject(found)
    // A production environment names it otherwise.
    expect(await fabra(project, ['check'], { FABRA_ENV: 'production', DATABASE_URL: server.url })).toMatchObject(found)
    const laptop = await fabra(project, ['check'])
    expect(laptop).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('There is no table "payments"') })
  })

  test('SQL that only DuckDB takes is refused', async () => {
    using project = projectFolder({ 'features.ts': HEAD + DUCKDB_ONLY })
    const { exitCode, stdout } = await fabra(project, ['check'], address())
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: expect.stringMatching(/^features\.ts:4:\d+ {2}feature "rows": /) })
  })

  test('what serving would make is made, looked at and taken back', async () => {
    using project = projectFolder({
      'features.ts': `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const visits = source('visits', { timestamp: 'at', columns: { user_id: 'VARCHAR', amount: 'double precision', at: 'TIMESTAMPTZ' } })
export const trips = source('shop.trips', { timestamp: 'at', file: './trips.csv' })
export const visit_total = feature({ entity: User, refresh: '5m', type: 'float', sql: 'SELECT SUM(amount) FROM visits WHERE user_id = $user_id' })
export const trip_count = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM shop.trips WHERE user_id = $user_id' })
export const wrong = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(nothing) FROM visits WHERE user_id = $user_id' })
`,
      'trips.csv': 'user_id,km,at\nu1,2.5,2026-01-02T03:04:05Z\n',
    })
    const { exitCode, stdout } = await fabra(project, ['check'], address())
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: expect.stringContaining('column "nothing" does not exist') })
    expect(stdout).toEndWith('\n\n1 problem\n')
    const made = await sql`SELECT relname FROM pg_class WHERE relname IN ('visits', 'trips')`
    const schemas = await sql`SELECT nspname FROM pg_namespace WHERE nspname IN ('shop', 'fabra')`
    expect({ made: [...made], schemas: [...schemas] }).toEqual({ made: [], schemas: [] })
  })

  test('a table that was loaded from a file is looked at as it would be loaded now, and its readers do not wait', async () => {
    await sql.unsafe(`
      CREATE TABLE trips (user_id text, at timestamptz);
      COMMENT ON TABLE trips IS 'Loaded by Fabra from /elsewhere/trips.csv';
      CREATE TABLE walks (user_id text, at timestamptz)`)
    using project = projectFolder({
      'features.ts': `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const trips = source('trips', { timestamp: 'started_at', file: './rows.csv' })
export const km = feature({ entity: User, refresh: '5m', type: 'float', sql: 'SELECT SUM(km) FROM trips WHERE user_id = $user_id' })
export const walks = source('walks', { timestamp: 'at', file: './rows.csv' })
export const walked = feature({ entity: User, refresh: '5m', type: 'float', sql: 'SELECT SUM(km) FROM walks WHERE user_id = $user_id' })
`,
      'rows.csv': 'user_id,km,started_at\nu1,2.5,2026-01-02T03:04:05Z\n',
    })
    const { stdout } = await fabra(project, ['check'], address())
    // The other is a table of its user's own, which no file changes.
    expect(stdout).toMatch(/^features\.ts:6:\d+ {2}feature "walked": [\s\S]*column "km" does not exist[\s\S]*\n1 problem\n$/)
    expect(stdout).not.toContain('"km":')
    const [row] = await sql`SELECT count(*)::int AS n FROM pg_attribute WHERE attrelid = 'trips'::regclass AND attnum > 0`
    expect(row.n).toBe(2)
  })

  test('types of columns go by the names of either engine, on both', async () => {
    const types = [
      ...[
        'double precision',
        'DOUBLE  PRECISION[]',
        'character varying(20)',
        'numeric(10, 2)',
        'jsonb',
        'text[]',
        'float(53)',
        'float(10)',
      ],
      ...[
        'timestamp without time zone',
        'int8',
        'INT1',
        'UBIGINT',
        'HUGEINT',
        'STRING',
        'BLOB',
        'DOUBLE',
        'UUID',
        'LONG',
        'LOGICAL',
        'TIMESTAMP_MS',
      ],
    ]
    const columns = Object.fromEntries([['user_id', 'VARCHAR'], ...types.map((type, i) => [`c${i}`, type])])
    using project = projectFolder({
      'features.ts': `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const typed = source('typed', { timestamp: 'at', columns: ${JSON.stringify({ ...columns, at: 'timestamp with time zone' })} })
export const loaded = source('loaded', { timestamp: 'at', file: './loaded.csv', columns: { a: 'double precision', b: 'jsonb', c: 'character varying' } })
export const n = feature({ entity: User, refresh: '5m', type: 'float', sql: 'SELECT SUM(c0) FROM typed WHERE user_id = $user_id' })
export const m = feature({ entity: User, refresh: '5m', type: 'float', sql: 'SELECT SUM(a) FROM loaded WHERE user_id = $user_id' })
`,
      'loaded.csv': 'user_id,a,b,c,at\nu1,2.5,"{""x"":1}",text,2026-01-02T03:04:05Z\n',
    })
    for (const env of [{}, address()])
      expect((await fabra(project, ['check'], env)).stdout).toEndWith('\n2 features, 2 sources, no problems\n')
  })

  test('on a laptop, tables that somebody made in the data file are there', async () => {
    using project = projectFolder({ 'features.ts': HEAD + feature('n', 'SELECT COUNT(*)') })
    expect((await fabra(project, ['check'])).stdout).toContain('There is no table "payments"')
    mkdirSync(join(project.path, '.fabra'))
    const instance = await DuckDBInstance.create(join(project.path, '.fabra/fabra.duckdb'))
    const connection = await instance.connect()
    await connection.run('CREATE TABLE payments (user_id VARCHAR, amount DOUBLE, created_at TIMESTAMPTZ)')
    connection.closeSync()
    instance.closeSync()
    const before = readdirSync(join(project.path, '.fabra')).sort()
    expect((await fabra(project, ['check'])).stdout).toEndWith('\n1 feature, 1 source, no problems\n')
    expect((await fabra(project, ['check'], address())).stdout).toEndWith('\n1 feature, 1 source, no problems\n')
    expect(readdirSync(join(project.path, '.fabra')).sort()).toEqual(before)
  })

  test('a database that cannot be reached, a wrong password and an address that is none fail', async () => {
    using project = projectFolder({ 'features.ts': HEAD + POSTGRES_ONLY })
    const gone = await fabra(project, ['check'], { FABRA_POSTGRES_URL: 'postgres://u:hidden@127.0.0.1:1/db' })
    const said = gone.stdout + gone.stderr
    expect(gone).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('PostgreSQL: The database cannot be used') })
    expect(said).not.toContain('hidden')
    const unknown = await fabra(project, ['check', '--against', server.url.replace(/\/fabra$/, '/nowhere')])
    expect(unknown).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('no database of that name') })
    const misuse = await fabra(project, ['check', '--against', 'mysql://u:hidden@h/db'])
    const misuseText = misuse.stderr
    expect(misuse).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--against begins with mysql://') })
    expect(misuseText).not.toContain('hidden')
  })

  test('in production without an address it is read as PostgreSQL reads it, and said to be no more than that', async () => {
    using project = projectFolder({ 'features.ts': HEAD + POSTGRES_ONLY })
    const { exitCode, stdout } = await fabra(project, ['check'], { FABRA_ENV: 'production' })
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/not prepared.*\n.*--against/) })
  })
})

describe('fabra deploy --check', () => {
  const SECRETS = { FABRA_REDIS_URL: 'redis://x', FABRA_API_KEYS: `${'0'.repeat(64)}:read` }

  test('prepares in the database of the environment, or in the one that is named', async () => {
    using project = projectFolder({ 'features.ts': HEAD + POSTGRES_ONLY })
    const well = { exitCode: 0, stdout: 'Nothing was found that would fail on Fly.io.\n' }
    expect(await check(project, [], { ...SECRETS, ...address() })).toMatchObject(well)
    const named = await check(project, ['--against', server.url], { ...SECRETS, FABRA_POSTGRES_URL: 'postgres://127.0.0.1:1/x' })
    expect(named).toMatchObject(well)
    project.write({ 'features.ts': HEAD + DUCKDB_ONLY })
    expect(await check(project, [], { ...SECRETS, ...address() })).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('feature "rows"'),
    })
  })

  test('without an address it reads SQL as PostgreSQL does, and says that nothing was prepared', async () => {
    using project = projectFolder({ 'features.ts': HEAD + POSTGRES_ONLY })
    const { stdout } = await check(project, [], SECRETS)
    expect(stdout).toMatch(/warning definitions: SQL: .*not prepared.*\n.*--against/)
    // The address itself is missing; the table is not.
    expect(stdout).toContain('FABRA_POSTGRES_URL: is set neither here nor in .env')
    expect(stdout).not.toContain('There is no table')
    project.write({ 'features.ts': HEAD + DUCKDB_ONLY })
    expect((await check(project, [], SECRETS)).stdout).toContain('feature "rows": ')
    project.write({ 'features.ts': HEAD + feature('odd', 'SELECT COUNT(*) + $user_idd') })
    expect((await check(project, [], SECRETS)).stdout).toContain('$user_idd is no key column')
  })

  test('does not contradict serve: a file of a source is loaded there, too', async () => {
    using project = projectFolder({
      'features.ts': `${HEAD.replace("'created_at' }", "'created_at', file: './rows.csv' }").replaceAll('payments', 'loaded')}${feature('n', 'SELECT COUNT(*)').replaceAll('payments', 'loaded')}`,
      'rows.csv': 'user_id,amount,created_at\nu1,2.5,2026-01-02T03:04:05Z\n',
    })
    expect(await check(project, [], { ...SECRETS, ...address() })).toMatchObject({
      exitCode: 0,
      stdout: 'Nothing was found that would fail on Fly.io.\n',
    })
  })

  const check = (project: ProjectFolder, more: readonly string[], env: Record<string, string>) =>
    fabra(project, ['deploy', 'fly', '--name', 'a', '--check', ...more], env)
})

describe('fabra doctor', () => {
  test('prepares the definitions where serving would', async () => {
    using project = projectFolder({ 'features.ts': HEAD + POSTGRES_ONLY })
    const well = await fabra(project, ['doctor'], address())
    expect(well.stdout).toContain('definitions: 1 feature, prepared in PostgreSQL')
    const laptop = await fabra(project, ['doctor'])
    expect(laptop).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('There is no table "payments"') })
    project.write({ 'features.ts': HEAD + DUCKDB_ONLY })
    expect(await fabra(project, ['doctor'], address())).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('feature "rows"') })
  })

  test('--growth tells what is stored, where it is and where it will be', async () => {
    using project = projectFolder({ 'features.ts': HEAD + POSTGRES_ONLY })
    const { exitCode, stdout } = await fabra(project, ['doctor', '--growth'], address())
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^STORE .*IN A YEAR\npostgres +\d/) })
    expect(stdout).toMatch(/\nfabra\.feature_history +\S+ +\d+/)
    expect(stdout).toMatch(/\npayments +\S+ +\d+/)
    expect(stdout).not.toContain('secret')
    const json = await fabra(project, ['doctor', '--growth', '--json'], address())
    expect(JSON.parse(json.stdout)).toMatchObject({ stores: [{ technology: 'postgres' }], features: [], is_estimate: false })
  })
})

function address() {
  return { FABRA_POSTGRES_URL: server.url }
}

async function fabra(project: ProjectFolder, args: readonly string[], env: Record<string, string> = {}) {
  return runCommand(args, {
    cwd: project.path,
    env,
  })
}
