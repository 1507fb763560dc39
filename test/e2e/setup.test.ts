/** What `fabra setup` writes, with real servers in the place of its containers: they ask for the passwords of .env. */
import { expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { RedisClient, SQL } from 'bun'
import { BINARY, builtBinary, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { startPostgres, startRedis } from '../support/servers.ts'

const FEATURES = `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const one = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT 1' })
`

test('the commands that fabra setup prints lead to a server in production that answers', async () => {
  builtBinary()
  await using postgres = await startPostgres()
  await using redis = await startRedis()
  const folder = temporaryFolder()
  const ports = ['--postgres-port', String(postgres.port), '--redis-port', String(redis.port)]
  const { stdout } = await runFabra(['setup', '--json', ...ports], { cwd: folder, env: { FABRA_POSTGRES_URL: undefined } })
  const { next } = JSON.parse(stdout) as { next: string[] }
  const env = parseEnv(readFileSync(join(folder, '.env'), 'utf8')) as Record<string, string>
  await askForPasswords(postgres.url, redis.url, env)

  // All but the containers and the server itself, as they are printed, in one shell.
  const commands = next.filter((command) => !/^docker |^fabra serve/.test(command)).map((command) => `${command}\n`)
  expect(commands).toHaveLength(2)
  const script = `fabra() { "${BINARY}" "$@"; }\nset -e\n${commands.join('')}`
  const shell = Bun.spawnSync(['sh', '-c', script], { cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder } })
  expect({ exitCode: shell.exitCode, stderr: shell.stderr.toString() }).toEqual({ exitCode: 0, stderr: expect.stringContaining('Key ') })
  const key = /fab_\S+/.exec(shell.stdout.toString())?.[0]

  writeFileSync(join(folder, 'features.ts'), FEATURES)
  const fabra = await startFabra({ file: 'features.ts', cwd: folder })
  try {
    const path = `${fabra.url}/v1/features/one?entity_id=u1`
    expect((await fetch(path)).status).toBe(401)
    expect(await (await fetch(path, { headers: { 'x-api-key': key ?? '' } })).json()).toMatchObject({ value: 1, status: 'fresh' })
  } finally {
    await fabra.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})

async function askForPasswords(postgres: string, redis: string, env: Readonly<Record<string, string>>): Promise<void> {
  const sql = new SQL(postgres, { max: 1 })
  await sql.unsafe(`ALTER USER fabra PASSWORD '${env['POSTGRES_PASSWORD']}'`)
  const [row] = (await sql`SHOW hba_file`) as { hba_file: string }[]
  writeFileSync(row?.hba_file ?? '', 'host all all 127.0.0.1/32 scram-sha-256\n')
  await sql`SELECT pg_reload_conf()`
  await sql.close()
  const client = new RedisClient(redis)
  await client.send('CONFIG', ['SET', 'requirepass', env['REDIS_PASSWORD'] ?? ''])
  client.close()
}
