import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { entityKey } from '../../src/definition/entity-key.ts'
import { FabraError } from '../../src/errors.ts'
import { DoubtedRows } from '../../src/store/ports/doubts.ts'
import type { OfflineStore } from '../../src/store/ports/offline-store.ts'
import type { OnlineStore } from '../../src/store/ports/online-store.ts'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'
import { isProductionMode } from '../support/production-mode.ts'
import { fail } from '../support/programmable-executor.ts'
import { startRedis, type TestServer } from '../support/servers.ts'
import { sharedRedis } from '../support/shared-redis.ts'
import { until } from '../support/until.ts'

let bench: Bench
afterEach(() => bench.close())

/** The memory store behind a switch. */
function flaky() {
  const state = { down: false }
  const wrapOnline = (store: OnlineStore): OnlineStore => ({
    ...store,
    read(entity, keys, fields, signal) {
      if (state.down) return Promise.reject(new FabraError('store_unavailable', 'The online store cannot be reached.'))
      return store.read(entity, keys, fields, signal)
    },
    write: (rows) => (state.down ? Promise.reject(new FabraError('store_unavailable', 'It is down.')) : store.write(rows)),
  })
  return { state, wrapOnline }
}

describe('while the online store is down', () => {
  test('a failing feature gives its last good value from history, with its age', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: { maxStaleness: '1h' } } })
    const { clock, read, programme, parts } = bench
    await read('f')
    await parts().recorder.flush()
    state.down = true
    programme.set('f', fail)
    clock.advance('10m')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 600_000 })
    clock.advance('51m')
    expect(await read('f')).toMatchObject({ value: undefined, status: 'error' })
  })

  test('a pushed feature gives its last value from history, else its default, else store_unavailable', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: { kind: 'pushed', maxStaleness: '1h' }, d: { kind: 'pushed', default: 3 } } })
    const { clock, read, push, parts } = bench
    await push('f', 'u1', 9)
    await parts().recorder.flush()
    state.down = true
    clock.advance('1m')
    expect(await read('f')).toMatchObject({ value: 9, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 })
    expect(await read('f', 'u2')).toMatchObject({ status: 'error', error: { code: 'store_unavailable' } })
    expect(await read('d')).toMatchObject({ value: 3, status: 'default' })
  })

  test('what is computed is served, though it cannot be kept', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: {} } })
    state.down = true
    expect(await bench.read('f')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'computed', error: undefined })
  })

  test('and though the store is broken rather than down', async () => {
    const wrapOnline = (store: OnlineStore): OnlineStore => ({ ...store, write: () => Promise.reject(new Error('It is broken.')) })
    bench = await openBench({ wrapOnline, features: { f: {} } })
    expect(await bench.read('f')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'computed', error: undefined })
  })

  test('a store that never answers a write or a claim keeps no reader from what was computed', async () => {
    const never = () => new Promise<never>(() => undefined)
    let isStill = true
    const wrapOnline = (store: OnlineStore): OnlineStore => ({ ...store, write: (rows) => (isStill ? never() : store.write(rows)) })
    bench = await openBench({ wrapOnline, features: { f: { timeout: '1s' } } })
    expect(await bench.read('f')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'computed', error: undefined })
    isStill = false
    expect(await bench.read('f')).toMatchObject({ servedFrom: 'computed' })
    await until('it to be kept', 5_000, async () => (await bench.read('f')).servedFrom === 'online' || undefined)
  })

  test('history is asked once, however many wait for a failing key', async () => {
    const { state, wrapOnline } = flaky()
    let asked = 0
    const answer = Promise.withResolvers<void>()
    const wrapOffline = (store: OfflineStore): OfflineStore => ({
      ...store,
      async latestOfEach(...args) {
        asked++
        await answer.promise
        return store.latestOfEach(...args)
      },
    })
    bench = await openBench({ wrapOnline, wrapOffline, features: { f: {} } })
    await bench.read('f')
    await bench.parts().recorder.flush()
    state.down = true
    bench.programme.set('f', fail)
    const hundred = () => Promise.all(Array.from({ length: 100 }, () => bench.read('f')))
    const first = hundred()
    // Not settle(): it waits for stores to answer, and this one is down.
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    while (asked === 0) await turn()
    const second = hundred()
    for (let i = 0; i < 20; i++) await turn()
    answer.resolve()
    const served = [...(await first), ...(await second)]
    expect(served.every((one) => one.value === 1 && one.servedFrom === 'last_good')).toBe(true)
    expect(asked).toBe(1)
  })

  test('many keys that fail at once are one question to history, and each gets its own value', async () => {
    let asked = 0
    let isGone = false
    const wrapOffline = (store: OfflineStore): OfflineStore => ({
      ...store,
      latestOfEach(...args) {
        asked++
        return isGone ? Promise.reject(new Error('gone')) : store.latestOfEach(...args)
      },
    })
    bench = await openBench({ wrapOffline, features: { f: { default: -1, maxStaleness: '1h' } } })
    bench.programme.set('f', fail)
    const rows = Array.from({ length: 2_000 }, (_, i) => ({ user_id: `u${i}` }))
    // Recorded, and lost by the online store.
    await bench.push('f', 'u7', 70)
    await bench.push('f', 'u1999', 19990)
    await bench.parts().recorder.flush()
    for (const key of ['u7', 'u1999']) await bench.parts().online.forget({ entity: 'User', entityKey: key, at: 0 })
    const served = await bench.readRows(['f'], rows)
    expect(served.flatMap(([one], i) => (one?.servedFrom === 'last_good' ? [[i, one.value]] : []))).toEqual([
      [7, 70],
      [1999, 19990],
    ])
    expect(asked).toBeLessThan(10)
    bench.clock.advance('61m')
    expect((await bench.readRows(['f'], [{ user_id: 'u7' }]))[0]?.[0]?.servedFrom).toBe('default')
    isGone = true
    expect((await bench.readRows(['f'], rows)).every(([one]) => one?.servedFrom === 'default')).toBe(true)
  })

  test('a store with more to read than this process can is not away: the request is overloaded, and history is not asked, too', async () => {
    const state = { isBusy: false, asked: 0 }
    const wrapOnline = (store: OnlineStore): OnlineStore => ({
      ...store,
      read: (...args) => (state.isBusy ? Promise.reject(new FabraError('overloaded', 'Too much.')) : store.read(...args)),
    })
    const wrapOffline = (store: OfflineStore): OfflineStore => ({
      ...store,
      latestOfEach(...args) {
        state.asked++
        return store.latestOfEach(...args)
      },
    })
    bench = await openBench({ wrapOnline, wrapOffline, features: { f: { kind: 'pushed' } } })
    await bench.push('f', 'u1', 9)
    const before = state.asked
    state.isBusy = true
    await expect(bench.read('f')).rejects.toMatchObject({ code: 'overloaded' })
    expect(state.asked).toBe(before)
    state.isBusy = false
    expect(await bench.read('f')).toMatchObject({ value: 9, status: 'fresh', servedFrom: 'online' })
  })

  test('reads are as before as soon as it is back', async () => {
    const { state, wrapOnline } = flaky()
    bench = await openBench({ wrapOnline, features: { f: { kind: 'pushed' } } })
    await bench.push('f', 'u1', 9)
    state.down = true
    await bench.read('f')
    state.down = false
    expect(await bench.read('f')).toMatchObject({ value: 9, status: 'fresh', servedFrom: 'online' })
  })
})

describe('while the online store may lack what is recorded', () => {
  /** The memory store, of which somebody says so. */
  function doubted() {
    const state = { rows: 'all' as 'all' | 'old' | 'none' | 'unreported', history: 'answers' as 'answers' | 'fails' | 'hangs', asked: 0 }
    const wrapOnline = (store: OnlineStore): OnlineStore => ({
      ...store,
      async read(...args) {
        // A store of production may have its own doubts by then: it lacks what was refused to it.
        const rows = await Promise.resolve(store.read(...args)).catch((error: unknown) => {
          if (error instanceof DoubtedRows && error.rows) return error.rows
          throw error
        })
        if (state.rows === 'all') return rows
        throw new DoubtedRows(state.rows === 'none' ? undefined : rows, state.rows === 'unreported')
      },
      write: (rows) => (state.rows === 'old' ? Promise.reject(new FabraError('store_unavailable', 'It is full.')) : store.write(rows)),
    })
    const wrapOffline = (store: OfflineStore): OfflineStore => ({
      ...store,
      latestOfEach(...args) {
        state.asked++
        if (state.history === 'hangs') return new Promise(() => undefined)
        return state.history === 'fails' ? Promise.reject(new FabraError('store_unavailable', 'gone')) : store.latestOfEach(...args)
      },
    })
    return { state, wrapOnline, wrapOffline }
  }

  test('the newest of history counts, the store where it is as new, and what history does not know is missing', async () => {
    const { state, ...wraps } = doubted()
    bench = await openBench({ ...wraps, features: { f: { kind: 'pushed' }, d: { kind: 'pushed', default: 3 } } })
    const { read, push, parts } = bench
    await push('f', 'u1', 1)
    await push('f', 'u2', 1)
    state.rows = 'old'
    bench.clock.advance('1m')
    await push('f', 'u1', 2).catch(() => undefined)
    await parts().recorder.flush()
    expect(await read('f', 'u1')).toMatchObject({ value: 2, status: 'stale', servedFrom: 'last_good' })
    expect(await read('f', 'u2')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'online' })
    state.rows = 'none'
    expect(await read('f', 'u2')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good' })
    expect(await read('f', 'u3')).toMatchObject({ status: 'missing', error: undefined })
    expect(await read('d', 'u3')).toMatchObject({ value: 3, status: 'default' })
  })

  test('all features and keys of a request are one question to history, and each gets its own value', async () => {
    const { state, ...wraps } = doubted()
    const names = ['f', 'g', 'h']
    bench = await openBench({ ...wraps, features: Object.fromEntries(names.map((name) => [name, { kind: 'pushed' as const }])) })
    const { push, parts, readRows } = bench
    for (const [i, name] of names.entries()) for (const user of ['u1', 'u2']) await push(name, user, i * 10 + Number(user.slice(1)))
    await parts().recorder.flush()
    state.rows = 'none'
    const before = state.asked
    const rows = await readRows(names, [{ user_id: 'u2' }, { user_id: 'u1' }, { user_id: 'u2' }])
    expect(rows.map((row) => row.map((one) => one.value))).toEqual([
      [2, 12, 22],
      [1, 11, 21],
      [2, 12, 22],
    ])
    expect(state.asked - before).toBe(1)
  })

  test.each(['fails', 'hangs'] as const)(
    'and history %s, nothing is called fresh or missing, and only the first read waits',
    async (how) => {
      const { state, ...wraps } = doubted()
      const patience = how === 'hangs' ? { historyPatience: { waitMs: 900, readMs: 450 } } : {}
      bench = await openBench({ ...wraps, ...patience, features: { f: { kind: 'pushed' } } })
      const { read, push, parts } = bench
      await push('f', 'u1', 1)
      await push('f', 'u4', undefined)
      await parts().recorder.flush()
      expect(await read('f', 'u4')).toMatchObject({ status: 'missing' })
      // That a key has no value cannot be told as what was so before.
      const unknown = { status: 'error', error: { code: 'store_unavailable' } }
      state.history = how
      state.rows = 'old'
      // History that only is slow may have taken something newer.
      const served = how === 'fails' ? { value: 1, status: 'stale', servedFrom: 'last_good' } : { status: 'error', value: undefined }
      expect(await Promise.all([read('f', 'u1'), read('f', 'u4')])).toMatchObject([served, unknown])
      const { asked } = state
      state.rows = 'none'
      const [u1, u2, u4] = await Promise.all([read('f', 'u1'), read('f', 'u2'), read('f', 'u4')])
      // A store of production keeps what this process read of it last.
      const keeps = isProductionMode && how === 'fails'
      expect(u1).toMatchObject(keeps ? served : unknown)
      expect([u2, u4]).toMatchObject([unknown, unknown])
      expect(state.asked).toBe(asked)
      // Nothing says that the store lacks anything: what it has is the last good value, and fresh where history takes nothing that is newer.
      state.rows = 'unreported'
      const isAway = how === 'fails'
      const answer = isAway ? { status: 'fresh', servedFrom: 'online' } : { status: 'stale', servedFrom: 'last_good' }
      expect(await read('f', 'u1')).toMatchObject({ value: 1, ...answer })
      for (const key of ['u2', 'u4']) expect(await read('f', key)).toMatchObject({ status: isAway ? 'missing' : 'error' })
    },
  )

  test('a value that is computed is computed once, kept by this process, and gives way to what another process recorded', async () => {
    const { state, ...wraps } = doubted()
    bench = await openBench({ ...wraps, features: { f: { maxStaleness: '1h' } } })
    const { clock, read, programme, push, parts } = bench
    state.rows = 'none'
    expect(await read('f')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'computed' })
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good' })
    expect(programme.count('f')).toBe(1)
    clock.advance('1m')
    await push('f', 'u1', 7)
    await parts().recorder.flush()
    expect(await read('f')).toMatchObject({ value: 7, servedFrom: 'last_good', ageMs: 0 })
    expect(programme.count('f')).toBe(1)
  })
})

describe('while redis is down', () => {
  let server: TestServer
  beforeEach(async () => {
    server = await startRedis()
  })
  afterEach(() => server[Symbol.asyncDispose]())
  const open = async (features: WrittenBench['features']) => {
    bench = await openBench({ features, openShared: () => sharedRedis(server) })
    return bench
  }
  const restarted = async () => {
    await server.start()
    const { online } = bench.parts()
    await until('redis to be usable again', 5_000, () =>
      Promise.all([online.read('User', ['u1'], ['f'], 'deciding'), online.erasuresSince(0)]).catch(() => undefined),
    )
  }

  test('what this process last read is served with its age, computed anew behind it when it is due, and never beyond max staleness', async () => {
    const { clock, read, idle, programme } = await open({ f: { maxStaleness: '1h' } })
    let computed = 0
    programme.set('f', () => ++computed)
    await read('f')
    expect(await read('f')).toMatchObject({ servedFrom: 'online' })
    await server.kill()
    clock.advance('1m')
    expect(await Promise.all([read('f'), read('f')])).toMatchObject([
      { value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 },
      { value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 },
    ])
    expect(programme.count('f')).toBe(1)
    clock.advance('9m')
    expect(await read('f')).toMatchObject({ value: 1, servedFrom: 'last_good', ageMs: 600_000 })
    await idle()
    expect(await read('f')).toMatchObject({ value: 2, servedFrom: 'last_good', ageMs: 0 })
    expect(programme.count('f')).toBe(2)
    expect(await read('f', 'u1', '1ms')).toMatchObject({ value: 2 })
    programme.set('f', fail)
    clock.advance('30m')
    expect(await read('f', 'u1', '10m')).toMatchObject({ status: 'error', error: { code: 'feature_failed' } })
    expect(await read('f')).toMatchObject({ value: 2, servedFrom: 'last_good', ageMs: 1_800_000 })
    clock.advance('31m')
    await idle()
    expect(await read('f')).toMatchObject({ status: 'error' })
    await restarted()
  })

  test('a pushed value gives its copy, else its last row of history, else its default, else store_unavailable, and is as before afterwards', async () => {
    const { clock, read, push, parts } = await open({ f: { kind: 'pushed', maxStaleness: '1h' }, d: { kind: 'pushed', default: 3 } })
    await push('f', 'u1', 9)
    await push('f', 'u2', 10)
    await parts().recorder.flush()
    await read('f', 'u1')
    await server.kill()
    clock.advance('1m')
    expect(await read('f', 'u1')).toMatchObject({ value: 9, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 })
    expect(await read('f', 'u2')).toMatchObject({ value: 10, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 })
    expect(await read('f', 'u3')).toMatchObject({ status: 'error', error: { code: 'store_unavailable' } })
    expect(await read('d')).toMatchObject({ value: 3, status: 'default' })
    await restarted()
    await push('f', 'u1', 11, clock.now())
    expect(await read('f')).toMatchObject({ value: 11, status: 'fresh', servedFrom: 'online' })
  })

  test('a copy of a key that was forgotten is not served', async () => {
    const { clock, read, push, parts, registry } = await open({ f: { kind: 'pushed' } })
    await push('f', 'u1', 9)
    await read('f')
    await server.kill()
    const user = registry.entities.get('User')
    if (!user) throw new Error('There is no User.')
    clock.advance('1s')
    await parts()
      .recorder.forget(user, ['f'], entityKey(user, ['u1']))
      .catch(() => undefined)
    expect(await read('f')).toMatchObject({ status: 'error', value: undefined })
    await restarted()
  })
})
