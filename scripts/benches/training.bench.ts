import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createSqlDefinitions } from '../../src/compute/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql-executor.ts'
import type { Registry } from '../../src/definition/model.ts'
import { type Database, openDatabase, ownDeadline } from '../../src/store/duckdb/database.ts'
import { createDuckdbSourceStore } from '../../src/store/duckdb/source-store.ts'
import { createDuckdbTrainingStore } from '../../src/store/duckdb/training-store.ts'
import { createTraining, type TrainingParts } from '../../src/training/training-set.ts'
import { temporaryFolder } from '../../test/support/binary.ts'
import { registryOf } from '../../test/support/compute-bench.ts'
import { pushedRegistry } from '../../test/support/training-bench.ts'
import type { Bench, Measurement } from './bench.ts'

const MONTH_US = 30 * 86_400_000_000
const START_US = Date.parse('2026-01-01T00:00:00Z') * 1000
const LONG = ownDeadline(3_600_000)
const WINDOWS = ['1 hour', '6 hours', '1 day', '3 days', '7 days']

interface Shape {
  readonly events: number
  readonly keys: number
  /** One key in ten events and labels. */
  readonly hot: boolean
}

/** Whole training sets: labels from Parquet, features, Parquet out. */
export const bench: Bench = async () => [
  ...(await recompute({ events: 10_000_000, keys: 100_000, hot: false }, [
    { labels: 10_000 },
    { labels: 100_000 },
    { labels: 1_000_000, atMost: 60 },
  ])),
  ...(await recompute({ events: 10_000_000, keys: 10_000, hot: false }, [{ labels: 1_000_000, atMost: 120 }])),
  ...(await recompute({ events: 10_000_000, keys: 100_000, hot: true }, [{ labels: 1_000_000, atMost: 180 }])),
  ...(await history(10_000_000, 100_000, 20, [{ labels: 10_000 }, { labels: 100_000 }, { labels: 1_000_000, atMost: 30 }])),
]

interface Wanted {
  readonly labels: number
  readonly atMost?: number
}

export async function recompute(shape: Shape, wanted: readonly Wanted[]): Promise<Measurement[]> {
  return withDatabase(async (database) => {
    await execute(
      database,
      `CREATE TABLE transactions AS SELECT ${keyOf('i', shape)} AS user_id, CAST((i % 97) * 1.5 AS DOUBLE) AS amount, ${timeOf('i + 7')} AS created_at FROM range(${shape.events}) r(i)`,
    )
    const features = Object.fromEntries(
      WINDOWS.flatMap((window, i) => [
        [`count_${i}`, `SELECT COUNT(*) FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '${window}'`],
        [`mean_${i}`, `SELECT AVG(amount) FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '${window}'`],
      ]),
    )
    const store = createDuckdbSourceStore(database)
    const written = registryOf({ sources: { transactions: { timestamp: 'created_at' } }, features })
    const definitions = await createSqlDefinitions(written, store)
    const sql = createSqlExecutor({ sourceStore: store, definitions })
    const parts = {
      executor: sql,
      pastStatement: (feature, count, sample) => sql.pastStatement(feature.name, count, sample),
      pastMerges: (list, count, fits) => {
        const names = list.map((feature) => feature.name)
        return sql.pastMerges(names, count, fits)
      },
    } satisfies Partial<TrainingParts>
    const counted = wanted.length > 1 ? [await naive(database, shape, 100_000)] : []
    const what = `${shape.keys.toLocaleString('en')} keys${shape.hot ? ', one with a tenth' : ''}`
    const own = await measured(
      database,
      definitions.registry,
      shape,
      parts,
      wanted,
      (labels) => `train ${labels} × 10 windows over ${shape.events.toLocaleString('en')} events, ${what}`,
    )
    return [...counted, ...own]
  })
}

export async function history(rows: number, keys: number, count: number, wanted: readonly Wanted[]): Promise<Measurement[]> {
  return withDatabase(async (database) => {
    const shape = { events: rows, keys, hot: false }
    await execute(
      database,
      `INSERT INTO fabra.feature_history SELECT 'f' || (i % ${count}), '0123456789abcdef', ${keyOf(`i // ${count}`, shape)}, CAST(i AS VARCHAR), t, t + INTERVAL '1 second', t, i, 'computed'
       FROM (SELECT i, ${timeOf('i + 7')} AS t FROM range(${rows}) r(i))`,
    )
    const registry = pushedRegistry(Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, { type: 'int' as const }])))
    return measured(
      database,
      registry,
      shape,
      {},
      wanted,
      (labels) => `train ${labels} × ${count} recorded features over ${rows.toLocaleString('en')} rows of history`,
    )
  })
}

/** What one would write without a feature store: a subquery for each value, with nothing read or written. */
async function naive(database: Database, shape: Shape, labels: number): Promise<Measurement> {
  const asked = WINDOWS.flatMap((window) => {
    const from = `FROM transactions t WHERE t.user_id = l.user_id AND t.created_at < l.at AND t.created_at > l.at - INTERVAL '${window}'`
    return [`(SELECT COUNT(*) ${from})`, `(SELECT AVG(amount) ${from})`]
  })
  const started = performance.now()
  await execute(
    database,
    `CREATE OR REPLACE TEMP TABLE naive AS SELECT ${asked.map((text, i) => `${text} AS v${i}`).join(', ')}
     FROM (SELECT ${keyOf('i', shape)} AS user_id, ${timeOf('i + 99')} AS at FROM range(${labels}) r(i)) AS l`,
  )
  const seconds = (performance.now() - started) / 1000
  const what = `subqueries by hand: ${labels.toLocaleString('en')} × 10 windows over ${shape.events.toLocaleString('en')} events`
  return { what, unit: 's', values: [seconds] }
}

async function measured(
  database: Database,
  registry: Registry,
  shape: Shape,
  parts: Partial<TrainingParts>,
  wanted: readonly Wanted[],
  name: (labels: string) => string,
): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (const { labels, atMost } of wanted) {
    const training = createTraining()
    const base: TrainingParts = {
      store: createDuckdbTrainingStore(database),
      executor: { compute: () => Promise.reject(new Error('The benchmark went row by row.')) },
      pastStatement: () => Promise.resolve(null),
      pastMerges: () => Promise.resolve([]),
      pastRefusal: () => null,
      explain: () => null,
      flush: () => Promise.resolve(),
      version: '0.0.0',
    }
    const job = await training.begin(registry, { ...base, ...parts }, 'bench')
    const path = join(job.folder, 'upload')
    await execute(
      database,
      `COPY (SELECT ${keyOf('i', shape)} AS user_id, ${timeOf('i + 99')} AS event_timestamp, i % 2 AS label FROM range(${labels}) r(i)) TO '${path}' (FORMAT parquet)`,
    )
    let peak = 0
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss)
    }, 100)
    const started = performance.now()
    await job.build({ format: 'parquet', path }, { ...OPTIONS, features: [...registry.features.keys()] }, new AbortController().signal)
    const seconds = (performance.now() - started) / 1000
    clearInterval(watch)
    await job.close()
    const what = name(labels.toLocaleString('en'))
    measurements.push({ what, unit: 's', values: [seconds], ...(atMost === undefined ? {} : { atMost }) })
    if (atMost !== undefined) measurements.push({ what: `${what}: memory`, unit: 'MiB', values: [peak / 2 ** 20], atMost: 4096 })
  }
  return measurements
}

const OPTIONS = {
  timestamp: 'event_timestamp',
  timezone: null,
  method: null,
  asServed: false,
  latestKnowledge: false,
  snapshot: null,
  deterministic: false,
  withStatus: false,
  withEventTimestamp: false,
  format: 'parquet',
} as const

async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const folder = temporaryFolder()
  const database = await openDatabase({ file: join(folder, 'bench.duckdb') })
  try {
    return await work(database)
  } finally {
    await database.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function execute(database: Database, sql: string): Promise<void> {
  return database.loader.use(LONG, (session) => session.execute(sql, LONG))
}

function keyOf(i: string, { keys, hot }: Shape): string {
  const key = `'u' || (hash(${i}) % ${keys})`
  return hot ? `CASE WHEN ${i} % 10 = 0 THEN 'u0' ELSE ${key} END` : key
}

function timeOf(i: string): string {
  return `make_timestamptz(CAST(${START_US} + hash(${i}) % ${MONTH_US} AS BIGINT))`
}
