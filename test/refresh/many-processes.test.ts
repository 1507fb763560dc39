import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { createIdleValues } from '../../src/app/idle-values.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import { createRecomputer } from '../../src/ingest/recompute.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import type { Doubts } from '../../src/store/ports/doubts.ts'
import { createRedisActiveKeyStore } from '../../src/store/redis/active-key-store.ts'
import { createRedisLeaseStore } from '../../src/store/redis/lease-store.ts'
import { createRedisOnlineSweep } from '../../src/store/redis/online-sweep.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { type Bench, type BenchShared, openBench, type WrittenBench } from '../support/bench.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { failure } from '../support/programmable-executor.ts'
import { askRedis, emptyRedis, startRedis, type TestServer } from '../support/servers.ts'
import { sharedRedis } from '../support/shared-redis.ts'
import { until } from '../support/until.ts'

let server: TestServer
let processes: Bench[] = []
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => emptyRedis(server))
afterEach(async () => {
  await Promise.all(processes.map((process) => process.close()))
  processes = []
})

/** Two processes that share a Redis, each with a clock and user code of its own. */
async function two(features: WrittenBench['features']): Promise<[Bench, Bench]> {
  const open = () =>
    openBench({
      features,
      openShared: trusted,
    })
  const [a, b] = [await open(), await open()]
  processes = [a, b]
  for (const one of processes) await sure(one)
  return [a, b]
}
/** No process owes anything here. That history has not told so of late makes a reader unsure of what Redis says, and is a matter of how fast it answers. */
async function trusted(): Promise<BenchShared> {
  const shared = await sharedRedis(server)
  const doubts: Doubts = Object.create(shared.online.doubts, { trustUntil: { value: () => undefined } })
  return { ...shared, online: { ...shared.online, doubts } }
}
/** On a busy machine the first look may find Redis late: such a process does not take what it reads for all there is. */
const sure = (process: Bench) =>
  until('Redis to be believed', 5_000, async () => {
    const { online } = process.parts()
    if (online.doubts.isAny) await online.look()
    return !online.doubts.isAny || undefined
  })
const advance = (by: string) => {
  for (const process of processes) process.clock.advance(by)
}
const tick = () => Promise.all(processes.map((process) => process.scheduler().tick()))
const sync = async () => {
  for (const process of processes) await process.shared()?.sync()
}

describe('of two processes', () => {
  test('one refreshes, for the keys that either uses, and the other serves what it computed', async () => {
    const [a, b] = await two({ f: { refresh: '5m' } })
    a.programme.set('f', () => 1)
    b.programme.set('f', () => 1)
    await a.read('f', 'u1')
    await b.read('f', 'u2')
    await b.read('f', 'ü:{3}')
    await sync()
    const before = a.programme.count('f') + b.programme.count('f')
    expect(before).toBe(3)
    for (let window = 1; window <= 3; window++) {
      advance('5m')
      await tick()
      expect(a.programme.count('f') + b.programme.count('f')).toBe(before + 3 * window)
      expect(await a.read('f', 'u2')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
      expect(await b.read('f', 'ü:{3}')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
    }
    // All by the same one.
    expect([a.programme.count('f'), b.programme.count('f')].sort((x, y) => x - y)).toContainEqual(expect.any(Number))
    expect(Math.min(a.programme.count('f') - 1, b.programme.count('f') - 2)).toBe(0)
  })

  test('the other takes over when the one that refreshes stops', async () => {
    const [a, b] = await two({ f: { refresh: '5m' } })
    await a.read('f', 'u1')
    await sync()
    advance('5m')
    await a.scheduler().tick()
    await b.scheduler().tick()
    expect([a.programme.count('f'), b.programme.count('f')]).toEqual([2, 0])
    await a.close()
    processes = [b]
    advance('5m')
    await tick()
    expect(b.programme.count('f')).toBe(1)
  })

  test('a value that one wrote later is not replaced by an older one of the other', async () => {
    const [a, b] = await two({ f: { kind: 'pushed' } })
    await a.push('f', 'u1', 'new', a.clock.now())
    await b.push('f', 'u1', 'old', b.clock.now() - 1)
    expect(await b.read('f')).toMatchObject({ value: 'new' })
  })

  test('one lets values leave Redis that nobody has read for keep_warm, and nothing else', async () => {
    const [a, b] = await two({ f: { refresh: '5m', keepWarm: '1h', timeout: '20s' }, p: { kind: 'pushed' } })
    for (const process of processes) process.programme.set('f', ({ key }) => Number(key.slice(1)))
    const keys = Array.from({ length: 400 }, (_, i) => `u${i}`)
    await a.push('p', 'u1', 'told', a.clock.now())
    await a.read('f', 'u1')
    await a.read('f', 'u7')
    await sync()
    const size = async () => ((await askRedis(server, 'KEYS', 'fabra:{*')) as string[]).length
    const before = await size()
    await a.readRows(
      ['f'],
      keys.map((user_id) => ({ user_id })),
    )
    await sync()
    expect(await size()).toBeGreaterThan(before + 390)
    const redis = await openRedis({ url: server.url, ...PATIENT_REDIS })
    const [online, activeKeys, leases] = [createRedisOnlineSweep(redis), createRedisActiveKeyStore(redis), createRedisLeaseStore(redis)]
    const sweeper = createIdleValues({ online, activeKeys, leases, features: () => a.registry.features, clock: a.clock, log: silentLogger })
    expect(await sweeper.sweep()).toBe(0)
    advance('30m')
    await b.read('f', 'u7')
    await sync()
    advance('40m')
    expect(await sweeper.sweep()).toBe(399)
    expect([await size(), await askRedis(server, 'ZCARD', 'fabra:active:f')]).toEqual([before, 1])
    for (const key of ['u1', 'u3', 'u7']) expect(await b.read('f', key)).toMatchObject({ value: Number(key.slice(1)) })
    expect(await b.read('p', 'u1')).toMatchObject({ value: 'told', servedFrom: 'online' })

    // What is written while it is looked at stays.
    advance('10m')
    const seen: string[] = []
    let place: string | null = null
    let removed = 0
    do {
      const lot: { readonly removed: number; readonly next: string | null } = await online.lot(place, async (values) => {
        const some = values.filter(({ key, origin }) => key === 'u3' && origin === 'computed')
        if (some.length > 0) await a.read('f', 'u3', '1ms')
        seen.push(...values.map(({ field, key, origin }) => `${field.split('@')[0]} ${key} ${origin}`))
        return some
      })
      place = lot.next
      removed += lot.removed
    } while (place !== null)
    expect([removed, [...new Set(seen)].sort()]).toEqual([0, ['f u1 computed', 'f u3 computed', 'f u7 computed', 'p u1 pushed']])
    await sweeper.close()
    await redis.close()
  })

  test('history shows every change that was served, though each of them leaves out what it holds for unchanged', async () => {
    const [a, b] = await two({ f: { refresh: '5m' } })
    a.programme.set('f', () => 5)
    b.programme.set('f', () => 6)
    const compute = async (process: Bench) => {
      advance('10s')
      await process.read('f', 'u1', '1ms')
    }
    await compute(a)
    await compute(a)
    await compute(b)
    await compute(a)
    await compute(a)
    expect(await valuesOf(a)).toEqual(['5', '5'])
    expect(await valuesOf(b)).toEqual(['6'])
    // One of b that comes late, between two equal ones of a, of which history has but the first.
    const feature = b.registry.features.get('f')
    const entity = b.registry.entities.get('User')
    if (!feature || !entity) throw new Error('There is no f.')
    const late = {
      texts: ['7'],
      eventAt: a.clock.now() - 5_000_000,
      availableAt: a.clock.now(),
      origin: 'computed',
      oldestInputAt: null,
    } as const
    await b.parts().recorder.record([{ feature, entity, key: entityKey(entity, ['u1']), value: late }], { durable: false })
    expect(await valuesOf(b)).toEqual(['5', '7', '6'])
  })

  test('what one forgot, the other neither brings back nor refreshes', async () => {
    const [a, b] = await two({ f: { refresh: '5m' }, p: { kind: 'pushed' } })
    const user = a.registry.entities.get('User')
    if (!user) throw new Error('There is no User.')
    await b.read('f', 'u1')
    await b.read('f', 'u2')
    await sync()
    const before = b.clock.now()
    advance('1m')
    await a.ingest().forget(user, entityKey(user, ['u1']))
    // Before it has heard: an event of before is refused by the store, and tells of the erasure.
    await b.push('p', 'u1', 1, before)
    expect(b.parts().recorder.erasures.isErased('User', 'u1', before)).toBe(true)
    expect(await b.read('p')).toMatchObject({ status: 'missing' })
    await sync()
    advance('5m')
    const count = b.programme.count('f')
    await b.scheduler().tick()
    await a.scheduler().tick()
    expect(b.programme.count('f') - count).toBe(1)
    expect(a.programme.count('f')).toBe(0)
    expect(await a.parts().online.read('User', ['u1'], ['f@x'])).toEqual([[undefined]])
    await b.push('p', 'u1', 2)
    expect(await a.read('p')).toMatchObject({ value: 2 })
  })

  test('a cold key is computed once, however many callers of both wait, and all are told the same', async () => {
    const [a, b] = await two({ f: {}, g: { kind: 'function' } })
    for (const name of ['f', 'g']) {
      let computed = 0
      await askRedis(server, 'CONFIG', 'RESETSTAT')
      const release = Promise.withResolvers<void>()
      const compute = async () => {
        computed++
        await release.promise
        return computed
      }
      a.programme.set(name, compute)
      b.programme.set(name, compute)
      const callers = [...Array.from({ length: 20 }, () => a.read(name)), ...Array.from({ length: 20 }, () => b.read(name))]
      await until('a computation', 5_000, async () => (computed > 0 ? true : undefined))
      // Another process looks for the answer meanwhile, over and over.
      await until('many looks', 5_000, async () => Number(await commandsOf('hmget')) > 60 || undefined)
      release.resolve()
      const served = await Promise.all(callers)
      expect(served.filter((one) => one.value !== 1 || one.status !== 'fresh')).toEqual([])
      expect(computed).toBe(1)
    }
    await claimsLetGo()
  })

  test('what one answers after the other has looked for it, and before it claims it, is not computed again', async () => {
    const claiming = Promise.withResolvers<void>()
    const mayClaim = Promise.withResolvers<void>()
    const [a] = await two({ f: {} })
    const b = await openBench({
      features: { f: {} },
      openShared: async () => {
        const shared = await trusted()
        const claim: typeof shared.claims.claim = async (...asked) => {
          claiming.resolve()
          await mayClaim.promise
          return shared.claims.claim(...asked)
        }
        return { ...shared, claims: { ...shared.claims, claim } }
      },
    })
    processes.push(b)
    await sure(b)
    const late = b.read('f')
    await claiming.promise
    expect(await a.read('f')).toMatchObject({ value: 1, servedFrom: 'computed' })
    await claimsLetGo()
    mayClaim.resolve()
    expect(await late).toMatchObject({ value: 1, status: 'fresh' })
    expect([a.programme.count('f'), b.programme.count('f')]).toEqual([1, 0])
  })

  test('a first value that one computes while rows come to the other is computed once more', async () => {
    const [a, b] = await two({ f: {} })
    const gate = Promise.withResolvers<void>()
    let events = 1
    a.programme.set('f', async () => {
      const seen = events
      await gate.promise
      return seen
    })
    b.programme.set('f', () => events)
    const first = a.read('f')
    await until('the computation', 5_000, async () => (a.programme.count('f') === 1 ? true : undefined))
    advance('1s')
    events = 2
    const { online } = b.parts()
    const version = () => b.version().ingest
    const recomputer = createRecomputer({
      version,
      online,
      keysInUse: async () => [],
      recorded: async (_, keys) => keys.map(() => false),
      sharedWithinMs: null,
      clock: b.clock,
      log: silentLogger,
    })
    const [feature, user] = [b.registry.features.get('f'), b.registry.entities.get('User')]
    if (!feature || !user) throw new Error('There is no f.')
    recomputer.add(feature, new Map([['u1', entityKey(user, ['u1'])]]), b.clock.now())
    await Bun.sleep(50)
    gate.resolve()
    expect(await first).toMatchObject({ value: 1 })
    await recomputer.idle()
    expect(await a.read('f')).toMatchObject({ value: 2, servedFrom: 'online' })
    await recomputer.close()
  })

  test('when the one that computes a key fails, the other tries', async () => {
    const [a, b] = await two({ f: {} })
    const release = Promise.withResolvers<number>()
    a.programme.set('f', () => release.promise)
    const failing = a.read('f')
    // Not before the first has been told: what this one finds is a last good value for it.
    b.programme.set('f', () => failing.then(() => 2))
    await until('the computation of the first', 5_000, async () => a.programme.count('f') || undefined)
    const other = b.read('f')
    release.reject(failure('feature_failed'))
    expect(await failing).toMatchObject({ status: 'error' })
    expect(await other).toMatchObject({ value: 2, status: 'fresh' })
  })

  test('a process that dies while it computes costs the others half a second, not their answer', async () => {
    const [a] = await two({ f: { timeout: '10s' } })
    // What the dead one left.
    const claims = (await sharedRedis(server)).claims
    const { fingerprint } = a.registry.features.get('f') ?? {}
    expect(await claims.claim([{ entity: 'User', key: 'u1', field: `f@${fingerprint}` }], 500)).toEqual(['won'])
    expect(await a.read('f')).toMatchObject({ value: 1, status: 'fresh' })
  })
})

/** What a process has recorded of f for u1, newest first. */
async function valuesOf(process: Bench): Promise<(string | null)[]> {
  const { recorder, offline } = process.parts()
  await recorder.flush()
  const { name: feature, fingerprint = '' } = process.registry.features.get('f') ?? {}
  const rows = await offline.history({ feature: feature ?? '', fingerprint, entityKey: 'u1', from: null, to: null, limit: 100 })
  return rows.map((row) => row.value)
}

function claimsLetGo(): Promise<boolean> {
  return until('claims to be let go', 5_000, async () => {
    const claims = (await askRedis(server, 'KEYS', 'fabra:claim:*')) as string[]
    const holders = await Promise.all(claims.map((claim) => askRedis(server, 'GET', claim)))
    return holders.every((holder) => !holder) || undefined
  })
}

async function commandsOf(name: string): Promise<string> {
  const stats = String(await askRedis(server, 'INFO', 'commandstats'))
  return new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? '0'
}
