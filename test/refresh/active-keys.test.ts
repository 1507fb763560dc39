import { afterEach, describe, expect, test } from 'bun:test'
import type { Feature } from '../../src/definition/model.ts'
import { createActiveKeys } from '../../src/refresh/active-keys.ts'
import { KeyUses } from '../../src/refresh/key-uses.ts'
import { createSchedule, cronProblem } from '../../src/refresh/schedule.ts'
import { tickMs } from '../../src/refresh/scheduler.ts'
import { type Bench, openBench, registryOf } from '../support/bench.ts'
import { movableClock } from '../support/clock.ts'
import { until } from '../support/until.ts'

const featuresOf = (refreshes: readonly (0 | string)[]): Feature[] => [
  ...registryOf({ features: Object.fromEntries(refreshes.map((refresh, i) => [`f${i}`, { refresh }])) }).features.values(),
]
const keyOf = (text: string) => ({ values: [text], encoded: text })

describe('keys in use', () => {
  test('are capped per feature: those longest unused are let go', async () => {
    const clock = movableClock()
    const keys = createActiveKeys(clock, { limit: 100 })
    const [feature, other] = featuresOf(['5m', '5m']) as [Feature, Feature]
    keys.markUsed(other, keyOf('x'))
    for (let i = 0; i < 1_000; i++) {
      clock.advance('1s')
      keys.markUsed(feature, keyOf(`u${i}`))
      keys.markUsed(feature, keyOf('again'))
    }
    const kept = Array.from(await keys.of(feature), (key) => key.encoded)
    expect(kept.length).toBe(100)
    expect(kept).toContain('again')
    expect(kept).toContain('u999')
    expect(kept).not.toContain('u0')
    expect([...(await keys.of(other))]).toEqual([keyOf('x')])
    expect([keys.some(feature, 3).length, keys.some(feature, 1_000).length]).toEqual([3, 100])
  })

  test('an older use never shortens a newer one', async () => {
    const clock = movableClock()
    const keys = createActiveKeys(clock)
    const [feature] = featuresOf(['5m']) as [Feature]
    keys.markUsed(feature, keyOf('a'))
    keys.markUsed(feature, keyOf('a'), clock.now() - 86_400e6 * 3)
    expect([...(await keys.of(feature))]).toEqual([keyOf('a')])
    clock.advance('2d')
    expect(keys.some(feature, 10)).toEqual([])
    expect([...(await keys.of(feature))]).toEqual([])
    keys.markUsed(feature, keyOf('a'))
    expect(keys.some(feature, 10)).toEqual([keyOf('a')])
    keys.drop(feature, keyOf('a'))
    expect([...(await keys.of(feature))]).toEqual([])
  })
})

describe('many keys in use', () => {
  const KEYS = 20_000

  test.each([
    ['numbered', (i: number) => `u${i}`],
    ['numbered with an end in common', (i: number) => `user-${i}-eu`],
    ['uuids', (i: number) => `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`],
    ['odd', (i: number) => (i === 0 ? '' : `é\u{1f600}${i}`)],
  ])('are those that a plain map would hold, whatever is dropped and used again on the way: %s', async (_, textOf) => {
    const uses = new KeyUses()
    const plain = new Map<string, number>()
    const note = (i: number, at: number) => {
      uses.note(keyOf(textOf(i)), at)
      plain.set(textOf(i), Math.max(at, plain.get(textOf(i)) ?? 0))
    }
    const drop = (i: number) => {
      uses.drop(textOf(i))
      plain.delete(textOf(i))
    }
    for (let i = 0; i < KEYS; i++) {
      note(i, i)
      if (i % 3 === 0) drop(i - 1)
      if (i % 5 === 0) note(i, KEYS + i)
      if (i % 7 === 0) note(i - 1, i + 0.5)
    }
    const used = (since: number) => [...plain].filter(([, at]) => at >= since).map(([text]) => text)
    expect(uses.size).toBe(plain.size)
    expect(Array.from(uses.someSince(KEYS, KEYS), ({ encoded }) => encoded).sort()).toEqual(used(KEYS).sort())
    expect(Array.from(await uses.usedSince(1_000), ({ encoded }) => encoded).sort()).toEqual(used(1_000).sort())
    expect(uses.size).toBe(used(1_000).length)
    uses.keepLatest(100)
    const latest = [...plain].sort((a, b) => b[1] - a[1]).slice(0, 100)
    expect(Array.from(await uses.usedSince(0), ({ encoded }) => encoded).sort()).toEqual(latest.map(([text]) => text).sort())
  })

  test('let others have their turn while they are listed', async () => {
    const uses = new KeyUses()
    for (let i = 0; i < 300_000; i++) uses.note(keyOf(`u${i}`), i)
    let turns = 0
    const other = setInterval(() => turns++, 0)
    const keys = await uses.usedSince(150_000)
    clearInterval(other)
    expect(keys.length).toBe(150_000)
    expect(turns).toBeGreaterThan(1)
  })
})

describe('the tick', () => {
  test.each([
    ['1s', 250],
    ['4s', 500],
    ['10s', 500],
    ['60s', 3_000],
    ['5m', 5_000],
    ['1d', 5_000],
  ])('with refresh %p looks often enough that a value is computed again within its allowed lag', (refresh, ms) => {
    expect(tickMs(featuresOf(['1d', refresh, 0]))).toBe(ms)
  })

  test('without a refreshed feature is the longest', () => {
    expect(tickMs(featuresOf([0, '0 6 * * *']))).toBe(5_000)
  })

  let bench: Bench
  afterEach(() => bench?.close())
  test('comes by itself once started', async () => {
    bench = await openBench({ features: { f: { refresh: '1s' } } })
    await bench.read('f')
    bench.scheduler().start()
    bench.clock.advance('2s')
    await until('a refresh', 5_000, async () => (bench.programme.count('f') === 2 ? true : undefined))
    expect(await bench.read('f')).toMatchObject({ status: 'fresh', servedFrom: 'online', ageMs: 0 })
  })
})

describe('cron strings', () => {
  const { nextFiring } = createSchedule()
  const next = (pattern: string, after: string) => new Date(nextFiring(pattern, Date.parse(after) * 1000) / 1000).toISOString()

  test.each([
    ['0 6 * * *', '2026-01-02T05:59:59Z', '2026-01-02T06:00:00.000Z'],
    ['0 6 * * *', '2026-01-02T06:00:00Z', '2026-01-03T06:00:00.000Z'],
    ['*/15 * * * *', '2026-01-02T23:50:00Z', '2026-01-03T00:00:00.000Z'],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['30 2 * * *', '2026-03-29T00:00:00Z', '2026-03-29T02:30:00.000Z'],
    ['0 9 * * MON', '2026-01-02T00:00:00Z', '2026-01-05T09:00:00.000Z'],
  ])('%s fires strictly after a time, in UTC', (pattern, after, expected) => {
    expect(next(pattern, after)).toBe(expected)
  })

  test.each(['61 * * * *', 'x * * * *', '* * * * * * * *', '0 0 30 2 *'])('%s is told to be wrong', (pattern) => {
    expect(cronProblem(pattern)).toBeString()
  })
})
