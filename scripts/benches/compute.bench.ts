import type { Computed, ComputeRow } from '../../src/compute/executor.ts'
import { createSqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Strategy } from '../../src/compute/sql/strategies.ts'
import type { Feature } from '../../src/definition/model.ts'
import { openComputeBench, registryOf } from '../../test/support/compute-bench.ts'
import { type Bench, type Measurement, repeat } from './bench.ts'

const COUNT = "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '1 hour'"
const MONTH_US = 30 * 86_400_000_000
const START_US = Date.parse('2026-01-01T00:00:00Z') * 1000

interface Shape {
  readonly events: number
  readonly keys: number
  /** One key in ten events and rows. */
  readonly hot: boolean
  readonly strategy?: Strategy
}

/** The compute primitive on DuckDB: many (key, as-of) rows against many events, and one row at a time. */
export const bench: Bench = async () => [
  ...(await measure({ events: 1_000_000, keys: 10_000, hot: false }, [
    { what: '100,000 rows over 1,000,000 events', rows: 100_000, runs: 3, atMost: 0.5 },
    { what: '1,000 single rows over 1,000,000 events', rows: 1, runs: 1_000, unit: 'ms' },
  ])),
  ...(await measure({ events: 10_000_000, keys: 100_000, hot: false }, [
    { what: '1,000,000 rows over 10,000,000 events, 100,000 keys', rows: 1_000_000, runs: 2, atMost: 5 },
  ])),
  ...(await measure({ events: 10_000_000, keys: 10_000, hot: false }, [
    { what: '1,000,000 rows over 10,000,000 events, 10,000 keys', rows: 1_000_000, runs: 2, atMost: 15 },
  ])),
  ...(await measure({ events: 10_000_000, keys: 100_000, hot: true }, [
    { what: 'the same, one key with a tenth of both', rows: 1_000_000, runs: 2, atMost: 15 },
  ])),
  ...(await measure({ events: 10_000_000, keys: 1_000_000, hot: false }, [
    { what: 'refresh of 1,000,000 keys over 10,000,000 events', rows: 1_000_000, runs: 2, atMost: 20, refresh: true },
  ])),
]

interface Wanted {
  readonly what: string
  readonly rows: number
  readonly runs: number
  readonly unit?: 'ms' | 's'
  readonly atMost?: number
  readonly refresh?: boolean
}

async function measure(shape: Shape, wanted: readonly Wanted[]): Promise<Measurement[]> {
  const bench = await openComputeBench()
  const key = (x: string) =>
    shape.hot ? `CASE WHEN ${x} % 10 = 0 THEN 'u0' ELSE 'u' || (hash(${x}) % ${shape.keys}) END` : `'u' || (hash(${x}) % ${shape.keys})`
  await bench.execute(`CREATE TABLE transactions AS SELECT ${key('i')} AS user_id, (i % 97) * 1.5 AS amount,
    make_timestamptz(CAST(${START_US} + hash(i + 7) % ${MONTH_US} AS BIGINT)) AS created_at FROM range(${shape.events}) r(i)`)
  const registry = registryOf({ sources: { transactions: { timestamp: 'created_at' } }, features: { n: COUNT } })
  const definitions = await createSqlDefinitions(registry, bench.store)
  const executor = createSqlExecutor({ sourceEngine: bench.store, definitions, strategy: shape.strategy })
  const feature = registry.features.get('n') as Feature
  const measurements: Measurement[] = []
  for (const { what, rows, runs, unit = 's', atMost, refresh } of wanted) {
    const values = await repeat(runs, async () => {
      const questions = rowsOf(shape, rows, refresh === true)
      const started = performance.now()
      const answers = await executor.compute(feature, questions, {
        signal: new AbortController().signal,
        timeoutMs: 600_000,
        mode: 'past',
        chain: [],
      })
      const elapsed = performance.now() - started
      failIfWrong([...answers])
      return unit === 's' ? elapsed / 1000 : elapsed
    })
    measurements.push({ what, unit, values, atMost })
  }
  await bench.store.close()
  return measurements
}

function rowsOf({ keys, hot }: Shape, count: number, refresh: boolean): ComputeRow[] {
  const rows: ComputeRow[] = []
  for (let i = 0; i < count; i++) {
    const user = refresh ? `u${i}` : hot && i % 10 === 0 ? 'u0' : `u${(i * 7919) % keys}`
    rows.push({ key: { values: [user], encoded: user }, asOf: refresh ? START_US + MONTH_US : START_US + ((i * 104_729_000) % MONTH_US) })
  }
  return rows
}

function failIfWrong(answers: readonly Computed[]): void {
  const wrong = answers.find((answer) => answer.kind !== 'value')
  if (wrong) throw new Error(`The benchmark failed: ${JSON.stringify(wrong)}`)
}
