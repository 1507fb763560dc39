import { join, resolve } from 'node:path'
import type { Bench, Measurement } from './bench.ts'
import {
  fabra,
  keyOf,
  type Ran,
  type Shape,
  timed,
  timeOf,
  trained,
  type Wanted,
  withEngine,
  withProject,
  writeLabels,
} from './training-run.ts'

const WINDOWS = ['1 hour', '6 hours', '1 day', '3 days', '7 days']
/** Labels with which subqueries by hand end within minutes. */
const NAIVE_LABELS = 100_000

/** Ten windows over events, recomputed as of each label's time; and the latest row before it, beside what an engine needs that knows no ties. */
export const bench: Bench = async () => [
  ...(await latestRows()),
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

const LATEST = { rows: 1_000_000, keys: 10_000, labels: 100_000 } as const

/** Whole processes, from Parquet to Parquet, in turn; their CPU says more than their time on a machine that does other things as well. */
export async function latestRows(runs = 5): Promise<Measurement[]> {
  const { rows, keys, labels } = LATEST
  const shape: Shape = { events: rows, keys, hot: false }
  const names = Array.from({ length: 8 }, (_, i) => `c${i}`)
  const sql = `SELECT ${names.join(', ')} FROM rows WHERE user_id = $user_id ORDER BY created_at DESC LIMIT 1`
  const text = `import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const rows = source("rows", { timestamp: "created_at", file: "./rows.parquet" });
export const latest = feature({ entity: User, refresh: "5m", columns: ${JSON.stringify(Object.fromEntries(names.map((name) => [name, 'float'])))}, sql: ${JSON.stringify(sql)} });\n`
  return withProject(text, async (cwd) => {
    const columns = names.map((name, i) => `CAST(hash(i + ${i}) % ${10 ** (1 + (i % 6))} AS DOUBLE) AS ${name}`)
    const select = `SELECT ${keyOf('i', shape)} AS user_id, ${timeOf('i + 7')} AS created_at, ${columns.join(', ')} FROM range(${rows}) r(i)`
    await withEngine((run) => run(`COPY (${select}) TO '${join(cwd, 'rows.parquet')}' (FORMAT parquet)`))
    await writeLabels(join(cwd, 'labels.parquet'), labels, shape)
    const asof = `COPY (SELECT l.*, ${names.join(', ')} FROM 'labels.parquet' l ASOF LEFT JOIN 'rows.parquet' r
      ON l.user_id = r.user_id AND l.event_timestamp > r.created_at) TO 'asof.parquet' (FORMAT parquet)`
    const api = JSON.stringify(resolve(import.meta.dir, '../../node_modules/@duckdb/node-api'))
    const script = `const { DuckDBInstance } = await import(${api}); await (await (await DuckDBInstance.create()).connect()).run(${JSON.stringify(asof)})`
    await Bun.write(join(cwd, 'asof.ts'), script)
    await fabra(['train', '--features', 'latest', '--explain'], cwd)
    const found = { own: [] as Ran[], other: [] as Ran[] }
    for (let i = 0; i < runs; i++) {
      found.own.push(await fabra(['train', 'labels.parquet', '--features', 'latest', '-o', 'train.parquet'], cwd))
      found.other.push(await timed([process.execPath, 'asof.ts'], cwd))
    }
    const of = (what: string, ran: readonly Ran[]): Measurement[] => [
      { what: `${what}: CPU`, unit: 's', values: ran.map(({ cpuSeconds }) => cpuSeconds) },
      { what: `${what}: memory`, unit: 'MiB', values: ran.map(({ peakMiB }) => peakMiB) },
    ]
    const own = `train ${labels.toLocaleString('en')} × the latest row of 8 columns, of ${rows.toLocaleString('en')} rows`
    const ratios = found.own.map(({ cpuSeconds }, i) => cpuSeconds / (found.other[i]?.cpuSeconds ?? Number.NaN))
    return [
      ...of(own, found.own),
      ...of("the same by DuckDB's ASOF JOIN, which leaves ties to chance", found.other),
      { what: `${own}: times the CPU of ASOF JOIN`, unit: '×', values: ratios },
    ]
  })
}

/** What one would write without a feature store: a subquery for each value, by the same engine over a table that is there already. */
async function naive(cwd: string, shape: Shape, beside: Measurement): Promise<Measurement[]> {
  const asked = WINDOWS.flatMap((window) => {
    const from = `FROM transactions t WHERE t.user_id = l.user_id AND t.created_at < l.at AND t.created_at > l.at - INTERVAL '${window}'`
    return [`(SELECT COUNT(*) ${from})`, `(SELECT AVG(amount) ${from})`]
  })
  const joins = WINDOWS.map((window) => {
    const within = `t.created_at > l.at - INTERVAL '${window}'`
    return `COUNT(*) FILTER (${within}), AVG(amount) FILTER (${within})`
  })
  const seconds = await withEngine(async (run) => {
    await run(`CREATE TABLE transactions AS FROM read_parquet('${join(cwd, 'transactions.parquet')}')`)
    const started = performance.now()
    await run(
      `CREATE TABLE naive AS SELECT ${asked.map((text, i) => `${text} AS v${i}`).join(', ')}
       FROM (SELECT ${keyOf('i', shape)} AS user_id, ${timeOf('i + 99')} AS at FROM range(${NAIVE_LABELS}) r(i)) AS l`,
    )
    const joined = performance.now()
    await run(
      `CREATE TABLE joined AS SELECT l.user_id, l.at, ${joins.join(', ')}
       FROM (SELECT ${keyOf('i', shape)} AS user_id, ${timeOf('i + 99')} AS at FROM range(${NAIVE_LABELS}) r(i)) AS l
       LEFT JOIN transactions t ON t.user_id = l.user_id AND t.created_at < l.at AND t.created_at > l.at - INTERVAL '${WINDOWS.at(-1)}'
       GROUP BY l.user_id, l.at`,
    )
    return { subqueries: (joined - started) / 1000, joined: (performance.now() - joined) / 1000 }
  })
  const what = `the same ${NAIVE_LABELS.toLocaleString('en')} by hand, a subquery for each value, in DuckDB`
  const own = beside.values[0] ?? Number.NaN
  return [
    { what, unit: 's', values: [seconds.subqueries] },
    { what: `${what}: times as long as train`, unit: '×', values: [seconds.subqueries / own] },
    {
      what: `the same ${NAIVE_LABELS.toLocaleString('en')} by one join by hand, over a table that is there`,
      unit: 's',
      values: [seconds.joined],
    },
  ]
}
