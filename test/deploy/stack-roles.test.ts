/** The script that a stack's PostgreSQL runs when its data is made, run on a real server. */
import { expect, test } from 'bun:test'
import { SQL } from 'bun'
import { parse } from 'yaml'
import { stackFile } from '../../src/deploy/stack.ts'
import { startPostgres } from '../support/servers.ts'

test('Fabra is an ordinary role that owns its database', async () => {
  await using server = await startPostgres()
  const { text } = stackFile({ postgres: 5432, redis: 6379 })
  const compose = parse(String(text)) as {
    configs: { roles: { content: string } }
    services: { postgres: { environment: Record<string, string>; configs: { source: string; target: string }[] } }
  }
  expect(compose.services.postgres.configs).toEqual([{ source: 'roles', target: '/docker-entrypoint-initdb.d/10-roles.sh' }])
  expect(compose.services.postgres.environment).not.toHaveProperty('POSTGRES_USER')
  const admin = new SQL(server.url, { max: 1 })
  // As the image makes them.
  await admin.unsafe('CREATE ROLE postgres SUPERUSER LOGIN').simple()
  await admin.unsafe('CREATE DATABASE postgres')
  // The test's own superuser and database have the name; compose writes $$ for one sign.
  const script = compose.configs.roles.content.replaceAll('$$', '$').replaceAll(/\bfabra\b/g, 'stack')
  const { hostname, port } = new URL(server.url)
  const run = Bun.spawnSync(['sh', '-c', script], {
    env: { ...process.env, PGHOST: hostname, PGPORT: port, FABRA_PASSWORD: "it's \\ $1" },
  })
  expect([run.exitCode, run.stderr.toString()]).toEqual([0, ''])
  const [role] =
    await admin`SELECT rolsuper, rolcreaterole, rolcanlogin, rolpassword IS NOT NULL AS has_password FROM pg_authid WHERE rolname = 'stack'`
  expect(role).toEqual({ rolsuper: false, rolcreaterole: false, rolcanlogin: true, has_password: true })
  const [database] = await admin`SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = 'stack'`
  expect(database).toEqual({ owner: 'stack' })
  await admin.close()
}, 180_000)
