/** A million labels with ten features into pandas, by the Python client: how much longer than `fabra train` into a file, and in how much memory. */
import { join } from 'node:path'
import { startFabra } from '../../test/support/binary.ts'
import { PYTHON_SOURCES, pythonTool } from '../../test/support/python.ts'
import type { Bench } from './bench.ts'
import { fabra, keyOf, type Shape, timed, timeOf, withEngine, withProject, writeLabels } from './training-run.ts'

const LABELS = 1_000_000
const SHAPE: Shape = { events: 1_000_000, keys: 100_000, hot: false }
const WINDOWS = ['1 hour', '6 hours', '1 day', '3 days', '7 days']
const RUNS = 3

interface Measured {
  readonly rows: number
  readonly seconds: number
  readonly table: number
  readonly grown: number
}

/** One after the other, over one server, in turn: what disturbs the machine disturbs both. */
export const bench: Bench = () =>
  withProject(definitions(), async (cwd) => {
    const events = `SELECT ${keyOf('i', SHAPE)} AS user_id, CAST((i % 97) * 1.5 AS DOUBLE) AS amount, ${timeOf('i + 7')} AS created_at FROM range(${SHAPE.events}) r(i)`
    await withEngine((run) => run(`COPY (${events}) TO '${join(cwd, 'transactions.parquet')}' (FORMAT parquet)`))
    await writeLabels(join(cwd, 'labels.parquet'), LABELS, SHAPE)
    const server = await startFabra({ file: 'features.ts', cwd })
    try {
      const byCommand: number[] = []
      const byClient: Measured[] = []
      for (let run = 0; run < RUNS; run += 1) {
        byCommand.push((await fabra(['train', 'labels.parquet', '--features', NAMES.join(','), '-o', 'train.parquet'], cwd)).seconds)
        byClient.push(await client(server.url, cwd))
      }
      const added = byClient.map(({ seconds }, run) => seconds / (byCommand[run] ?? Number.NaN))
      const rows = `${LABELS.toLocaleString('en')} labels × ${NAMES.length} features`
      return [
        { what: `fabra train ${rows} to a file`, unit: 's', values: byCommand },
        { what: `the Python client ${rows} to pandas`, unit: 's', values: byClient.map(({ seconds }) => seconds) },
        { what: 'the client: times as long', unit: '×', values: added, atMost: 1.15 },
        { what: 'the client: memory, times the table', unit: '×', values: byClient.map(({ grown, table }) => grown / table), atMost: 2 },
        { what: 'the table', unit: 'MB', values: byClient.map(({ table }) => table / 1e6) },
      ]
    } finally {
      await server.stop()
    }
  })

async function client(url: string, cwd: string): Promise<Measured> {
  const script = join(import.meta.dir, 'client_run.py')
  const words = ['env', `FABRA_URL=${url}`, `PYTHONPATH=${PYTHON_SOURCES}`, pythonTool('python'), script, ...NAMES]
  const { stdout } = await timed(words, cwd)
  const measured = JSON.parse(stdout) as Measured
  if (measured.rows !== LABELS) throw new Error(`The client has ${measured.rows} rows.`)
  return measured
}

const QUERIES = WINDOWS.flatMap((window, i) => {
  const from = `FROM transactions WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '${window}'`
  return [
    { name: `count_${i}`, type: 'int', sql: `SELECT COUNT(*) ${from}` },
    { name: `mean_${i}`, type: 'float', sql: `SELECT AVG(amount) ${from}` },
  ]
})
const NAMES = QUERIES.map(({ name }) => name)

function definitions(): string {
  const features = QUERIES.map(
    ({ name, type, sql }) =>
      `export const ${name} = feature({ entity: User, refresh: "5m", type: "${type}", sql: ${JSON.stringify(sql)} });`,
  )
  return `import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const transactions = source("transactions", { timestamp: "created_at", file: "./transactions.parquet" });
${features.join('\n')}\n`
}
