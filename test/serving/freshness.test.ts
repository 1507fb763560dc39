import { afterEach, describe, expect, test } from 'bun:test'
import { type Bench, openBench, type WrittenBench } from '../support/bench.ts'
import { fail, NO_ROW } from '../support/programmable-executor.ts'

let bench: Bench
afterEach(() => bench.close())
const open = async (written: WrittenBench['features'][string], rest: Partial<WrittenBench> = {}) => {
  bench = await openBench({ ...rest, features: { f: written } })
  return bench
}

describe('how old a value may be', () => {
  test('the first read computes, and says that it did', async () => {
    const { clock, read, programme } = await open({ refresh: '5m' })
    programme.set('f', () => 47)
    expect(await read('f')).toEqual({
      value: 47,
      status: 'fresh',
      servedFrom: 'computed',
      ageMs: 0,
      eventAt: clock.now(),
      oldestInputAt: null,
      error: undefined,
    })
  })

  test('a fresh value is served from the store, with its age and the time it was computed for', async () => {
    const { clock, read, programme } = await open({ refresh: '5m' })
    const computedAt = clock.now()
    await read('f')
    clock.advance(1_200_999)
    expect(await read('f')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'online', ageMs: 1200, eventAt: computedAt })
    expect(programme.count('f')).toBe(1)
  })

  test.each([
    ['5m', 330_000],
    ['1s', 2_000],
    ['10s', 11_000],
    ['30s', 33_000],
    ['1d', 95_040_000],
  ])('refresh %p: a value is fresh for its interval and a tenth of it, at least a second more', async (refresh, freshMs) => {
    const { clock, read } = await open({ refresh })
    await read('f')
    clock.advance(freshMs * 1000)
    expect(await read('f')).toMatchObject({ status: 'fresh', ageMs: freshMs })
    clock.advance(1)
    expect(await read('f')).toMatchObject({ status: 'stale', servedFrom: 'online', ageMs: freshMs })
  })

  test('a cron feature is fresh until its next firing and a tenth of the time between two firings', async () => {
    const { clock, read } = await open({ refresh: '0 6 * * *' })
    clock.set('2026-01-02T05:59:00Z')
    await read('f')
    clock.set('2026-01-02T08:24:00Z')
    expect(await read('f')).toMatchObject({ status: 'fresh', servedFrom: 'online', ageMs: 8_700_000 })
    clock.advance(1)
    expect(await read('f')).toMatchObject({ status: 'stale', ageMs: 8_700_000 })
    await bench.idle()
    clock.set('2026-01-03T08:24:00Z')
    expect(await read('f')).toMatchObject({ status: 'fresh' })
    clock.advance(1)
    expect(await read('f')).toMatchObject({ status: 'stale' })
  })

  test('a value computed exactly at a firing is fresh until the next one', async () => {
    const { clock, read } = await open({ refresh: '*/10 * * * *' })
    clock.set('2026-01-02T05:10:00Z')
    await read('f')
    clock.set('2026-01-02T05:21:00Z')
    expect(await read('f')).toMatchObject({ status: 'fresh' })
    clock.advance(1)
    expect(await read('f')).toMatchObject({ status: 'stale' })
  })

  test('a stale value is served at once and recomputed once behind it', async () => {
    const { clock, read, programme } = await open({ refresh: '5m', maxStaleness: '1h' })
    await read('f')
    clock.advance('6m')
    const release = Promise.withResolvers<number>()
    programme.set('f', () => release.promise)
    const served = await Promise.all(Array.from({ length: 50 }, () => read('f')))
    expect(served.every((one) => one.status === 'stale' && one.servedFrom === 'online' && one.ageMs === 360_000 && one.value === 1)).toBe(
      true,
    )
    release.resolve(2)
    await bench.idle()
    expect(programme.count('f')).toBe(2)
    expect(await read('f')).toMatchObject({ value: 2, status: 'fresh', servedFrom: 'online', ageMs: 0 })
  })

  test('a value older than max staleness is computed again in the request', async () => {
    const { clock, read, programme } = await open({ refresh: '5m', maxStaleness: '1h' })
    await read('f')
    programme.set('f', () => 2)
    clock.advance('1h')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale' })
    await bench.idle()
    clock.advance('1h')
    clock.advance(1)
    programme.set('f', () => 3)
    expect(await read('f')).toMatchObject({ value: 3, status: 'fresh', servedFrom: 'computed' })
  })

  test('past max staleness and failing: never fresh, never a value', async () => {
    const { clock, read, programme } = await open({ refresh: '5m', maxStaleness: '10m' })
    await read('f')
    programme.set('f', fail)
    clock.advance('10m')
    clock.advance(1)
    expect(await read('f')).toMatchObject({ value: undefined, status: 'error', servedFrom: null, ageMs: null })
  })

  test('without max staleness an old value is served, stale, for ever', async () => {
    const { clock, read, programme } = await open({ refresh: '5m' })
    await read('f')
    programme.set('f', fail)
    clock.advance('300d')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'online', ageMs: 25_920_000_000 })
  })

  test('the age of a value from a clock slightly ahead is nothing, never negative', async () => {
    const { clock, read } = await open({ kind: 'pushed' })
    await bench.push('f', 'u1', 1, clock.now() + 5_000_000)
    expect(await read('f')).toMatchObject({ status: 'fresh', ageMs: 0 })
  })
})

describe('max_age of a request', () => {
  test('makes an older value be computed again, and leaves a younger one', async () => {
    const { clock, read, programme } = await open({ refresh: '5m' })
    await read('f')
    clock.advance('30s')
    expect(await read('f', 'u1', '30s')).toMatchObject({ servedFrom: 'online', ageMs: 30_000 })
    clock.advance(1)
    expect(await read('f', 'u1', '30s')).toMatchObject({ status: 'fresh', servedFrom: 'computed', ageMs: 0 })
    expect(programme.count('f')).toBe(2)
  })

  test('never widens max staleness', async () => {
    const { clock, read, programme } = await open({ refresh: '5m', maxStaleness: '10m' })
    await read('f')
    programme.set('f', fail)
    clock.advance('11m')
    expect(await read('f', 'u1', '1h')).toMatchObject({ status: 'error' })
  })

  test('bounds last good values too', async () => {
    const { clock, read, programme } = await open({ refresh: '5m' })
    await read('f')
    programme.set('f', fail)
    clock.advance('1m')
    expect(await read('f', 'u1', '30s')).toMatchObject({ status: 'error', servedFrom: null })
    clock.advance('1m')
    expect(await read('f', 'u1', '5m')).toMatchObject({ status: 'fresh', servedFrom: 'online' })
  })

  test('bounds pushed values too', async () => {
    const { clock, read } = await open({ kind: 'pushed', default: -1 })
    await bench.push('f', 'u1', 5)
    clock.advance('1m')
    expect(await read('f', 'u1', '1m')).toMatchObject({ value: 5, ageMs: 60_000 })
    expect(await read('f', 'u1', '59s')).toMatchObject({ value: -1, status: 'default' })
  })
})

describe('realtime features', () => {
  test('are computed for every request', async () => {
    const { read, programme } = await open({ refresh: 0 })
    let n = 0
    programme.set('f', () => ++n)
    expect([await read('f'), await read('f')]).toMatchObject([
      { value: 1, status: 'fresh', servedFrom: 'computed', ageMs: 0 },
      { value: 2, status: 'fresh', servedFrom: 'computed', ageMs: 0 },
    ])
  })

  test('serve their last good value when computing fails, with its age, and never call it fresh', async () => {
    const { clock, read, programme } = await open({ refresh: 0, maxStaleness: '1m' })
    await read('f')
    programme.set('f', fail)
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 0 })
    clock.advance('1m')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 60_000 })
    clock.advance(1)
    expect(await read('f')).toMatchObject({ value: undefined, status: 'error' })
  })

  test('serve a last good value over a restart', async () => {
    const { clock, read, programme, restart } = await open({ refresh: 0 })
    await read('f')
    await restart()
    programme.set('f', fail)
    clock.advance('5s')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', servedFrom: 'last_good', ageMs: 5000 })
  })

  test('a realtime answer is never older than its question: a read joins only a batch that has not started', async () => {
    const { clock, read, programme, settle } = await open({ refresh: 0 })
    const first = Promise.withResolvers<number>()
    programme.set('f', () => first.promise)
    const early = read('f')
    await settle()
    clock.advance('1s')
    programme.set('f', () => 2)
    const late = await read('f')
    expect(late).toMatchObject({ value: 2, eventAt: clock.now(), ageMs: 0 })
    first.resolve(1)
    expect(await early).toMatchObject({ value: 1, ageMs: 1000 })
    expect(programme.count('f')).toBe(2)
  })

  test('reads of one moment share one computation', async () => {
    const { read, programme } = await open({ refresh: 0 })
    await Promise.all(Array.from({ length: 100 }, () => read('f')))
    expect(programme.count('f')).toBe(1)
  })
})

describe('nothing, null and missing', () => {
  test('null is a value: the default does not stand in for it', async () => {
    const { clock, read, programme } = await open({ default: 7 })
    programme.set('f', () => null)
    expect(await read('f')).toMatchObject({ value: null, status: 'fresh', servedFrom: 'computed', ageMs: 0 })
    clock.advance('1s')
    expect(await read('f')).toMatchObject({ value: null, status: 'fresh', servedFrom: 'online', ageMs: 1000 })
    programme.set('f', fail)
    clock.advance('1h')
    expect(await read('f')).toMatchObject({ value: null, status: 'stale' })
  })

  test('no row and no default is missing; its age is unknown, not 0', async () => {
    const { read, programme } = await open({})
    programme.set('f', () => NO_ROW)
    const missing = { value: undefined, status: 'missing', servedFrom: null, ageMs: null, eventAt: null, error: undefined }
    expect(await read('f')).toMatchObject(missing)
    expect(await read('f')).toMatchObject(missing)
  })

  test('the default stands in for missing, and says so', async () => {
    const { read, programme } = await open({ default: 7 })
    programme.set('f', () => NO_ROW)
    const standIn = { value: 7, status: 'default', servedFrom: 'default', ageMs: null, eventAt: null }
    expect(await read('f')).toMatchObject(standIn)
    expect(await read('f')).toMatchObject(standIn)
  })

  test('what is known to be missing is not computed again while that is fresh', async () => {
    const { clock, read, programme } = await open({ refresh: '5m' })
    programme.set('f', () => NO_ROW)
    await read('f')
    clock.advance('5m')
    await read('f')
    await bench.idle()
    expect(programme.count('f')).toBe(1)
    clock.advance('1m')
    programme.set('f', () => 3)
    expect(await read('f')).toMatchObject({ status: 'missing' })
    await bench.idle()
    expect(await read('f')).toMatchObject({ value: 3, status: 'fresh' })
  })

  test('a value that became missing is not brought back by a failure', async () => {
    const { clock, read, programme } = await open({ refresh: '5m', maxStaleness: '1h' })
    await read('f')
    programme.set('f', () => NO_ROW)
    clock.advance('2h')
    expect(await read('f')).toMatchObject({ status: 'missing' })
    programme.set('f', fail)
    clock.advance('2h')
    expect((await read('f')).status).toBe('error')
  })

  test('columns of one query are one computation and share its age', async () => {
    const { clock, readRows, programme } = await open({ columns: { total: 'float', avg: 'float' }, default: { total: 0, avg: null } })
    programme.set('f', () => ({ total: 120.5, avg: 40.1 }))
    await readRows(['f.avg'], [{ user_id: 'u1' }])
    clock.advance('1s')
    const [row] = await readRows(['f', 'f.avg', 'f.total', 'f.avg'], [{ user_id: 'u1' }])
    expect(row?.map((one) => one.value)).toEqual([120.5, 40.1, 40.1, 120.5, 40.1])
    expect(row?.every((one) => one.status === 'fresh' && one.ageMs === 1000)).toBe(true)
    expect(programme.count('f')).toBe(1)
  })

  test('the default of columns stands in column by column', async () => {
    const { readRows, programme } = await open({ columns: { total: 'float', avg: 'float' }, default: { total: 0, avg: null } })
    programme.set('f', () => NO_ROW)
    const [row] = await readRows(['f'], [{ user_id: 'u1' }])
    expect(row?.map((one) => [one.value, one.status])).toEqual([
      [0, 'default'],
      [null, 'default'],
    ])
  })
})

describe('pushed features', () => {
  test('are missing until pushed, fresh within max staleness, and gone beyond it', async () => {
    const { clock, read, push, programme } = await open({ kind: 'pushed', maxStaleness: '7d' })
    expect(await read('f')).toMatchObject({ status: 'missing', ageMs: null })
    await push('f', 'u1', 0.8)
    clock.advance('7d')
    expect(await read('f')).toMatchObject({ value: 0.8, status: 'fresh', servedFrom: 'online', ageMs: 604_800_000 })
    clock.advance(1)
    expect(await read('f')).toMatchObject({ value: undefined, status: 'missing', servedFrom: null, ageMs: null })
    expect(programme.count()).toBe(0)
  })

  test('are fresh for ever without max staleness', async () => {
    const { clock, read, push } = await open({ kind: 'pushed' })
    await push('f', 'u1', 0.8)
    clock.advance('3000d')
    expect(await read('f')).toMatchObject({ value: 0.8, status: 'fresh' })
  })

  test('a tombstone makes them missing, the default stands in', async () => {
    const { clock, read, push } = await open({ kind: 'pushed', default: 0.5 })
    await push('f', 'u1', 0.8)
    clock.advance('1s')
    await push('f', 'u1', undefined)
    expect(await read('f')).toMatchObject({ value: 0.5, status: 'default', servedFrom: 'default', ageMs: null })
  })

  test('an older event never replaces a newer one', async () => {
    const { clock, read, push } = await open({ kind: 'pushed' })
    await push('f', 'u1', 2)
    await push('f', 'u1', 1, clock.now() - 1)
    expect(await read('f')).toMatchObject({ value: 2 })
    await push('f', 'u1', 3)
    expect(await read('f')).toMatchObject({ value: 3 })
  })

  test('a push to a computed feature lives until its next computation', async () => {
    const { clock, read, push, programme } = await open({ refresh: '5m' })
    await read('f')
    clock.advance('1m')
    await push('f', 'u1', 99)
    expect(await read('f')).toMatchObject({ value: 99, status: 'fresh', servedFrom: 'online' })
    clock.advance('6m')
    programme.set('f', () => 2)
    expect(await read('f')).toMatchObject({ value: 99, status: 'stale' })
    await bench.idle()
    expect(await read('f')).toMatchObject({ value: 2, status: 'fresh' })
  })
})

describe('after a restart', () => {
  test('values come back with the times they had', async () => {
    const { clock, read, restart, programme } = await open({ refresh: '5m', maxStaleness: '1h' })
    const computedAt = clock.now()
    await read('f')
    await restart()
    clock.advance('4m')
    expect(await read('f')).toMatchObject({ value: 1, status: 'fresh', servedFrom: 'online', ageMs: 240_000, eventAt: computedAt })
    clock.advance('4m')
    expect(await read('f')).toMatchObject({ value: 1, status: 'stale', ageMs: 480_000 })
    await bench.idle()
    expect(programme.count('f')).toBe(2)
  })

  test('what is known to be missing stays known', async () => {
    const { read, restart, programme } = await open({ refresh: '5m' })
    programme.set('f', () => NO_ROW)
    await read('f')
    await restart()
    expect(await read('f')).toMatchObject({ status: 'missing' })
    expect(programme.count('f')).toBe(1)
  })
})
