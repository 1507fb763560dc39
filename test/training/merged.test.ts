import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createSqlDefinitions, type SqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor, type SqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import { formatTime } from '../../src/definition/time.ts'
import { type ComputeBench, openComputeBench, registryOf } from '../support/compute-bench.ts'
import { type TrainingBench, trainingBenchOver } from '../support/training-bench.ts'

const START = Date.parse('2026-01-01T00:00:00Z') * 1000
const HOUR = 3_600_000_000
const WHERE = 'FROM events WHERE user_id = $user_id'

/** Plain aggregates over the same events, and columns of the same latest row: they are computed together, and must be what each is alone. */
const FEATURES: Readonly<Record<string, string>> = {
  count_1h: `SELECT COUNT(*) ${WHERE} AND created_at > NOW() - INTERVAL '1 hour'`,
  count_from_1h: `SELECT COUNT(*) ${WHERE} AND created_at >= NOW() - INTERVAL '1 hour'`,
  sum_5h: `SELECT COALESCE(SUM(amount), 0) ${WHERE} AND created_at > NOW() - INTERVAL '5 hours'`,
  mean_5h: `SELECT AVG(amount) ${WHERE} AND created_at > NOW() - INTERVAL '5 hours'`,
  big_5h: `SELECT COUNT(*) ${WHERE} AND amount > 5 AND created_at > NOW() - INTERVAL '5 hours'`,
  least_and_most: `SELECT MAX(amount) - MIN(amount) ${WHERE} AND kind = 'a' AND created_at > NOW() - INTERVAL '2 hours'`,
  odd: `SELECT COUNT(kind) FILTER (amount % 2 = 1) ${WHERE} AND kind = 'a' AND created_at > NOW() - INTERVAL '3 hours'`,
  this_hour: `SELECT SUM(amount) ${WHERE} AND created_at >= date_trunc('hour', NOW())`,
  never: `SELECT COUNT(*) ${WHERE} AND created_at > NOW() + INTERVAL '1 hour'`,
  ever: `SELECT COUNT(*) ${WHERE}`,
  ever_total: `SELECT SUM(amount) ${WHERE} AND kind = 'b'`,
  last_amount: `SELECT amount ${WHERE} AND created_at >= NOW() - INTERVAL '3 hours' ORDER BY created_at DESC, amount DESC LIMIT 1`,
  last_minute: `SELECT minute(created_at) ${WHERE} AND created_at >= NOW() - INTERVAL '3 hours' QUALIFY row_number() OVER (ORDER BY created_at DESC, amount DESC) = 1`,
  last_kind: `SELECT kind ${WHERE} ORDER BY created_at DESC LIMIT 1`,
}

let compute: ComputeBench
let bench: TrainingBench
let definitions: SqlDefinitions
let executor: SqlExecutor
beforeAll(async () => {
  compute = await openComputeBench()
  // One key holds a tenth of all, and many events share a time with a label.
  await compute.execute(`CREATE TABLE events AS SELECT CASE WHEN i % 10 = 0 THEN 'hot' ELSE 'u' || (i * 7919 % 40) END AS user_id,
    make_timestamptz(${START} + (i * 104729 % 600) * 60000000) AS created_at, (i % 11)::INT AS amount, CASE WHEN i % 3 = 0 THEN NULL WHEN i % 2 = 0 THEN 'a' ELSE 'b' END AS kind
    FROM range(6000) r(i)`)
  definitions = await createSqlDefinitions(
    registryOf({ sources: { events: { timestamp: 'created_at' } }, features: FEATURES }),
    compute.store,
  )
  expect(definitions.problems).toEqual([])
  executor = createSqlExecutor({ sourceEngine: compute.store, definitions })
  bench = trainingBenchOver(compute.database)
})
afterAll(() => compute.store.close())

test('features that are computed together are what each is alone, and what counting by hand gives', async () => {
  const labels = Array.from({ length: 2_500 }, (_, i) => ({
    user_id: i % 9 === 0 ? 'hot' : `u${i % 45}`,
    t: START + ((i * 7907) % 660) * 60_000_000,
  }))
  const rows = labels.map(({ user_id, t }) => ({ user_id, event_timestamp: formatTime(t) }))
  const parts = {
    executor,
    pastStatement: (feature: { name: string }, count: number, sample: Parameters<SqlExecutor['pastStatement']>[2]) =>
      executor.pastStatement(feature.name, count, sample),
    pastMerges: (features: readonly { name: string }[], count: number, fits: Parameters<SqlExecutor['pastMerges']>[2]) =>
      executor.pastMerges(
        features.map(({ name }) => name),
        count,
        fits,
      ),
  }
  const names = Object.keys(FEATURES)
  const together = await bench.train(definitions.registry, rows, { features: names, parts })
  const ways = Object.fromEntries(together.report.features.map(({ feature, how }) => [feature, how]))
  expect(ways).toMatchObject({
    count_1h: 'rows and events joined, 9 features together',
    big_5h: 'rows and events joined, 9 features together',
    this_hour: 'rows and events joined, 9 features together',
    ever: 'rows and events joined, 2 features together',
    last_amount: 'rows and events joined, 2 features together',
    last_minute: 'rows and events joined, 2 features together',
    last_kind: 'rows and events joined',
  })
  for (const name of names) {
    const alone = await bench.train(definitions.registry, rows, {
      features: [name],
      parts: { ...parts, pastMerges: () => Promise.resolve([]) },
    })
    expect(alone.report.features[0]?.how).toBe('rows and events joined')
    expect({ name, values: together.rows.map((row) => row[name]) }).toEqual({ name, values: alone.rows.map((row) => row[name]) })
  }
  const events = Array.from({ length: 6_000 }, (_, i) => ({
    user: i % 10 === 0 ? 'hot' : `u${(i * 7919) % 40}`,
    at: START + ((i * 104_729) % 600) * 60_000_000,
    amount: i % 11,
    kind: i % 3 === 0 ? null : i % 2 === 0 ? 'a' : 'b',
  }))
  for (const [i, { user_id, t }] of labels.entries()) {
    const seen = events.filter((event) => event.user === user_id && event.at < t)
    const within = (hours: number) => seen.filter((event) => event.at > t - hours * HOUR)
    const amounts = within(2)
      .filter((event) => event.kind === 'a')
      .map((event) => event.amount)
    const thisHour = seen.filter((event) => event.at >= t - (t % HOUR))
    const [last] = seen.filter(({ at }) => at >= t - 3 * HOUR).sort((a, b) => b.at - a.at || b.amount - a.amount)
    expect(together.rows[i]).toMatchObject({
      count_1h: within(1).length,
      count_from_1h: seen.filter((event) => event.at >= t - HOUR).length,
      sum_5h: within(5).reduce((sum, event) => sum + event.amount, 0),
      big_5h: within(5).filter((event) => event.amount > 5).length,
      least_and_most: amounts.length === 0 ? null : Math.max(...amounts) - Math.min(...amounts),
      odd: within(3).filter((event) => event.kind === 'a' && event.amount % 2 === 1).length,
      this_hour: thisHour.length === 0 ? null : thisHour.reduce((sum, event) => sum + event.amount, 0),
      never: 0,
      ever: seen.length,
      last_amount: last?.amount ?? null,
      last_minute: last === undefined ? null : Math.floor((last.at % HOUR) / 60_000_000),
    })
  }
}, 180_000)
