/** Several processes on one Redis tell one another what they read: whoever looks at one of them sees all. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createSharedFigures } from '../../src/app/shared-figures.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { FIELD } from '../../src/observability/read-figures.ts'
import { type FeatureShape, ReadStatistics } from '../../src/observability/read-statistics.ts'
import { createRedisFigureStore } from '../../src/store/redis/figure-store.ts'
import type { RedisConnection } from '../../src/store/redis/redis.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { movableClock } from '../support/clock.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { startRedis, type TestServer } from '../support/servers.ts'

const MINUTE = 60_000
const [HOUR, DAY] = [60 * MINUTE, 24 * 60 * MINUTE]
const clock = movableClock('2026-01-02T10:00:20Z')
const nowMs = () => clock.now() / 1_000
const SPEND: FeatureShape = { feature: 'spend', version: 'v1', columns: [{ column: null, name: 'spend', type: 'float' }] }

let server: TestServer
let redis: RedisConnection
beforeAll(async () => {
  server = await startRedis()
  redis = await openRedis({ url: server.url, ...PATIENT_REDIS })
})
afterAll(async () => {
  await redis.close()
  await server[Symbol.asyncDispose]()
})

function startProcess(id: string, shape = SPEND) {
  const statistics = new ReadStatistics(nowMs)
  const store = createRedisFigureStore(redis, id, nowMs)
  const shapeOf = (name: string) => (name === shape.feature ? shape : undefined)
  const shared = createSharedFigures({ statistics, store, shapeOf, nowMs, log: silentLogger })
  const tally = statistics.tally([{ figures: statistics.figuresFor(shape), places: [{ ref: 0, column: 0 }] }])
  return {
    ...shared,
    read(count: number, ms: number, caller: string) {
      // Done every second.
      statistics.fold()
      for (let i = 0; i < count; i++) {
        statistics.begin(1)
        statistics.count(tally, 1)
        tally.latency.add(ms)
      }
      const of = statistics.caller(caller)
      of.requests += count
      of.ask('spend', count)
    },
    /** Readings of the hour and of the day, and of all requests; of the last two minutes; per minute where there are any. */
    figures() {
      shared.reads.fold()
      const spend = shared.reads.of(shape.feature)
      const rows = spend?.over(HOUR).rows ?? []
      return {
        processes: shared.reads.processes,
        reads: [spend?.total(HOUR)[FIELD.reads], spend?.total(DAY)[FIELD.reads], shared.reads.all.total(HOUR)[FIELD.requests]],
        minutes: rows.flatMap((row, i) => ((row?.[FIELD.reads] ?? 0) > 0 ? [[rows.length - 1 - i, row?.[FIELD.reads]]] : [])),
        timed: spend?.recentLatency().total,
      }
    },
  }
}

async function all(processes: readonly ReturnType<typeof startProcess>[]): Promise<void> {
  // Each tells, then each knows what all told.
  for (const one of processes) await one.tell()
  for (const one of processes) await one.pullNow()
}

test('reads of all processes are one figure, in each of them, minute by minute; those of one that ended stay for their hour', async () => {
  const [a, b, idle] = [startProcess('a'), startProcess('b'), startProcess('idle')]
  a.read(3, 1, 'shop')
  b.read(5, 100, 'shop')
  await all([a, b, idle])
  const together = { processes: 3, reads: [8, 8, 8], minutes: [[0, 8]], timed: 8 }
  expect([a.figures(), b.figures(), idle.figures()]).toEqual([together, together, together])
  expect(idle.reads.of('spend')?.recentLatency().quantile(0.99)).toBeGreaterThan(80)
  expect(a.reads.callers.rates()).toMatchObject([{ name: 'shop', requestsPerSecond: 8, targets: new Map([['spend', 8]]) }])

  clock.advance('45s')
  b.read(2, 100, 'shop')
  await all([a, b, idle])
  expect([a.figures().minutes, idle.figures().minutes]).toEqual([
    [
      [1, 8],
      [0, 2],
    ],
    [
      [1, 8],
      [0, 2],
    ],
  ])

  clock.advance('60s')
  await all([a, b, idle])
  await b.stop()
  const late = startProcess('late')
  await all([a, idle, late])
  const minutes = [
    [2, 8],
    [1, 2],
  ]
  expect(late.figures()).toMatchObject({ processes: 3, reads: [10, 10, 10], minutes })
  expect(a.figures()).toMatchObject({ processes: 3, reads: [10, 10, 10], minutes })

  clock.advance('58m')
  await all([a, idle, late])
  clock.advance('1m')
  await all([a, idle, late])
  expect(a.figures().reads).toEqual([2, 10, 2])
  expect(late.figures().reads).toEqual([2, 10, 2])
})

test('figures of another version of a feature are not added to those of this one', async () => {
  const score = { ...SPEND, feature: 'score' }
  const [old, young] = [startProcess('old', score), startProcess('young', { ...score, version: 'v2' })]
  old.read(4, 1, 'shop')
  young.read(1, 1, 'shop')
  await all([old, young])
  expect([old.figures().minutes, young.figures().minutes]).toEqual([[[0, 4]], [[0, 1]]])
})

test('what five hundred features tell is small, and leaves by itself', async () => {
  const id = 'wide'
  const statistics = new ReadStatistics(nowMs)
  const shapes = Array.from({ length: 500 }, (_, i) => ({ ...SPEND, feature: `a_feature_with_a_name_${i}` }))
  const tally = statistics.tally(shapes.map((shape) => ({ figures: statistics.figuresFor(shape), places: [{ ref: 0, column: 0 }] })))
  const store = createRedisFigureStore(redis, id, nowMs)
  const shared = createSharedFigures({ statistics, store, shapeOf: () => undefined, nowMs, log: silentLogger })
  for (let minute = 0; minute < 3; minute++) {
    for (let i = 0; i < 100 + minute; i++) {
      statistics.begin(500)
      statistics.count(tally, 1)
      tally.latency.add(1 + (i % 7))
    }
    await shared.tell()
    clock.advance('1m')
  }
  const sizes = (await redis.send('HVALS', `fabra:figures:${id}`)) as string[]
  expect(sizes.length).toBeGreaterThanOrEqual(2)
  expect(Math.max(...sizes.map((text) => text.length))).toBeLessThan(40_000)
  expect(String(await redis.send('GET', `fabra:figures:${id}:now`)).length).toBeLessThan(60_000)
  const lives = [await redis.send('PTTL', `fabra:figures:${id}`), await redis.send('PTTL', `fabra:figures:${id}:now`)].map(Number)
  expect(lives.every((ms) => ms > 0 && ms <= 3_700_000)).toBe(true)
  await shared.stop()
  expect(await redis.send('EXISTS', `fabra:figures:${id}:now`)).toBe(0)
})
