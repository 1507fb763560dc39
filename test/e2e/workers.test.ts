/** `fabra serve --workers`: several processes on one port, over real servers. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { builtBinary, type RunningFabra, runFabra, startFabra } from '../support/binary.ts'
import { freePort } from '../support/ports.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { HEAD, type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

const FEATURES = `${HEAD.replace(/export const events[^\n]*\n/, '')}
export const score = feature({ entity: User, type: 'int' })
export const answer = feature({ entity: User, refresh: 0, type: 'int' }, () => 42)
export const daily = feature({ entity: User, refresh: '1d', type: 'int' }, () => 7)
export const slow = feature({ entity: User, refresh: 0, type: 'int', timeout: '20s' }, (key, { log }) => {
  log.info('slow began')
  return new Promise((resolve) => setTimeout(resolve, 1000, 1))
})
`
const LIMIT_MS = 20_000

let servers: ProductionServers

beforeAll(async () => {
  builtBinary()
  servers = await startProduction()
}, 120_000)
afterAll(() => servers[Symbol.asyncDispose]())

/** Processes that a process has started. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Over a connection of its own, so that any of the processes may answer. */
async function ask(server: RunningFabra, path: string): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(`${server.url}${path}`, { headers: { connection: 'close' }, keepalive: false })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

const workersOf = (server: RunningFabra, count: number) =>
  until(`${count} workers`, LIMIT_MS, async () => {
    const children = childrenOf(server.pid)
    return children.length === count ? children : undefined
  })

describe('two workers', () => {
  let env: Awaited<ReturnType<ProductionServers['fresh']>>
  const start = async (files: Record<string, string> = { 'features.ts': FEATURES }, args: readonly string[] = []) => {
    env = await servers.fresh()
    const project = projectFolder(files)
    const metricsPort = await freePort()
    const more = { ...env, FABRA_METRICS_PORT: String(metricsPort) }
    const server = await startFabra({ cwd: project.path, file: 'features.ts', args: ['--workers', '2', ...args], env: more })
    return { server, project, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics` }
  }

  test('say once where they serve, see what either was given, and all end with exit code 0 after what runs', async () => {
    const { server, project, metricsUrl } = await start()
    using _ = project
    for (let i = 0; i < 10; i++) expect((await fetch(metricsUrl, { keepalive: false })).status).toBe(200)
    expect(server.stdout().match(/Fabra serves/g)).toHaveLength(1)
    expect(server.stdout()).toContain(`on ${server.url} with 2 processes`)
    const children = await workersOf(server, 2)
    const body = JSON.stringify({ rows: [{ user_id: 'u1', value: 7 }] })
    expect((await fetch(`${server.url}/v1/features/score/values`, { method: 'POST', body })).status).toBe(200)
    for (let i = 0; i < 20; i++)
      expect((await ask(server, '/v1/features/score?entity_id=u1')).json).toMatchObject({ value: 7, status: 'fresh' })
    // Whichever answers tells of the reads of both.
    await until('figures of both', LIMIT_MS, async () => {
      const { json } = await ask(server, '/v1/features/score/statistics')
      const { coverage, reads } = json as { coverage: object; reads: { reads: number } | null }
      return reads?.reads === 20 && Bun.deepEquals(coverage, { processes: 2, of: 2 }) ? true : undefined
    })
    const running = ask(server, '/v1/features/slow?entity_id=u1')
    await until('the function to run', LIMIT_MS, async () => (server.stderr().includes('slow began') ? true : undefined))
    expect(await Promise.all([server.stop(), running])).toMatchObject([0, { json: { value: 1 } }])
    expect(children.filter(isAlive)).toEqual([])
  }, 120_000)

  describe('that go on serving', () => {
    let server: RunningFabra
    let project: ProjectFolder
    beforeAll(async () => {
      ;({ server, project } = await start())
    }, 120_000)
    afterAll(async () => {
      await server.stop()
      project[Symbol.dispose]()
    })

    test('tell of the same runs as soon as one was answered, whichever made it', async () => {
      await workersOf(server, 2)
      const made: unknown[] = []
      for (let i = 0; i < 8; i++) {
        const body = JSON.stringify({ rows: [{ user_id: `u${i}` }] })
        const init = { method: 'POST', body, headers: { connection: 'close' }, keepalive: false }
        made.unshift(await (await fetch(`${server.url}/v1/features/daily/refresh`, init)).json())
        const asked = await Promise.all(Array.from({ length: 12 }, () => ask(server, '/v1/runs?feature=daily')))
        for (const { json } of asked) expect(withoutUsual(json['runs'])).toEqual(withoutUsual(made))
      }
    }, 120_000)

    test('have their port: others do not begin on it, nor with broken definitions, which is told once', async () => {
      const taken = await runFabra(['serve', '--workers', '2', '--port', String(server.port)], { cwd: project.path, env })
      expect(taken).toMatchObject({ exitCode: 1, stdout: '' })
      expect(taken.stderr.match(/port_in_use/g)).toHaveLength(1)
      using broken = projectFolder({ 'features.ts': `${HEAD}export const x = feature({ entity: User })` })
      const wrong = await runFabra(['serve', '--workers', '2', '--port', '0'], { cwd: broken.path, env })
      expect(wrong).toMatchObject({ exitCode: 1, stdout: '' })
      expect(wrong.stderr.match(/error invalid_definition/g) ?? wrong.stderr).toHaveLength(1)
    }, 120_000)
  })

  test('are replaced when they die, while the others serve', async () => {
    const { server, project } = await start()
    using _ = project
    const [first, second] = await workersOf(server, 2)
    process.kill(first ?? 0, 'SIGKILL')
    await until('a new worker', LIMIT_MS, async () => {
      const now = childrenOf(server.pid)
      return now.length === 2 && !now.includes(first ?? 0) ? true : undefined
    })
    expect(childrenOf(server.pid)).toContain(second ?? 0)
    const message = 'worker 1 of 2 ended (SIGKILL) and is started again in 100 ms'
    await until('the log to tell of it', LIMIT_MS, async () => (server.stderr().includes(message) ? true : undefined))
    await until('both to answer', LIMIT_MS, async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server, '/ready').catch(() => ({ status: 0 }))))
      return answers.every(({ status }) => status === 200) ? true : undefined
    })
    // The third answers too: without the second nobody else is there.
    process.kill(second ?? 0, 'SIGSTOP')
    try {
      await until('the new worker to answer', LIMIT_MS, async () => {
        const response = await fetch(`${server.url}/health`, { signal: AbortSignal.timeout(2_000), keepalive: false }).catch(
          () => undefined,
        )
        return response?.ok ? true : undefined
      })
    } finally {
      process.kill(second ?? 0, 'SIGCONT')
    }
    expect(await server.stop()).toBe(0)
  }, 120_000)

  test('end when the process that watches over them is killed', async () => {
    const { server, project } = await start()
    using _ = project
    const children = await workersOf(server, 2)
    await server.kill()
    await until('the workers to end', LIMIT_MS, async () => (children.some(isAlive) ? undefined : true))
  }, 120_000)

  test('end in order at the Ctrl-C of a terminal, which reaches each of them besides', async () => {
    env = await servers.fresh()
    using project = projectFolder({ 'features.ts': FEATURES })
    const command = [builtBinary(), 'serve', '--workers', '2', '--port', '0']
    await using child = Bun.spawn(command, {
      cwd: project.path,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    const said = await child.stdout.getReader().read()
    expect(new TextDecoder().decode(said.value)).toContain('with 2 processes')
    const children = childrenOf(child.pid)
    process.kill(-child.pid, 'SIGINT')
    expect(await child.exited).toBe(0)
    expect(children.filter(isAlive)).toEqual([])
  }, 120_000)

  test('let commands of their folder in, whichever is asked', async () => {
    const hash = new Bun.CryptoHasher('sha256').update('secret').digest('hex')
    env = await servers.fresh()
    using project = projectFolder({ 'features.ts': FEATURES })
    const keys = { ...env, FABRA_API_KEYS: `${hash}:read` }
    const server = await startFabra({ cwd: project.path, file: 'features.ts', args: ['--workers', '2'], env: keys })
    try {
      expect((await ask(server, '/v1/features')).status).toBe(401)
      for (let i = 0; i < 4; i++) {
        const listed = await runFabra(['list'], { cwd: project.path, env: keys })
        expect(listed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('score') })
      }
    } finally {
      await server.stop()
    }
  }, 120_000)
})

test.each([
  [['--workers', '0'], {}, '--workers "0" is not a number of processes'],
  [['--workers', 'many'], {}, '--workers "many" is not a number of processes'],
  [['--workers', '2'], {}, 'Set FABRA_POSTGRES_URL=postgres://user:password@host:5432/database and FABRA_REDIS_URL=redis://host:6379'],
  [['--workers', '2'], { FABRA_POSTGRES_URL: 'postgres://localhost/x' }, 'Set FABRA_REDIS_URL=redis://host:6379, or'],
  [['--workers', '2'], { FABRA_REDIS_URL: 'redis://localhost' }, 'Set FABRA_POSTGRES_URL=postgres://user:password@host:5432/database, or'],
  [['--workers', '2', '--clock', '2026-01-01T00:00:00Z'], {}, '--clock is for one process'],
])('%p with %p is refused with what to do', async (args, env, says) => {
  using project = projectFolder({ 'features.ts': FEATURES })
  const { exitCode, stdout, stderr } = await runFabra(['serve', ...args], { cwd: project.path, env })
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain(says)
})

/** What is usual grows with each run, and was told of each when it ended. */
function withoutUsual(runs: unknown): unknown {
  return (runs as readonly Record<string, unknown>[]).map(({ usual_ms: _, ...run }) => run)
}
