/** How the executable leaves while it is under load. */
import { describe, expect, test } from 'bun:test'
import { runFabra, startFabra } from '../support/binary.ts'
import { keepAliveLoad } from '../support/keep-alive-load.ts'
import { freePort } from '../support/ports.ts'
import { projectFolder } from '../support/project-folder.ts'
import { startPostgres, startRedis } from '../support/servers.ts'
import { until } from '../support/until.ts'

const FILES = {
  'features.ts': `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const one = feature({ entity: User, refresh: '5m', type: 'int' }, () => 1)
`,
}

describe('SIGTERM under load', () => {
  test('loses no request that was sent, and lets go of every client', async () => {
    using project = projectFolder(FILES)
    const fabra = await startFabra({ cwd: project.path, file: 'features.ts' })
    const load = keepAliveLoad(`${fabra.url}/v1/features/one?entity_id=u1`, 16)
    await until('a hundred answers', 20_000, async () => (load.answered > 100 ? true : undefined))
    const exitCode = await fabra.stop()
    await load.ended
    expect({ exitCode, losses: load.losses }).toEqual({ exitCode: 0, losses: [] })
  })
})

describe('in production', () => {
  test('it takes PORT, needs no disk, tells its health, and loses no request at SIGTERM under load', async () => {
    await using redis = await startRedis()
    await using postgres = await startPostgres()
    using project = projectFolder(FILES)
    const port = await freePort()
    const stores = { FABRA_POSTGRES_URL: postgres.url, FABRA_REDIS_URL: redis.url }
    const made = await runFabra(['keys', 'create', '--json'], { cwd: project.path, env: stores })
    const { key } = JSON.parse(made.stdout) as { key: string }
    // Nothing can be written to /proc.
    const env = { ...stores, FABRA_ENV: 'production', FABRA_DATA_DIR: '/proc/nowhere', PORT: String(port), FABRA_HOST: '127.0.0.1' }
    const healthcheck = (...args: string[]) => runFabra(['healthcheck', ...args], { cwd: project.path, env })
    expect(await healthcheck()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(`No server answers at http://127.0.0.1:${port}/health`),
    })
    const fabra = await startFabra({ cwd: project.path, file: 'features.ts', env, port: null })
    expect(fabra.port).toBe(port)
    expect(await healthcheck()).toMatchObject({ exitCode: 0, stdout: 'healthy\n' })
    const load = keepAliveLoad(`${fabra.url}/v1/features/one?entity_id=u1`, 16, { authorization: `Bearer ${key}` })
    await until('a hundred answers', 20_000, async () => (load.answered > 100 ? true : undefined))
    const stopping = fabra.stop()
    await until('the server to say that it goes', 5_000, async () => ((await healthcheck('--ready')).exitCode === 1 ? true : undefined))
    expect(await stopping).toBe(0)
    await load.ended
    expect(load.losses).toEqual([])
  })
})
