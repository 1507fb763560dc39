/** Pushes and forgotten keys while Redis is down, and after it came back with old data or none. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { SQL } from 'bun'
import { bucketOf } from '../../src/store/redis/format/record.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { startPostgresProxy } from '../support/postgres-proxy.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { type Replica, startReplica } from '../support/replica.ts'
import { askRedis, emptyRedis, startPostgres, startRedis, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature } from "fabra";
export const User = entity("User", { key: "user_id" });
export const score = feature({ entity: User, type: "int" });
export const twice = feature({ entity: User, refresh: "1h", type: "int", uses: [score] }, async (user, { get }) => 2 * (await get(score)));
`
const LIMIT_MS = 10_000

let postgres: TestServer
let redis: TestServer
let folder: ProjectFolder
let running: Replica[]
let env: Readonly<Record<string, string>>
let count = 0

beforeAll(async () => {
  // What it holds survives its stopping.
  ;[postgres, redis] = await Promise.all([startPostgres(), startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })])
})
afterAll(() => Promise.all([postgres, redis].map((server) => server[Symbol.asyncDispose]())))
beforeEach(async () => {
  if (redis.pid() === undefined) await redis.start()
  await emptyRedis(redis)
  folder = projectFolder({ 'features.ts': FEATURES })
  running = []
  const name = `redis_down_${++count}`
  await using sql = new SQL(postgres.url, { max: 1 })
  await sql.unsafe(`CREATE DATABASE ${name}`)
  env = { FABRA_POSTGRES_URL: postgres.url.replace(/\/[^/]*$/, `/${name}`), FABRA_REDIS_URL: redis.url }
})
afterEach(async () => {
  await Promise.all(running.map((one) => one.close()))
  folder[Symbol.dispose]()
})

async function start(name = 'a', addresses: Readonly<Record<string, string>> = {}): Promise<Replica> {
  const replica = await startReplica(folder, name, { ...env, ...addresses })
  running.push(replica)
  return replica
}
const push = (replica: Replica, value: number, at: string, user = 'u1') =>
  replica.send('POST', '/v1/features/score/values', { rows: [{ user_id: user, value, event_timestamp: at }] })
const accepted = (accepted: number, duplicates = 0) => ({ status: 200, json: { accepted, duplicates } })

test('a push is accepted while Redis is down, once, and served when Redis is back with its old value', async () => {
  const a = await start()
  const b = await start('b')
  await push(a, 1, '2026-01-01T00:00:00Z')
  expect(await b.read('twice')).toBe(2)
  await redis.stop()
  expect(await push(a, 2, '2026-01-02T00:00:00Z')).toMatchObject(accepted(1))
  expect(await push(a, 2, '2026-01-02T00:00:00Z')).toMatchObject(accepted(0, 1))
  expect(await push(a, 0, '2025-01-01T00:00:00Z')).toMatchObject(accepted(1))
  await redis.start()
  await until('the pushed value', LIMIT_MS, async () => ((await b.read('score')) === 2 ? true : undefined))
  await until('what is built on it', LIMIT_MS, async () => ((await b.read('twice')) === 4 ? true : undefined))
  expect(await a.get('/v1/features/score/history?entity_id=u1')).toMatchObject({
    json: { history: [{ value: 2 }, { value: 1 }, { value: 0 }] },
  })
})

test('a process that ended while Redis was down leaves what it accepted to the next one', async () => {
  const a = await start()
  await push(a, 1, '2026-01-01T00:00:00Z')
  await redis.stop()
  expect(await push(a, 2, '2026-01-02T00:00:00Z')).toMatchObject(accepted(1))
  await a.close()
  await redis.start()
  expect(await (await start()).read('score')).toBe(2)
})

test('what one process owes to Redis is known to another within a second, though history does not tell it so', async () => {
  const name = new URL(env['FABRA_POSTGRES_URL'] ?? '').pathname
  await using proxy = await startPostgresProxy({ url: postgres.url.replace(/\/[^/]*$/, name), port: postgres.port })
  // Redis refuses the writes of this user alone: nobody else meets that.
  await askRedis(redis, 'ACL', 'SETUSER', 'one', 'on', '>secret', '~*', '&*', '+@all')
  const a = await start('a', { FABRA_REDIS_URL: `redis://one:secret@127.0.0.1:${redis.port}` })
  const b = await start('b', { FABRA_POSTGRES_URL: proxy.url })
  await push(a, 1, '2026-01-01T00:00:00Z')
  expect(await b.read('score')).toBe(1)
  proxy.set('hold what is owed')
  await until('a question that is held', LIMIT_MS, async () => proxy.questions() > 0 || undefined)
  await askRedis(redis, 'ACL', 'SETUSER', 'one', '-eval', '-evalsha')
  expect(await push(a, 2, '2026-01-02T00:00:00Z')).toMatchObject(accepted(1))
  await until('the push', LIMIT_MS, async () => ((await b.read('score')) === 2 ? true : undefined))
  for (let read = 0; read < 20; read++) {
    const { json } = await b.get('/v1/features/score?user_id=u1')
    // Where history takes long to tell, too, the older one may be the last good value.
    if (json['status'] === 'fresh') expect(json['value']).toBe(2)
  }
  await askRedis(redis, 'ACL', 'SETUSER', 'one', '+eval', '+evalsha')
  proxy.set('pass')
  await until('what was owed', LIMIT_MS, async () => {
    const { json } = await b.get('/v1/features/score?user_id=u1')
    return json['value'] === 2 && json['served_from'] === 'online' ? true : undefined
  })
})

test('a repeat while Redis is doubted makes what a process had recorded seen that died before it was there', async () => {
  const limit = (replicas: number) => askRedis(redis, 'CONFIG', 'SET', 'min-replicas-to-write', String(replicas))
  const place = ['fabra:{User:u1}', bucketOf('score')] as const
  const a = await start()
  const isReady = async () => (await a.get('/ready')).json['status'] === 'ready'
  await push(a, 1, '2026-01-01T00:00:00Z')
  const before = String(await askRedis(redis, 'HGET', ...place))
  await push(a, 2, '2026-01-02T00:00:00Z')
  await askRedis(redis, 'HSET', ...place, before)
  await limit(1)
  try {
    await until('the doubt', LIMIT_MS, async () => ((await isReady()) ? undefined : true))
    expect(await push(a, 2, '2026-01-02T00:00:00Z')).toMatchObject(accepted(0, 1))
  } finally {
    await limit(0)
  }
  await until('its end', LIMIT_MS, async () => (await isReady()) || undefined)
  expect(await a.read('score')).toBe(2)
})

test('a push while PostgreSQL is down is refused as safe to send again', async () => {
  const a = await start()
  await postgres.stop()
  try {
    const refused = await push(a, 1, '2026-01-01T00:00:00Z')
    expect(refused).toMatchObject({
      status: 503,
      json: { error: { code: 'store_unavailable', hint: expect.stringContaining('Send them again') } },
    })
  } finally {
    await postgres.start()
  }
  await until('the push', LIMIT_MS, async () => ((await push(a, 1, '2026-01-01T00:00:00Z')).status === 200 ? true : undefined))
})

test('forgotten keys stay forgotten when Redis has lost its data', async () => {
  const a = await start()
  await push(a, 1, '2026-01-01T00:00:00Z', 'gone')
  await push(a, 2, '2026-01-01T00:00:00Z', 'kept')
  expect((await a.send('DELETE', '/v1/entities/User/gone')).status).toBe(200)
  await push(a, 3, new Date().toISOString(), 'gone')
  await emptyRedis(redis)
  await until('the erasure', LIMIT_MS, async () => (await askRedis(redis, 'HGET', 'fabra:{User:gone}', 'fence')) ?? undefined)
  await until('the values', LIMIT_MS, async () =>
    (await a.read('score', 'kept')) === 2 && (await a.read('score', 'gone')) === 3 ? true : undefined,
  )
  // Another process, which has not heard of it.
  const online = createRedisOnlineStore(await openRedis({ url: redis.url, ...PATIENT_REDIS }))
  const value = {
    texts: ['9'],
    eventAt: Date.parse('2026-01-05T00:00:00Z') * 1000,
    availableAt: 1,
    seq: 1,
    origin: 'pushed',
    oldestInputAt: null,
  } as const
  const { refused, erasures } = await online.write([{ entity: 'User', key: 'gone', field: 'other@1', value }])
  expect({ refused, keys: erasures.map(({ entityKey }) => entityKey) }).toEqual({ refused: [0], keys: ['gone'] })
  await online.close()
})
