import { join } from 'node:path'
import type { Bench, Measurement } from './bench.ts'
import { fabra, keyOf, type Shape, timeOf, trained, type Wanted, withEngine, withProject } from './training-run.ts'

const WINDOWS = ['1 hour', '6 hours', '1 day', '3 days', '7 days']
/** Labels with which subqueries by hand end within minutes. */
const NAIVE_LABELS = 100_000

/** Ten windows over events, recomputed as of each label's time. */
export const bench: Bench = async () => [
  ...(await windows({ events: 10_000_000, keys: 100_000, hot: false }, [
    { labels: 10_000 },
    { labels: 100_000 },
    { labels: 1_000_000, atMost: 60 },
  ])),
  ...(await windows({ events: 10_000_000, keys: 10_000, hot: false }, [{ labels: 1_000_000, atMost: 120 }])),
  ...(await windows({ events: 10_000_000, keys: 100_000, hot: true }, [{ labels: 1_000_000, atMost: 180 }])),
]

export async function windows(shape: Shape, wanted: readonly Wanted[]): Promise<Measurement[]> {
  const queries = WINDOWS.flatMap((window, i) => {
    const from = `FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '${window}'`
    return [
      { name: `count_${i}`, type: 'int', sql: `SELECT COUNT(*) ${from}` },
      { name: `mean_${i}`, type: 'float', sql: `SELECT AVG(amount) ${from}` },
    ]
  })
  return withProject(definitions(queries), async (cwd) => {
    const events = `SELECT ${keyOf('i', shape)} AS user_id, CAST((i % 97) * 1.5 AS DOUBLE) AS amount, ${timeOf('i + 7')} AS created_at FROM range(${shape.events}) r(i)`
    await withEngine((run) => run(`COPY (${events}) TO '${join(cwd, 'transactions.parquet')}' (FORMAT parquet)`))
    // Loads the file, as the first command of a project does.
    await fabra(['train', '--features', 'count_0', '--explain'], cwd)
    const what = `${shape.keys.toLocaleString('en')} keys${shape.hot ? ', one with a tenth' : ''}`
    const own = await trained(cwd, {
      shape,
      features: queries.map(({ name }) => name),
      wanted,
      name: (labels) => `train ${labels} × 10 windows over ${shape.events.toLocaleString('en')} events, ${what}`,
    })
    const beside = own.find((one) => one.what.startsWith(`train ${NAIVE_LABELS.toLocaleString('en')} `))
    return beside ? [...own, ...(await naive(cwd, shape, beside))] : own
  })
}

function definitions(queries: readonly { name: string; type: string; sql: string }[]): string {
  const features = queries.map(
    ({ name, type, sql }) =>
      `export const ${name} = feature({ entity: User, refresh: "5m", type: "${type}", sql: ${JSON.stringify(sql)} });`,
  )
  return `import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const transactions = source("transactions", { timestamp: "created_at", file: "./transactions.parquet" });
${features.join('\n')}\n`
}

/** What one would write without a feature store: a subquery for each value, by the same engine over a table that is there already. */
async function naive(cwd: string, shape: Shape, beside: Measurement): Promise<Measurement[]> {
  const asked = WINDOWS.flatMap((window) => {
    const from = `FROM transactions t WHERE t.user_id = l.user_id AND t.created_at < l.at AND t.created_at > l.at - INTERVAL '${window}'`
    return [`(SELECT COUNT(*) ${from})`, `(SELECT AVG(amount) ${from})`]
  })
  const seconds = await withEngine(async (run) => {
    await run(`CREATE TABLE transactions AS FROM read_parquet('${join(cwd, 'transactions.parquet')}')`)
    const started = performance.now()
    await run(
      `CREATE TABLE naive AS SELECT ${asked.map((text, i) => `${text} AS v${i}`).join(', ')}
       FROM (SELECT ${keyOf('i', shape)} AS user_id, ${timeOf('i + 99')} AS at FROM range(${NAIVE_LABELS}) r(i)) AS l`,
    )
    return (performance.now() - started) / 1000
  })
  const what = `the same ${NAIVE_LABELS.toLocaleString('en')} by hand, a subquery for each value, in DuckDB`
  const own = beside.values[0] ?? Number.NaN
  return [
    { what, unit: 's', values: [seconds] },
    { what: `${what}: times as long as train`, unit: '×', values: [seconds / own] },
  ]
}
