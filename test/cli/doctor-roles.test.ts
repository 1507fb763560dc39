/** What `fabra doctor` says of the roles that Fabra connects as. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { SQL } from 'bun'
import { examine } from '../../src/app/doctor.ts'
import { readConfig } from '../../src/config/config.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

let server: TestServer
let sql: SQL
beforeAll(async () => {
  server = await startPostgres()
  sql = new SQL(server.url, { max: 1 })
  await sql
    .unsafe(`CREATE ROLE ordinary LOGIN; CREATE ROLE strong LOGIN; GRANT pg_read_server_files, pg_read_all_data TO strong;
      CREATE ROLE reader LOGIN; GRANT CREATE ON DATABASE fabra TO ordinary; CREATE SCHEMA fabra`)
    .simple()
}, 180_000)
afterAll(async () => {
  await sql.close()
  await server[Symbol.asyncDispose]()
})

async function warnings(env: Readonly<Record<string, string>>): Promise<string> {
  const config = readConfig({ FABRA_DATA_DIR: '/nowhere', ...env }, { cwd: '/', terminal: false })
  const found = await examine(config, [])
  return found.flatMap(({ state, message, fix }) => (state === 'ok' ? [] : [`${message} | ${fix}`])).join('\n')
}
const as = (role: string) => server.url.replace('//fabra', `//${role}`)

test('a superuser is told, also where another role reads sources', async () => {
  expect(await warnings({ FABRA_POSTGRES_URL: server.url })).toContain('Fabra connects as the superuser "fabra"')
  const beside = await warnings({ FABRA_POSTGRES_URL: server.url, FABRA_SOURCE_URL: as('reader') })
  expect(beside).toContain('Fabra connects as the superuser "fabra"')
  expect(beside).not.toContain('SQL of features runs as the superuser')
})

test('a role that may read files of the server, or every table, is told', async () => {
  expect(await warnings({ FABRA_POSTGRES_URL: as('strong') })).toContain(
    'the role "strong" is a member of pg_read_all_data, pg_read_server_files | REVOKE pg_read_all_data, pg_read_server_files FROM strong',
  )
})

test('a role for sources that may read what is Fabra’s is told', async () => {
  expect(await warnings({ FABRA_POSTGRES_URL: as('ordinary'), FABRA_SOURCE_URL: as('reader') })).not.toContain('reader')
  await sql.unsafe('GRANT USAGE ON SCHEMA fabra TO reader').simple()
  expect(await warnings({ FABRA_POSTGRES_URL: as('ordinary'), FABRA_SOURCE_URL: as('reader') })).toContain(
    '"reader" may read the schema "fabra", where API keys are | REVOKE ALL ON SCHEMA fabra FROM reader',
  )
})

test('an ordinary role is not', async () => {
  const warned = await warnings({ FABRA_POSTGRES_URL: as('ordinary') })
  expect(warned).not.toContain('superuser')
  expect(warned).not.toContain('member of')
})
