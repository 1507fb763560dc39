/** What is kept of reads: every one is counted, some are looked at, and wide ones cost no more than narrow ones. */
import { expect, test } from 'bun:test'
import { EventFeed } from '../../src/observability/event-feed.ts'
import { FIELD } from '../../src/observability/read-figures.ts'
import { ReadStatistics } from '../../src/observability/read-statistics.ts'
import { RequestSamples } from '../../src/observability/request-samples.ts'
import { compilePlan, planFeature } from '../../src/serving/plan.ts'
import { ReadObserver } from '../../src/serving/read-observer.ts'
import { emptyResult, type RowResult, type Status } from '../../src/serving/row-result.ts'
import { registryOf } from '../support/bench.ts'
import { movableClock } from '../support/clock.ts'

const MINUTE = 60_000
const clock = movableClock(1_790_000_000_000_000)
const statesOf = (total: Float64Array) => [FIELD.reads, FIELD.stale, FIELD.missing, FIELD.default, FIELD.error].map((field) => total[field])

function observing(width: number) {
  const names = Array.from({ length: width }, (_, i) => `score_${i}`)
  const registry = registryOf({
    features: Object.fromEntries(names.map((name) => [name, { kind: 'pushed' as const, type: 'float' as const }])),
  })
  const features = [...registry.features.values()]
  const planned = new Map(features.map((feature) => [feature.name, planFeature(registry, feature, () => Number.POSITIVE_INFINITY)]))
  const plan = compilePlan(
    features.map((feature) => ({ feature, column: 0, name: feature.name })),
    planned,
  )
  const statistics = new ReadStatistics(() => clock.now() / 1_000)
  const samples: unknown[] = []
  const feed = new EventFeed('test')
  feed.watch(() => samples.push(feed.newest))
  const observer = new ReadObserver({ statistics, feed, samples: new RequestSamples(), clock })
  const read = (rows: readonly (Status | undefined)[], begun = performance.now()) =>
    observer.end(
      plan,
      [],
      rows.map((status) => rowOf(width, status)),
      { caller: null, set: null, isCounted: false },
      begun,
    )
  const total = (name: string) => {
    statistics.fold()
    return statistics.of(name)?.total(60 * MINUTE) ?? new Float64Array(0)
  }
  return { statistics, samples, read, total }
}

/** @param status Of its first feature; undefined: all of them are fresh, which is said by saying nothing. */
function rowOf(width: number, status: Status | undefined): RowResult {
  const row = emptyResult(width)
  row.values.fill('1.5')
  row.freshnessMs.fill(1_000)
  if (status !== undefined) row.statuses = Array.from({ length: width }, (_, i) => (i === 0 ? status : 'fresh'))
  return row
}

test('of many wide requests each is counted, with all its rows and states, and few are looked at', () => {
  const { statistics, samples, read, total } = observing(50)
  const requests = 20_000
  for (let i = 0; i < requests; i++) read([undefined, 'stale', undefined])
  const first = total('score_0')
  expect(statesOf(first)).toEqual([3 * requests, requests, 0, 0, 0])
  expect(statesOf(total('score_49'))).toEqual([3 * requests, 0, 0, 0, 0])
  expect(first[FIELD.requests]).toBe(requests)
  expect(statistics.counters()).toMatchObject({ requests, values: { fresh: 149 * requests, stale: requests } })
  expect(first[FIELD.looked]).toBeGreaterThan(90)
  expect(first[FIELD.looked]).toBeLessThan(2_000)
  expect(samples.length).toBeLessThan(2_000)
})

test('where there are few requests, each is looked at', () => {
  const { statistics, samples, read, total } = observing(2)
  for (let i = 0; i < 100; i++) read([i % 2 === 0 ? undefined : 'missing'])
  expect(statistics.oneIn).toBe(1)
  expect(samples).toHaveLength(100)
  const [missing, fresh] = [total('score_0'), total('score_1')]
  // What is missing has no value and no age.
  expect([missing[FIELD.looked], fresh[FIELD.looked]]).toEqual([50, 100])
  expect([missing[FIELD.timed], fresh[FIELD.timed]]).toEqual([100, 100])
  expect(statistics.of('score_1')?.columns[0]?.values.figures()).toMatchObject({ seen: 100, quantiles: { min: 1.5, max: 1.5 } })
})

test('a wide request takes as much of what may be spent on looking as many narrow ones', () => {
  const lookedAt = (width: number) => {
    const { statistics } = observing(1)
    let count = 0
    while (statistics.oneIn === 1) count += statistics.begin(width)
    return count
  }
  expect([1, 50, 1_000].map(lookedAt)).toEqual([201, 50, 4])
})

test('in a burst that nobody foresaw no more is looked at than some hundreds of requests', () => {
  const { statistics } = observing(1)
  let looked = 0
  for (let i = 0; i < 30_000; i++) if (statistics.begin(1) > 0) looked++
  expect(looked).toBeGreaterThan(200)
  expect(looked).toBeLessThan(700)
})

test('slow requests are timed each, whatever else is looked at', () => {
  const { statistics, read, total } = observing(1)
  // Enough that few are looked at, and all at once: no time passes between them.
  for (let i = 0; i < 5_000; i++) read([undefined], performance.now() - 50)
  expect(statistics.oneIn).toBeGreaterThan(1)
  const slow = total('score_0')
  expect(slow[FIELD.timed]).toBe(5_000)
  expect(slow[FIELD.latencyP50]).toBeGreaterThan(40)
})
