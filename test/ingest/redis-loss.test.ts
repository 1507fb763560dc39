/** Redis loses its data, goes back to older data, or refuses writes, under two replicas: nothing that was acknowledged is contradicted. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { SQL } from 'bun'
import { freePort } from '../support/ports.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { type Replica, startReplica } from '../support/replica.ts'
import { askRedis, emptyRedis, startPostgres, startRedis, startRedisCluster, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const FEATURES = `
import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const orders = source("orders", { timestamp: "ordered_at", columns: { user_id: "text", amount: "bigint", ordered_at: "timestamptz" } });
export const score = feature({ entity: User, type: "int", default: -1 });
export const bare = feature({ entity: User, type: "int" });
export const pair = feature({ entity: User, columns: { low: "int", high: "int" } });
export const spent = feature({ entity: User, refresh: "1h", type: "int", sql: "SELECT COALESCE(SUM(amount), 0)::bigint FROM orders WHERE user_id = $user_id" });
export const twice = feature({ entity: User, refresh: 0, type: "int" }, async (user, { get }) => 2 * (await get(score)));
`
/** Who restores Redis, as Fabra notes it: held by a test, nobody does. */
const RESTORER = 'fabra:restorer'
/** Promised within a second; how long it takes a busy machine is not what these tests are about. */
const SOON_MS = 10_000
const RECOVERY_MS = 20_000

let postgres: TestServer
let redis: TestServer
let folder: ProjectFolder
let running: Replica[]
let databases = 0

beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres[Symbol.asyncDispose]())
beforeEach(() => {
  folder = projectFolder({ 'features.ts': FEATURES })
  running = []
})
afterEach(async () => {
  await Promise.all(running.map((one) => one.close()))
  folder[Symbol.dispose]()
})

async function replicas(redisUrl: string, project = folder, list = running): Promise<[Replica, Replica]> {
  const name = `redis_loss_${++databases}`
  await using sql = new SQL(postgres.url, { max: 1 })
  await sql.unsafe(`CREATE DATABASE ${name}`)
  const env = { FABRA_POSTGRES_URL: postgres.url.replace(/\/[^/]*$/, `/${name}`), FABRA_REDIS_URL: redisUrl }
  const a = await startReplica(project, 'a', env)
  list.push(a)
  const b = await startReplica(project, 'b', env)
  list.push(b)
  return [a, b]
}

async function push(replica: Replica, feature: string, rows: readonly object[]): Promise<void> {
  expect(await replica.send('POST', `/v1/features/${feature}/values`, { rows })).toMatchObject({ status: 200 })
}
const readiness = async (replica: Replica) => {
  const { status, json } = await replica.get('/ready')
  return { status, word: json['status'], redis: (json['stores'] as Record<string, string>)['redis'] }
}
/** @param what A word of the reason. */
const isDegraded = (replica: Replica, what: string) =>
  until(`the bad news: ${what}`, SOON_MS, async () => {
    const { status, word, redis: state } = await readiness(replica)
    return status === 200 && word === 'degraded' && state?.includes(what) ? true : undefined
  })
const isWhole = (replica: Replica) =>
  until('the good news', RECOVERY_MS, async () => ((await readiness(replica)).word === 'ready' ? true : undefined))
const answer = async (replica: Replica, feature: string, user: string) => {
  // History that does not tell it in time on a busy machine is no answer yet.
  const json = await until('an answer', SOON_MS, async () => {
    const { status, json } = await replica.get(`/v1/features/${feature}?user_id=${user}`)
    return status === 503 ? undefined : json
  })
  // While Redis is away, what history does not know is an error, which is no answer.
  return { value: json['value'] ?? null, status: json['status'], from: json['served_from'] }
}
const at = (day: number) => `2026-01-0${day}T00:00:00Z`

/** Of each kind of acknowledged write one, and what is to be served from then on. */
async function writeAll(a: Replica, b: Replica): Promise<readonly [feature: string, user: string, value: unknown][]> {
  await push(a, 'score', [{ user_id: 'u1', value: 1, event_timestamp: at(1) }])
  await push(a, 'score', [{ user_id: 'u1', value: 2, event_timestamp: at(2) }])
  await push(b, 'score', [{ user_id: 'corrected', value: 1, event_timestamp: at(1) }])
  await push(a, 'score', [{ user_id: 'corrected', value: 3, event_timestamp: at(1) }])
  await push(a, 'bare', [{ user_id: 'deleted', value: 1, event_timestamp: at(1) }])
  await push(b, 'bare', [{ user_id: 'deleted', delete: true, event_timestamp: at(2) }])
  await push(a, 'bare', [{ user_id: 'forgotten', value: 1, event_timestamp: at(1) }])
  await push(a, 'bare', [{ user_id: 'u1', value: null, event_timestamp: at(1) }])
  await push(b, 'pair', [{ user_id: 'u1', value: { low: 1, high: 9 }, event_timestamp: at(1) }])
  expect((await b.send('DELETE', '/v1/entities/User/forgotten')).status).toBe(200)
  await a.append('orders', { user_id: 'u1', amount: 5, ordered_at: at(1) })
  await until('the event', SOON_MS, async () => ((await b.read('spent')) === 5 ? true : undefined))
  // What is computed is in history a moment later; until then only its own process knows of it.
  await until('the event in history', SOON_MS, async () => {
    const { json } = await b.get('/v1/features/spent/history?entity_id=u1')
    return (json['history'] as { value: unknown }[])[0]?.value === 5 ? true : undefined
  })
  return [
    ['score', 'u1', 2],
    ['score', 'corrected', 3],
    ['score', 'nobody', -1],
    ['bare', 'deleted', null],
    ['bare', 'forgotten', null],
    ['bare', 'u1', null],
    ['pair', 'u1', { low: 1, high: 9 }],
    ['spent', 'u1', 5],
    ['twice', 'u1', 4],
  ]
}

async function readsRight(replica: Replica, expected: Awaited<ReturnType<typeof writeAll>>): Promise<void> {
  const read = await Promise.all(expected.map(async ([feature, user]) => [feature, user, (await answer(replica, feature, user)).value]))
  expect(read as unknown).toEqual(expected)
}

describe('a redis that keeps what SAVE wrote', () => {
  beforeEach(async () => {
    redis = await startRedis()
  })
  afterEach(() => redis[Symbol.asyncDispose]())

  test('is emptied: the first read is as right as the last, at every replica', async () => {
    const [a, b] = await replicas(redis.url)
    const expected = await writeAll(a, b)
    // At one moment: nobody may begin to restore it in between.
    await askRedis(redis, 'EVAL', "redis.call('FLUSHALL') return redis.call('SET', KEYS[1], ARGV[1])", '1', RESTORER, 'the test')
    for (const one of [a, b]) {
      await readsRight(one, expected)
      await isDegraded(one, 'history')
      expect(await answer(one, 'score', 'u1')).toEqual({ value: 2, status: 'stale', from: 'last_good' })
    }
    // What comes meanwhile counts at once.
    await push(a, 'score', [{ user_id: 'u1', value: 7, event_timestamp: at(3) }])
    expect((await answer(b, 'score', 'u1')).value).toBe(7)
    await askRedis(redis, 'DEL', RESTORER)
    for (const one of [a, b]) await isWhole(one)
    for (const one of [a, b]) {
      await readsRight(one, [...expected.filter(([name, user]) => user !== 'u1' || name === 'pair'), ['score', 'u1', 7]])
      expect(await answer(one, 'score', 'u1')).toEqual({ value: 7, status: 'fresh', from: 'online' })
      expect(await answer(one, 'bare', 'nobody')).toMatchObject({ status: 'missing' })
    }
  })

  test('is emptied under reads: no answer is wrong while thousands of keys come back', async () => {
    const [a, b] = await replicas(redis.url)
    const users = Array.from({ length: 5_000 }, (_, i) => ({ user_id: `k${i}`, value: i, event_timestamp: at(1) }))
    await push(a, 'bare', users)
    await emptyRedis(redis)
    let wrong = 0
    const reader = async (replica: Replica) => {
      for (;;) {
        const rows = Array.from({ length: 50 }, () => Math.floor(Math.random() * users.length))
        const { json } = await replica.send('POST', '/v1/features', { features: ['bare'], rows: rows.map((i) => ({ user_id: `k${i}` })) })
        // History that does not tell it in time on a busy machine is no answer yet.
        const results = json['results'] as { values: unknown[]; statuses: string[]; served_from: string[] }[] | undefined
        if (!results || results.some(({ statuses }) => statuses[0] === 'error')) continue
        wrong += results.filter(({ values }, i) => values[0] !== rows[i]).length
        if (results.every(({ served_from }) => served_from[0] === 'online')) return
      }
    }
    await Promise.all([reader(a), reader(b)])
    expect(wrong).toBe(0)
  })

  test('restarts with an older snapshot: what came after it is served from the first read on, and what was forgotten is not', async () => {
    const [a, b] = await replicas(redis.url)
    await push(a, 'score', [{ user_id: 'u1', value: 1, event_timestamp: at(1) }])
    await push(a, 'bare', [{ user_id: 'forgotten', value: 1, event_timestamp: at(1) }])
    expect(await b.read('spent')).toBe(0)
    await askRedis(redis, 'SET', RESTORER, 'the test')
    await askRedis(redis, 'SAVE')
    const expected = await writeAll(a, b)
    await redis.kill()
    await redis.start()
    expect(await askRedis(redis, 'EXISTS', 'fabra:{User:u1}')).toBe(1)
    for (const one of [a, b]) {
      await readsRight(one, expected)
      await isDegraded(one, '')
      await readsRight(one, expected)
    }
    await askRedis(redis, 'DEL', RESTORER)
    for (const one of [a, b]) {
      await isWhole(one)
      await readsRight(one, expected)
      expect(await answer(one, 'score', 'u1')).toMatchObject({ status: 'fresh', from: 'online' })
    }
  })

  test('takes over the older data of a replica, and connections live on: the older data is not believed', async () => {
    const [a, b] = await replicas(redis.url)
    await push(a, 'score', [{ user_id: 'u1', value: 1, event_timestamp: at(1) }])
    await using other = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
    await askRedis(redis, 'CONFIG', 'SET', 'repl-diskless-sync-delay', '0')
    await askRedis(other, 'REPLICAOF', '127.0.0.1', String(redis.port))
    await until('the copy', RECOVERY_MS, async () => (await askRedis(other, 'EXISTS', 'fabra:{User:u1}')) || undefined)
    await askRedis(other, 'REPLICAOF', 'NO', 'ONE')
    const probes = Number(await askRedis(redis, 'HGET', 'fabra:intact', 'probes'))
    await until('probes that the copy lacks', RECOVERY_MS, async () =>
      Number(await askRedis(redis, 'HGET', 'fabra:intact', 'probes')) > probes + 4 ? true : undefined,
    )
    await push(a, 'score', [{ user_id: 'u1', value: 2, event_timestamp: at(2) }])
    await askRedis(redis, 'REPLICAOF', '127.0.0.1', String(other.port))
    await until('the older data', RECOVERY_MS, async () =>
      String(await askRedis(redis, 'HVALS', 'fabra:{User:u1}').catch(() => '2')).includes('\x1f\x1f2') ? undefined : true,
    )
    for (const one of [a, b]) expect((await answer(one, 'score', 'u1')).value).toBe(2)
    for (const one of [a, b]) await isDegraded(one, '')
    await askRedis(redis, 'REPLICAOF', 'NO', 'ONE')
    for (const one of [a, b]) await isWhole(one)
    for (const one of [a, b]) expect(await answer(one, 'score', 'u1')).toMatchObject({ value: 2, from: 'online' })
  })

  test('a refusal that is over before anybody looks: who met it serves nothing older than what another process recorded meanwhile', async () => {
    const both = await replicas(redis.url)
    await using sql = new SQL(postgres.url.replace(/\/[^/]*$/, `/redis_loss_${databases}`), { max: 1 })
    for (let round = 0; round < 5; round++) {
      const user = `u${round}`
      // Each looks at times of its own.
      const [a, b] = round % 2 === 0 ? both : [both[1], both[0]]
      await push(a, 'bare', [{ user_id: user, value: 1, event_timestamp: at(1) }])
      await askRedis(redis, 'CONFIG', 'SET', 'min-replicas-to-write', '1')
      await push(a, 'score', [{ user_id: user, value: 1, event_timestamp: at(1) }])
      await push(b, 'bare', [{ user_id: user, delete: true, event_timestamp: at(2) }])
      // What others owe cannot be read for a while.
      await sql.begin(async (held) => {
        await held`LOCK TABLE fabra.debts IN ACCESS EXCLUSIVE MODE`
        await askRedis(redis, 'CONFIG', 'SET', 'min-replicas-to-write', '0')
        for (let read = 0; read < 200; read++) expect((await answer(a, 'bare', user)).value).toBe(null)
      })
      await isWhole(a)
      expect(await answer(a, 'bare', user)).toMatchObject({ value: null })
    }
  })
})

describe('a redis that refuses writes', () => {
  // One of it and one pair of replicas for all refusals: each has users of its own.
  const shared: Replica[] = []
  let project: ProjectFolder
  let both: [Replica, Replica]
  let count = 0
  beforeAll(async () => {
    redis = await startRedis()
    project = projectFolder({ 'features.ts': FEATURES })
    both = await replicas(redis.url, project, shared)
  })
  afterAll(async () => {
    await Promise.all(shared.map((one) => one.close()))
    project[Symbol.dispose]()
    await redis[Symbol.asyncDispose]()
  })
  const config = (name: string, value: string) => askRedis(redis, 'CONFIG', 'SET', name, value)
  const refusals: readonly [name: string, refuse: () => Promise<unknown>, accept: () => Promise<unknown>, word: string][] = [
    ['for want of memory', () => config('maxmemory', '1'), () => config('maxmemory', '0'), 'OOM'],
    [
      'as a replica',
      async () => askRedis(redis, 'REPLICAOF', '127.0.0.1', String(await freePort())),
      () => askRedis(redis, 'REPLICAOF', 'NO', 'ONE'),
      'READONLY',
    ],
    ['for want of replicas', () => config('min-replicas-to-write', '1'), () => config('min-replicas-to-write', '0'), 'NOREPLICAS'],
    [
      'since its snapshot fails',
      async () => {
        const { dir } = (await askRedis(redis, 'CONFIG', 'GET', 'dir')) as { dir: string }
        rmSync(dir, { recursive: true })
        await config('save', '1 1')
        await askRedis(redis, 'BGSAVE').catch(() => undefined)
        await until('the failure', RECOVERY_MS, async () =>
          String(await askRedis(redis, 'INFO', 'persistence')).includes('rdb_last_bgsave_status:err') ? true : undefined,
        )
      },
      async () => {
        await config('save', '')
        await config('stop-writes-on-bgsave-error', 'no')
      },
      'MISCONF',
    ],
    [
      'of its user',
      () => askRedis(redis, 'ACL', 'SETUSER', 'default', '-eval', '-evalsha'),
      () => askRedis(redis, 'ACL', 'SETUSER', 'default', '+eval', '+evalsha'),
      'NOPERM',
    ],
    ['without a word', () => askRedis(redis, 'CLIENT', 'PAUSE', '600000', 'WRITE'), () => askRedis(redis, 'CLIENT', 'UNPAUSE'), 'in time'],
  ]

  test.each(refusals)('%s: it is told, and what is acknowledged is served', async (_, refuse, accept, word) => {
    const [a, b] = both
    const [user, deleted, fresh] = ['user', 'deleted', 'fresh'].map((name) => `${name}${++count}`) as [string, string, string]
    await push(a, 'score', [{ user_id: user, value: 1, event_timestamp: at(1) }])
    await push(a, 'bare', [{ user_id: deleted, value: 1, event_timestamp: at(1) }])
    await a.append('orders', { user_id: user, amount: 5, ordered_at: at(1) })
    for (const one of [a, b]) expect([await one.read('score', user), await one.read('spent', user)]).toEqual([1, 5])
    await refuse()
    // Nobody writes: they find out by themselves.
    for (const one of [a, b]) await isDegraded(one, word)
    expect((await a.metrics()).match(/^fabra_online_store_doubts\{reason="refused"\} (\d)/m)?.[1]).toBe('1')
    await push(a, 'score', [{ user_id: user, value: 2, event_timestamp: at(2) }])
    await push(b, 'bare', [{ user_id: deleted, delete: true, event_timestamp: at(2) }])
    await push(b, 'pair', [{ user_id: fresh, value: { low: 1, high: 2 }, event_timestamp: at(2) }])
    await a.append('orders', { user_id: user, amount: 6, ordered_at: at(2) })
    for (const one of [a, b]) {
      const answered = (what: string, feature: string, of: string, value: unknown) =>
        until(what, SOON_MS, async () => (Bun.deepEquals((await answer(one, feature, of)).value, value) ? true : undefined))
      await answered('the push', 'score', user, 2)
      await answered('the deletion', 'bare', deleted, null)
      await answered('the first value', 'pair', fresh, { low: 1, high: 2 })
      await answered('what is built on it', 'twice', user, 4)
    }
    for (const one of [a, b]) {
      await until('the event', SOON_MS, async () => ((await one.read('spent', user)) === 11 ? true : undefined))
      expect(await answer(one, 'score', user)).toMatchObject({ value: 2, from: 'last_good' })
    }
    await accept()
    for (const one of [a, b]) {
      await isWhole(one)
      expect(await answer(one, 'score', user)).toEqual({ value: 2, status: 'fresh', from: 'online' })
      expect(await answer(one, 'bare', deleted)).toMatchObject({ value: null })
      expect(await one.read('spent', user)).toBe(11)
    }
  })
})

test('a node of a cluster is emptied, and another restarts without its data: the first read is right', async () => {
  await using cluster = await startRedisCluster()
  const [a, b] = await replicas(cluster.url)
  const users = Array.from({ length: 60 }, (_, i) => ({ user_id: `k${i}`, value: i, event_timestamp: at(1) }))
  await push(a, 'bare', users)
  const allRight = async (replica: Replica) => {
    const rows = users.map(({ user_id }) => ({ user_id }))
    const results = await until('an answer', SOON_MS, async () => {
      const { json } = await replica.send('POST', '/v1/features', { features: ['bare'], rows })
      const answered = json['results'] as { values: unknown[]; statuses: string[]; served_from: string[] }[] | undefined
      return answered?.some(({ statuses }) => statuses[0] === 'error') ? undefined : answered
    })
    expect(results.map(({ values }) => values[0])).toEqual(users.map(({ value }) => value))
    return results.every(({ served_from }) => served_from[0] === 'online')
  }
  for (const one of [a, b]) expect(await allRight(one)).toBe(true)
  await emptyRedis(cluster.nodes[0] as TestServer)
  for (const one of [a, b]) await allRight(one)
  for (const one of [a, b]) await until('all in Redis', RECOVERY_MS, async () => ((await allRight(one)) ? true : undefined))
  await cluster.nodes[1]?.kill()
  for (const one of [a, b]) await allRight(one)
  await cluster.nodes[1]?.start()
  for (const one of [a, b]) await allRight(one)
  for (const one of [a, b]) await until('all in Redis', RECOVERY_MS, async () => ((await allRight(one)) ? true : undefined))
})
