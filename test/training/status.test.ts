/** `<feature>__status`: fresh or stale by the rule that serving judges by. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { freshnessRule } from '../../src/definition/feature-traits.ts'
import type { Feature, Registry } from '../../src/definition/model.ts'
import { formatTime, parseTime } from '../../src/definition/time.ts'
import { createSchedule } from '../../src/refresh/schedule.ts'
import { judge } from '../../src/serving/freshness.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { openPostgresTrainingBench, openTrainingBench, pushedRegistry, recorded, type TrainingBench } from '../support/training-bench.ts'

const MINUTE = 60e6
const HOUR = 60 * MINUTE
const T0 = parseTime('2026-03-28T23:30:00Z')
const FUNCTION: Partial<Feature> = { computation: { kind: 'function' } }
const cron = (pattern: string, maxStaleness: number | null = null): Partial<Feature> => ({
  ...FUNCTION,
  refresh: { kind: 'cron', pattern },
  maxStaleness,
})

const FEATURES: Readonly<Record<string, Partial<Feature>>> = {
  hourly: cron('0 * * * *'),
  nightly: cron('30 2 * * *'),
  weekdays: cron('0 6 * * 1-5'),
  seconds: cron('*/20 * * * * *'),
  once: cron('0 0 0 1 4 * 2026'),
  bounded: cron('0 0 * * *', 2 * HOUR),
  texts: { ...cron('0 * * * *'), columns: [{ name: 'a', type: 'int' }] },
  every: { ...FUNCTION, refresh: { kind: 'interval', every: 10 * MINUTE + 5 } },
  short: { ...FUNCTION, refresh: { kind: 'interval', every: HOUR }, maxStaleness: 30 * MINUTE },
  quick: { ...FUNCTION, refresh: { kind: 'interval', every: 2e6 } },
  pushed: {},
  ageing: { maxStaleness: HOUR },
}
/** Event times of every feature: on a firing, a microsecond beside it, and in between. */
const EVENTS = [0, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1, 3 * HOUR, 3 * HOUR + 1e6, 76 * HOUR].map((after) => T0 + after)
/** Ages of the values, and a microsecond on either side. */
const AGES = [0, 2e6, 3e6, 20e6, 21e6, 10 * MINUTE, 11 * MINUTE + 5, 30 * MINUTE, 36 * MINUTE, HOUR, 65 * MINUTE, 66 * MINUTE, 2 * HOUR]
const LONG_AGES = [24.5 * HOUR, 26.4 * HOUR, 29.4 * HOUR, 53.4 * HOUR, 90 * HOUR, 1000 * HOUR]

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
}, 180_000)
afterAll(() => server[Symbol.asyncDispose]())

const ENGINES: readonly [string, () => Promise<TrainingBench>][] = [
  ['on the laptop', () => openTrainingBench()],
  ['brought over from PostgreSQL', () => openPostgresTrainingBench(server, Number.POSITIVE_INFINITY)],
  ['looked up in PostgreSQL', () => openPostgresTrainingBench(server, 0)],
]

/** Each event has a key of its own, so that no later one stands in. */
async function record(bench: TrainingBench, registry: Registry): Promise<void> {
  const all = [...registry.features.values()]
  await bench.offline.append(
    all.flatMap(({ name, fingerprint }) =>
      EVENTS.map((eventAt, i) =>
        recorded({ feature: name, fingerprint, entityKey: `u${i}`, value: name === 'texts' ? '{"a":1}' : '"1"', eventAt }),
      ),
    ),
  )
}

test.each(ENGINES)(
  'the status of a recorded value is what serving says of its age, %s',
  async (_where, open) => {
    const bench = await open()
    try {
      const registry = pushedRegistry(FEATURES)
      await record(bench, registry)
      const names = [...registry.features.keys()]
      const asked = EVENTS.flatMap((eventAt, i) =>
        [...AGES, ...LONG_AGES].flatMap((age) => [age - 1, age, age + 1]).map((age) => ({ key: `u${i}`, eventAt, at: eventAt + age })),
      ).filter(({ eventAt, at }) => at >= eventAt)
      const labels = asked.map(({ key, at }) => ({ user_id: key, event_timestamp: formatTime(at) }))
      const { rows } = await bench.train(registry, labels, {
        features: names.map((name) => (name === 'texts' ? 'texts.a' : name)),
        withStatus: true,
        method: 'history',
      })
      const { nextFiring } = createSchedule()
      for (const [name, feature] of registry.features) {
        const rule = freshnessRule(feature, nextFiring)
        const said = rows.map((row, i) => [name, labels[i]?.event_timestamp, row[`${name}__status`]])
        const served = asked.map(({ eventAt, at }) => (judge(rule, eventAt, at, null) === 'fresh' ? 'fresh' : 'stale'))
        expect(said).toEqual(served.map((status, i) => [name, labels[i]?.event_timestamp, status]))
        if (name !== 'pushed' && name !== 'once') expect(new Set(served).size, name).toBe(2)
      }
    } finally {
      await bench.close()
    }
  },
  180_000,
)

test.each(ENGINES)(
  'a cron value is fresh until a tenth of the interval after its firing, then stale, %s',
  async (_where, open) => {
    const bench = await open()
    try {
      const registry = pushedRegistry({ daily: cron('0 6 * * *') })
      const fingerprint = registry.features.get('daily')?.fingerprint ?? ''
      await bench.offline.append([
        recorded({ feature: 'daily', fingerprint, entityKey: 'a', value: '"1"', eventAt: parseTime('2026-01-01T06:00:01Z') }),
      ])
      const times = ['01T06:00:01Z', '02T05:59:59Z', '02T08:24:00Z', '02T08:24:00.000001Z', '09T00:00:00Z'].map((time) => `2026-01-${time}`)
      const labels = [...times.map((event_timestamp) => ({ user_id: 'a', event_timestamp })), { user_id: 'b', event_timestamp: times[0] }]
      const { rows } = await bench.train(registry, labels, { features: ['daily'], withStatus: true, withEventTimestamp: true })
      expect(rows.map((row) => row['daily__status'])).toEqual(['fresh', 'fresh', 'fresh', 'stale', 'stale', 'missing'])
      expect(rows.map((row) => row['daily'])).toEqual(['1', '1', '1', '1', '1', null])
    } finally {
      await bench.close()
    }
  },
  180_000,
)

test.each(ENGINES)(
  'sixty cron features in a set of many columns have their statuses, %s',
  async (_where, open) => {
    const bench = await open()
    try {
      const registry = pushedRegistry(
        Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`w${i}`, i % 2 === 0 ? cron(`${i} * * * *`) : {}])),
      )
      await bench.offline.append(
        [...registry.features.values()].map(({ name, fingerprint }) =>
          recorded({ feature: name, fingerprint, entityKey: 'u1', value: '"1"', eventAt: T0 }),
        ),
      )
      const labels = [
        { user_id: 'u1', event_timestamp: formatTime(T0) },
        { user_id: 'u1', event_timestamp: formatTime(T0 + 3 * HOUR) },
      ]
      const features = [...registry.features.keys()]
      const { rows } = await bench.train(registry, labels, { features, withStatus: true })
      expect(rows.map((row) => features.map((name) => row[`${name}__status`]))).toEqual([
        features.map(() => 'fresh'),
        features.map((_, i) => (i % 2 === 0 ? 'stale' : 'fresh')),
      ])
    } finally {
      await bench.close()
    }
  },
  180_000,
)
