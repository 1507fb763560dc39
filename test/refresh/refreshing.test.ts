import { afterEach, describe, expect, test } from 'bun:test'
import type { OnlineStore } from '../../src/store/ports/online-store.ts'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'
import { fail, failure, NO_ROW } from '../support/programmable-executor.ts'
import { until } from '../support/until.ts'

let bench: Bench
afterEach(() => bench.close())
const open = async (written: WrittenBench['features'], rest: Partial<WrittenBench> = {}) => {
  bench = await openBench({ ...rest, features: written })
  return bench
}
/** Time goes on by steps, a tick at each, as the timer would. */
const pass = async (total: number, step: number) => {
  for (let at = 0; at < total; at += step) {
    bench.clock.advance(step)
    await bench.scheduler().tick()
  }
}
const SECOND = 1_000_000
const MINUTE = 60 * SECOND

describe('refreshing', () => {
  test('a key that was read is kept fresh for as long as it is in use, without being read', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m', keepWarm: '2h' } })
    let n = 0
    programme.set('f', () => ++n)
    await read('f')
    for (let i = 0; i < 110; i++) {
      await pass(MINUTE, 5 * SECOND)
      const stored = (await bench.parts().online.read('User', ['u1'], [`f@${bench.registry.features.get('f')?.fingerprint}`]))[0]
      expect(clock.now() - (stored?.[0]?.eventAt ?? 0)).toBeLessThanOrEqual(5.5 * MINUTE)
    }
    expect(await read('f')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
    expect(n).toBeGreaterThanOrEqual(22)
    expect(n).toBeLessThanOrEqual(24)
    // Behind the two hours of the first read, within those of the second, which found it fresh.
    await pass(20 * MINUTE, 5 * SECOND)
    expect(await read('f')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
  })

  test('a key not read for longer than keep_warm is let go', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m', keepWarm: '1h' } })
    await read('f')
    clock.advance('61m')
    const before = programme.count('f')
    await pass(20 * MINUTE, MINUTE)
    expect(programme.count('f')).toBe(before)
    expect(await read('f')).toMatchObject({ status: 'stale' })
  })

  test('keep_warm is a day by default, or ten refreshes when that is longer', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m' }, slow: { refresh: '1d' } })
    await read('f')
    await read('slow')
    clock.advance('23h')
    await bench.scheduler().tick()
    expect(programme.count('f')).toBe(2)
    clock.advance('2h')
    await bench.scheduler().tick()
    expect(programme.count('f')).toBe(2)
    const slow = programme.count('slow')
    clock.advance('8d')
    await bench.scheduler().tick()
    expect(programme.count('slow')).toBe(slow + 1)
    clock.advance('2d')
    await bench.scheduler().tick()
    expect(programme.count('slow')).toBe(slow + 1)
  })

  test('pushed and realtime features are not refreshed', async () => {
    const { read, push, programme } = await open({ p: { kind: 'pushed' }, r: { refresh: 0 } })
    await push('p', 'u1', 1)
    await read('p')
    await read('r')
    const { features } = bench.registry
    for (const feature of features.values()) expect((await bench.parts().activeKeys.of(feature)).length).toBe(0)
    await pass(60 * MINUTE, MINUTE)
    expect(programme.count()).toBe(1)
    expect(bench.parts().runs.list({ limit: 10 })).toEqual([])
  })

  test('keys in use stay in use over a restart', async () => {
    const { read, programme, clock, restart } = await open({ f: { refresh: '5m' } })
    await read('f')
    await restart()
    clock.advance('6m')
    await bench.scheduler().tick()
    expect(programme.count('f')).toBe(2)
  })

  test('windows that were missed are made up for once', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m' } })
    await read('f')
    await bench.scheduler().tick()
    const before = bench.parts().runs.list({ limit: 10 }).length
    clock.advance('5h')
    for (let i = 0; i < 3; i++) await bench.scheduler().tick()
    expect(programme.count('f')).toBe(2)
    expect(bench.parts().runs.list({ limit: 10 }).length).toBe(before + 1)
  })

  test('a key computed in this window already is left alone', async () => {
    const { read, programme } = await open({ f: { refresh: '5m' } })
    await bench.scheduler().tick()
    await pass(6 * MINUTE, 5 * SECOND)
    await read('f', 'u1')
    await read('f', 'u2')
    await pass(5 * MINUTE, 5 * SECOND)
    expect([programme.count('f', 'u1'), programme.count('f', 'u2')]).toEqual([2, 2])
  })

  test('features do not all start at once: each has its own place in the interval', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `f${i}`)
    const { read, programme, clock } = await open(Object.fromEntries(names.map((name) => [name, { refresh: '5m' }])))
    for (const name of names) await read(name)
    const starts = new Set<number>()
    for (const name of names) {
      programme.set(name, () => {
        starts.add(clock.now())
        return 1
      })
    }
    await pass(5 * MINUTE, SECOND)
    expect(starts.size).toBeGreaterThan(5)
  })

  test('every due feature gets its turn, however many are due', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `f${i}`)
    const { read, programme, clock } = await open(Object.fromEntries(names.map((name) => [name, { refresh: '10s' }])))
    for (const name of names) await read(name)
    clock.advance('21s')
    await bench.scheduler().tick()
    expect(names.map((name) => programme.count(name))).toEqual(names.map(() => 2))
  })

  test('a run never overlaps itself, and a slow feature does not hold up the others', async () => {
    const { read, programme, clock } = await open({ slow: { refresh: '10s' }, quick: { refresh: '10s' } })
    await read('slow')
    await read('quick')
    const release = Promise.withResolvers<number>()
    let at = 0
    let most = 0
    programme.set('slow', async () => {
      most = Math.max(most, ++at)
      await release.promise
      at--
      return 2
    })
    const ticks: Promise<void>[] = []
    for (let i = 0; i < 10; i++) {
      clock.advance('10s')
      ticks.push(bench.scheduler().tick())
      // The slow one hangs meanwhile; the quick one has its turn in every window.
      await until('the quick feature', 5_000, async () => {
        if (programme.count('quick') === i + 2) return true
        // Its last run may not have ended when the window began.
        ticks.push(bench.scheduler().tick())
        return undefined
      })
    }
    expect(most).toBe(1)
    expect(programme.count('slow')).toBe(2)
    expect(programme.count('quick')).toBe(11)
    release.resolve(2)
    await Promise.all(ticks)
  })

  test('readers that miss a key while it is refreshed join its computation', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m', maxStaleness: '6m' } })
    await read('f')
    clock.advance('7m')
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const tick = bench.scheduler().tick()
    await until('the refresh to compute', 5_000, async () => (programme.count('f') === 2 ? true : undefined))
    const late = read('f')
    // It has asked the store, which need not be in this process.
    await bench.settle()
    release.resolve(9)
    expect(await late).toMatchObject({ value: 9, status: 'fresh', servedFrom: 'computed' })
    await tick
    expect(programme.count('f')).toBe(2)
  })

  test('all keys of a SQL feature are one question', async () => {
    const { readRows, programme, clock } = await open({ f: { refresh: '5m' } })
    await readRows(
      ['f'],
      Array.from({ length: 500 }, (_, i) => ({ user_id: `u${i}` })),
    )
    clock.advance('10m')
    await bench.scheduler().tick()
    expect(programme.batches('f')).toEqual([500, 500])
  })

  test('each key of a function feature has the feature’s whole timeout, however many keys there are', async () => {
    const { readRows, programme, clock } = await open({ f: { kind: 'function', refresh: '5m', timeout: '17s' } })
    const rows = Array.from({ length: 640 }, (_, i) => ({ user_id: `u${i}` }))
    await readRows(['f'], rows)
    const asked = programme.batches('f').length
    const given = new Set<number>()
    programme.set('f', ({ timeoutMs }) => {
      given.add(timeoutMs)
      return 2
    })
    clock.advance('10m')
    await bench.scheduler().tick()
    expect(bench.parts().runs.list({ limit: 1 })).toMatchObject([{ keys: 640, changed: 640, failed: 0 }])
    expect([...given]).toEqual([17_000])
    // As many as run at once: more would wait while their time runs.
    expect(Math.max(...programme.batches('f').slice(asked))).toBeLessThanOrEqual(64)
  })

  test('a function that takes lists gets whole ones, four at a time', async () => {
    const { readRows, programme, clock } = await open({ f: { kind: 'function', refresh: '5m', batch: 200 } })
    const rows = Array.from({ length: 1000 }, (_, i) => ({ user_id: `u${i}` }))
    await readRows(['f'], rows)
    const asked = programme.batches('f').length
    clock.advance('10m')
    await bench.scheduler().tick()
    // The executor parts them into lists.
    expect(programme.batches('f').slice(asked)).toEqual([800, 200])
  })
})

describe('refreshing by a cron string', () => {
  test('computes again at each firing, in UTC', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '0 6 * * *', keepWarm: '30d' } })
    clock.set('2026-01-02T05:00:00Z')
    await read('f')
    clock.set('2026-01-02T05:59:59Z')
    await bench.scheduler().tick()
    expect(programme.count('f')).toBe(1)
    clock.set('2026-01-02T06:00:00Z')
    await bench.scheduler().tick()
    await bench.scheduler().tick()
    expect(programme.count('f')).toBe(2)
    clock.set('2026-01-05T07:00:00Z')
    await bench.scheduler().tick()
    await bench.scheduler().tick()
    expect(programme.count('f')).toBe(3)
    expect(await read('f')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
  })
})

describe('a refresh that fails', () => {
  test('never overwrites a good value, backs off, and recovers', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m' } })
    await read('f')
    clock.set('2026-01-02T03:10:20Z')
    programme.set('f', fail)
    await pass(4 * MINUTE, SECOND)
    const tries = programme.count('f') - 1
    expect(tries).toBeGreaterThanOrEqual(6)
    expect(tries).toBeLessThanOrEqual(9)
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'online' })
    programme.set('f', () => 2)
    await pass(5 * MINUTE, SECOND)
    expect(await read('f')).toMatchObject({ value: 2, status: 'fresh' })
  })

  test('of one key leaves the others refreshed, and only that key is tried again', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m' } })
    await read('f', 'good')
    await read('f', 'bad')
    programme.set('f', (call) => (call.key === 'bad' ? fail(call) : 2))
    clock.advance('5m')
    await pass(MINUTE, SECOND)
    expect(programme.count('f', 'good')).toBe(2)
    expect(programme.count('f', 'bad')).toBeGreaterThan(3)
    expect(await read('f', 'good')).toMatchObject({ value: 2, status: 'fresh' })
    expect(await read('f', 'bad')).toMatchObject({ value: 1 })
  })

  test('to keep its answers at all has failed', async () => {
    let isBroken = false
    const wrapOnline = (store: OnlineStore): OnlineStore => ({
      ...store,
      write: (rows) => (isBroken ? Promise.reject(new Error('It is broken.')) : store.write(rows)),
    })
    const { read, clock } = await open({ f: { refresh: '5m' } }, { wrapOnline })
    await read('f')
    isBroken = true
    clock.advance('6m')
    await bench.scheduler().tick()
    expect(bench.parts().runs.list({ limit: 1 })).toMatchObject([{ keys: 1, failed: 1 }])
  })

  test('to show its answers has not failed: history has them, and they are owed to the online store', async () => {
    let down = false
    const wrapOnline = (store: OnlineStore): OnlineStore => ({
      ...store,
      write: (rows) => (down ? Promise.reject(failure('store_unavailable')) : store.write(rows)),
    })
    const { read, programme, clock } = await open({ f: { refresh: '5m' } }, { wrapOnline })
    await read('f')
    programme.set('f', () => 2)
    down = true
    clock.advance('6m')
    await bench.scheduler().tick()
    expect(bench.parts().runs.list({ limit: 1 })).toMatchObject([{ keys: 1, failed: 0, error: null }])
    down = false
    await bench.parts().recorder.pendingOnline.replay(() => Promise.reject(new Error('All that is owed is known.')))
    expect(await read('f')).toMatchObject({ value: 2, status: 'fresh', servedFrom: 'online' })
  })

  test('to list its keys is tried again with a pause', async () => {
    let asked = 0
    const { clock } = await open(
      { f: { refresh: '5m' } },
      {
        listedKeys: () => {
          asked++
          throw new Error('no such table')
        },
      },
    )
    clock.advance('5m')
    await pass(MINUTE, SECOND)
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThan(10)
    expect(bench.log).toContain('refresh of "f" could not start')
  })
})

describe('keys that an entity lists', () => {
  test('are computed though nobody read them, and those gone from the list are dropped', async () => {
    let listed = ['a', 'b']
    const { read, programme, clock } = await open({ f: { refresh: '5m' } }, { listedKeys: () => listed })
    await bench.scheduler().tick()
    expect([programme.count('f', 'a'), programme.count('f', 'b')]).toEqual([1, 1])
    expect(await read('f', 'a')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
    listed = ['b', 'c']
    clock.advance('6m')
    await bench.scheduler().tick()
    expect(['a', 'b', 'c'].map((key) => programme.count('f', key))).toEqual([1, 2, 1])
    const { activeKeys } = bench.parts()
    for (const feature of bench.registry.features.values()) expect((await activeKeys.of(feature)).length).toBe(0)
  })
})

describe('what is told of a run', () => {
  test('keys, changed, failed, times and the first failure', async () => {
    const { read, programme, clock } = await open({ f: { refresh: '5m' } })
    for (const key of ['same', 'other', 'gone', 'bad']) await read('f', key)
    programme.set('f', ({ key, ...rest }) => {
      if (key === 'bad') return fail({ key, ...rest })
      return key === 'same' ? 1 : key === 'other' ? 2 : NO_ROW
    })
    clock.advance('6m')
    await bench.scheduler().tick()
    expect(bench.parts().runs.list({ limit: 10 })).toMatchObject([
      {
        feature: 'f',
        reason: 'schedule',
        startedAt: clock.now(),
        finishedAt: clock.now(),
        keys: 4,
        changed: 2,
        failed: 1,
        error: 'It failed as feature_failed.',
      },
    ])
  })
})

describe('stopping', () => {
  test('waits for the run under way and starts no other', async () => {
    const { read, programme, clock } = await open({ a: { refresh: '10s' }, b: { refresh: '10s' }, c: { refresh: '10s' } })
    for (const name of ['a', 'b', 'c']) await read(name)
    const release = Promise.withResolvers<number>()
    for (const name of ['a', 'b', 'c']) programme.set(name, () => release.promise)
    clock.advance('11s')
    const tick = bench.scheduler().tick()
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    let stopped = false
    const stopping = bench
      .scheduler()
      .stop()
      .then(() => {
        stopped = true
      })
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(stopped).toBe(false)
    release.resolve(2)
    await stopping
    await tick
    expect(['a', 'b', 'c'].map((name) => programme.count(name))).toEqual([2, 2, 1])
    clock.advance('11s')
    await bench.scheduler().tick()
    expect(programme.count('a')).toBe(2)
  })
})
