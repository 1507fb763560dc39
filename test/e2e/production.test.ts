/** The executable in production mode: real PostgreSQL and Redis, started and stopped under it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { type RunningFabra, runFabra, startFabra, temporaryFolder } from '../support/binary.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { until } from '../support/until.ts'

const LIMIT_MS = 180_000
const FEATURES = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id" })
export const events = source("events", { timestamp: "created_at", id: "event_id" })
export const events_1h = feature({ entity: User, refresh: "5m", type: "int", max_staleness: "1h",
  sql: "SELECT COUNT(*) FROM events WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'" })
export const velocity = feature({ entity: User, refresh: 0, type: "int" }, async (user, { db }) =>
  db.fetchval("SELECT COUNT(*) FROM events WHERE user_id = $1 AND created_at > NOW() - INTERVAL '1 hour'", user))
export const score = feature({ entity: User, type: "float" })
`
const TABLE = `CREATE TABLE events (event_id BIGINT, user_id TEXT, created_at TIMESTAMPTZ);
CREATE INDEX ON events (user_id, created_at);
INSERT INTO events SELECT n, 'u' || n % 10, now() - n * INTERVAL '1 minute' FROM generate_series(1, 1000) AS n`

let servers: ProductionServers
beforeAll(async () => {
  servers = await startProduction()
}, LIMIT_MS)
afterAll(() => servers[Symbol.asyncDispose]())

interface Stack extends AsyncDisposable {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly key: string
  fabra(): RunningFabra
  /** Resolves when it is ready: both stores are whole, and new versions are computed. */
  start(more?: Readonly<Record<string, string>>): Promise<RunningFabra>
  isWhole(): Promise<true>
  get(path: string, key?: string): Promise<{ status: number; json: Readonly<Record<string, unknown>> }>
  post(path: string, body: object): Promise<{ status: number; json: Readonly<Record<string, unknown>> }>
}

/** A database with events, a key, and a folder with features. */
async function stack(): Promise<Stack> {
  const addresses = await servers.fresh()
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'features.ts'), FEATURES)
  const sql = new SQL(addresses.FABRA_POSTGRES_URL, { max: 1 })
  await sql.unsafe(TABLE)
  await sql.close()
  const env = { ...addresses, FABRA_ENV: 'production', FABRA_HOST: '127.0.0.1' }
  const key = (await runFabra(['keys', 'create', '--scopes', 'read,write,admin'], { cwd, env })).stdout.trim()
  let running: RunningFabra | undefined
  const fabra = () => {
    if (!running) throw new Error('Nothing runs.')
    return running
  }
  const ask = async (path: string, init: RequestInit) => {
    const response = await fetch(`${fabra().url}${path}`, init)
    return { status: response.status, json: (await response.json()) as Readonly<Record<string, unknown>> }
  }
  const get: Stack['get'] = (path, used = key) => ask(path, { headers: { authorization: `Bearer ${used}` } })
  const isWhole = () =>
    until('all to be ready', LIMIT_MS / 2, async () => ((await get('/ready')).json['status'] === 'ready' ? true : undefined))
  return {
    cwd,
    env,
    key,
    fabra,
    async start(more = {}) {
      running = await startFabra({ file: 'features.ts', cwd, env: { ...env, ...more } })
      await isWhole()
      return running
    },
    isWhole,
    get,
    post: (path, body) => ask(path, { method: 'POST', headers: { 'x-api-key': key }, body: JSON.stringify(body) }),
    async [Symbol.asyncDispose]() {
      await running?.stop()
      rmSync(cwd, { recursive: true, force: true })
    },
  }
}

describe('production refuses to start', () => {
  test('without stores, and names all that is missing', async () => {
    const { exitCode, stderr } = await runFabra(['serve'], { cwd: temporaryFolder(), env: { FABRA_ENV: 'production' } })
    expect(exitCode).toBe(2)
    for (const one of ['FABRA_POSTGRES_URL', 'FABRA_REDIS_URL', 'an API key', 'fabra keys create']) expect(stderr).toContain(one)
  })

  test('without an API key, and tells how to make one', async () => {
    const cwd = temporaryFolder()
    writeFileSync(
      join(cwd, 'features.ts'),
      'import { entity, feature } from "fabra"\nexport const U = entity("U", { key: "id" })\nexport const f = feature({ entity: U, type: "int" })\n',
    )
    const { exitCode, stderr } = await runFabra(['serve'], { cwd, env: { ...(await servers.fresh()), FABRA_ENV: 'production' } })
    expect(exitCode).toBe(2)
    expect(stderr).toContain('fabra keys create')
    rmSync(cwd, { recursive: true })
  })

  test('with a store that cannot be reached, without telling its password', async () => {
    const env = {
      FABRA_ENV: 'production',
      FABRA_POSTGRES_URL: 'postgres://app:secret@127.0.0.1:1/x',
      FABRA_REDIS_URL: 'redis://127.0.0.1:1',
    }
    const { exitCode, stderr, stdout } = await runFabra(['serve', join(import.meta.dir, '../../examples/basic_features.ts')], { env })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('store_unavailable')
    expect(stderr + stdout).not.toContain('secret')
  })
})

describe('a stack', () => {
  let made: Stack
  beforeAll(async () => {
    made = await stack()
  }, LIMIT_MS)
  afterAll(() => made[Symbol.asyncDispose]())
  beforeEach(async () => {
    await Promise.all([servers.postgres, servers.redis].map(async (server) => server.pid() ?? (await server.start())))
  })

  test('serves what SQL, a function and a push say, with the address forms that platforms give', async () => {
    const DATABASE_URL = made.env['FABRA_POSTGRES_URL']?.replace('postgres://', 'postgresql+asyncpg://') ?? ''
    const fabra = await made.start({
      FABRA_POSTGRES_URL: '',
      FABRA_REDIS_URL: '',
      DATABASE_URL,
      REDIS_URL: made.env['FABRA_REDIS_URL'] ?? '',
    })
    expect(fabra.stdout()).toContain('-H "Authorization: Bearer $FABRA_API_KEY"')
    expect(await made.get('/v1/features/events_1h?entity_id=u1')).toMatchObject({
      status: 200,
      json: { value: 6, served_from: 'computed' },
    })
    expect(await made.get('/v1/features/events_1h?entity_id=u1')).toMatchObject({ json: { value: 6, served_from: 'online' } })
    expect(await made.get('/v1/features/velocity?entity_id=u2')).toMatchObject({ json: { value: 6, status: 'fresh' } })
    expect((await made.post('/v1/features/score/values', { rows: [{ user_id: 'u1', value: 0.25 }] })).status).toBe(200)
    expect(await made.get('/v1/features/score?entity_id=u1')).toMatchObject({ json: { value: 0.25, served_from: 'online' } })
    expect(await made.get('/ready')).toEqual({ status: 200, json: { status: 'ready', stores: { postgres: 'ok', redis: 'ok' } } })
    expect(await made.get('/ready', 'fab_wrong')).toEqual({ status: 200, json: { status: 'ready' } })
  })

  test('asks for a key', async () => {
    expect((await made.get('/v1/features', 'fab_wrong')).status).toBe(401)
  })

  test('shows a posted event at once, and soon in what is kept', async () => {
    const row = { event_id: 5000, user_id: 'u1', created_at: new Date().toISOString() }
    expect((await made.post('/v1/sources/events/rows', { rows: [row, row] })).json).toMatchObject({ accepted: 1, duplicates: 1 })
    const read = async (name: string) => (await made.get(`/v1/features/${name}?entity_id=u1`)).json['value']
    await until('the event in the realtime feature', 10_000, async () => ((await read('velocity')) === 7 ? true : undefined))
    await until('the event in the kept feature', 10_000, async () => ((await read('events_1h')) === 7 ? true : undefined))
  })

  test('loses no acknowledged push to kill -9, and serves what was kept without computing', async () => {
    await made.post('/v1/features/score/values', { rows: [{ user_id: 'u7', value: 7.5 }] })
    await made.fabra().kill()
    await made.start()
    expect(await made.get('/v1/features/score?entity_id=u7')).toMatchObject({ json: { value: 7.5 } })
    expect(await made.get('/v1/features/events_1h?entity_id=u1')).toMatchObject({ json: { value: 7, served_from: 'online' } })
  })

  test('goes on while Redis is down, and is whole again after Redis came back empty', async () => {
    await servers.redis.kill()
    expect(await made.get('/v1/features/events_1h?entity_id=u1')).toMatchObject({ status: 200, json: { value: 7 } })
    expect(await made.get('/v1/features/score?entity_id=u7')).toMatchObject({ status: 200, json: { value: 7.5, served_from: 'last_good' } })
    const down = await made.get('/ready')
    expect(down).toMatchObject({ status: 200, json: { status: 'degraded' } })
    expect((down.json['stores'] as Record<string, string>)['redis']).not.toBe('ok')
    await servers.redis.start()
    await made.isWhole()
    expect(await made.get('/v1/features/score?entity_id=u7')).toMatchObject({ json: { value: 7.5, served_from: 'online' } })
    await until('what is computed in Redis', LIMIT_MS / 2, async () =>
      (await made.get('/v1/features/events_1h?entity_id=u1')).json['served_from'] === 'online' ? true : undefined,
    )
  })

  test('goes on while PostgreSQL is down: kept values, and typed errors where there are none', async () => {
    await servers.postgres.kill()
    expect(await made.get('/v1/features/events_1h?entity_id=u1')).toMatchObject({ status: 200, json: { value: 7, served_from: 'online' } })
    expect(await made.get('/v1/features/velocity?entity_id=u2')).toMatchObject({
      status: 200,
      json: { value: 6, served_from: 'last_good' },
    })
    expect(await made.get('/v1/features/velocity?entity_id=u5')).toMatchObject({
      status: 503,
      json: { error: { code: 'store_unavailable' } },
    })
    expect((await made.post('/v1/features/score/values', { rows: [{ user_id: 'u8', value: 1 }] })).status).toBe(503)
    await servers.postgres.start()
    await until('the realtime feature', 8_000, async () =>
      (await made.get('/v1/features/velocity?entity_id=u5')).status === 200 ? true : undefined,
    )
    expect((await made.post('/v1/features/score/values', { rows: [{ user_id: 'u8', value: 2 }] })).status).toBe(200)
    expect(await made.get('/v1/features/score?entity_id=u8')).toMatchObject({ json: { value: 2 } })
  })

  test('forgets a key everywhere', async () => {
    const response = await fetch(`${made.fabra().url}/v1/entities/User/u7`, { method: 'DELETE', headers: { 'x-api-key': made.key } })
    expect(response.status).toBe(200)
    expect(await made.get('/v1/features/score?entity_id=u7')).toMatchObject({ json: { value: null, status: 'missing' } })
    await made.post('/v1/features/score/values', { rows: [{ user_id: 'u7', value: 1, event_timestamp: '2026-01-01T00:00:00Z' }] })
    expect(await made.get('/v1/features/score?entity_id=u7')).toMatchObject({ json: { value: null, status: 'missing' } })
  })

  test('a revoked key is refused within seconds', async () => {
    const { key, id } = JSON.parse((await runFabra(['keys', 'create', '--json'], { cwd: made.cwd, env: made.env })).stdout)
    expect((await made.get('/v1/features', key)).status).toBe(200)
    await runFabra(['keys', 'revoke', id], { cwd: made.cwd, env: made.env })
    await until('the refusal', 8_000, async () => ((await made.get('/v1/features', key)).status === 401 ? true : undefined))
  })

  test('ends in order on SIGTERM', async () => {
    expect(await made.fabra().stop()).toBe(0)
  })

  test('the process that was started is the one that serves, with settings for the collector; those of the user stay', async () => {
    const { pid, stderr, stop } = await made.start({ BUN_JSC_collectionTimerMaxPercentCPU: '0.03' })
    const settings = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((entry) => /^(BUN_JSC|MIMALLOC)_/.test(entry))
    expect(settings.sort()).toEqual([
      'BUN_JSC_collectionTimerMaxPercentCPU=0.03',
      'BUN_JSC_percentCPUPerMBForEdenTimer=0.1',
      'BUN_JSC_percentCPUPerMBForFullTimer=0.0002',
      'MIMALLOC_PURGE_HOLES_MIN_INTERVAL=1000',
    ])
    expect(stderr()).not.toMatch(/BUN_JSC|MIMALLOC/)
    expect(await stop()).toBe(0)
  })
})

test('--clock reads sources of PostgreSQL as of then, trains over what it recorded, and leaves what is kept alone', async () => {
  const env = await servers.fresh()
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'features.ts'), FEATURES)
  const sql = new SQL(env.FABRA_POSTGRES_URL, { max: 1 })
  await sql.unsafe(TABLE.replace('now() - n', "TIMESTAMPTZ '2026-01-10T00:00:00Z' + n"))
  const served = async ({ url }: RunningFabra, feature: string) => (await fetch(`${url}/v1/features/${feature}?entity_id=u1`)).json()
  const history = async ({ url }: RunningFabra) => (await fetch(`${url}/v1/features/score/history?entity_id=u1`)).json()
  const push = ({ url }: RunningFabra, value: number) =>
    fetch(`${url}/v1/features/score/values`, { method: 'POST', body: JSON.stringify({ rows: [{ user_id: 'u1', value }] }) })
  try {
    const present = await startFabra({ cwd, file: 'features.ts', env })
    await push(present, 1)
    const before = await history(present)
    expect(before).toMatchObject({ history: [{ value: 1 }] })
    expect(await served(present, 'events_1h')).toMatchObject({ value: 0 })
    expect(await present.stop()).toBe(0)

    const then = await startFabra({ cwd, file: 'features.ts', env, args: ['--clock', '2026-01-10T10:00:00Z'] })
    expect(await served(then, 'events_1h')).toMatchObject({ value: 6, served_from: 'computed' })
    expect(await served(then, 'velocity')).toMatchObject({ value: 6 })
    expect(await history(then)).toMatchObject({ history: [] })
    await push(then, 7)
    expect(await served(then, 'score')).toMatchObject({ value: 7, status: 'fresh' })
    const labels = ['05:00', '09:59', '11:00'].map((time) => `u1,2026-01-10T${time}:00Z`)
    const made = await fetch(`${then.url}/v1/training-sets?features=events_1h,velocity,score&format=csv`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: `user_id,event_timestamp\n${labels.join('\n')}\n`,
    })
    expect((await made.text()).trim().split('\n').slice(1)).toEqual([`${labels[0]},6,6,`, `${labels[1]},6,6,`, `${labels[2]},6,6,7.0`])
    expect(await then.stop()).toBe(0)

    const again = await startFabra({ cwd, file: 'features.ts', env })
    expect(await history(again)).toEqual(before)
    expect(await served(again, 'score')).toMatchObject({ value: 1 })
    expect(await served(again, 'events_1h')).toMatchObject({ value: 0, served_from: 'online' })
    expect(await again.stop()).toBe(0)
  } finally {
    await sql.close()
    rmSync(cwd, { recursive: true, force: true })
  }
})
