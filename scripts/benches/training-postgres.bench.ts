/** One training set over the same rows, in PostgreSQL and on a laptop, in turns: one over sources with many keys, one over few keys with many rows. */
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { BINARY } from '../../test/support/binary.ts'
import { startPostgres, type TestServer } from '../../test/support/servers.ts'
import type { Bench, Measurement } from './bench.ts'
import { type CommandEnvironment, keyOf, type Shape, timed, timeOf, withEngine, withProject, writeLabels } from './training-run.ts'

const ROWS = 337_000
const LABELS = 20_000
const RUNS = 3
const AT_MOST = 2
const WINDOWS = ['1 hour', '1 day', '3 days', '7 days', '30 days']
const TICKS_PER_SECOND = 100

/** Nineteen columns in ten features, as people write them. */
const QUERIES: readonly { readonly columns: Readonly<Record<string, string>>; readonly sql: string }[] = [
  ...WINDOWS.map((window) => ({
    columns: { count: 'int', total: 'float', mean: 'float' },
    sql: `SELECT COUNT(*) AS count, COALESCE(SUM(amount), 0) AS total, AVG(amount) AS mean FROM payments
          WHERE user_id = $user_id AND paid_at > NOW() - INTERVAL '${window}'`,
  })),
  {
    columns: { merchants: 'int' },
    sql: "SELECT COUNT(DISTINCT merchant) AS merchants FROM payments WHERE user_id = $user_id AND paid_at > NOW() - INTERVAL '1 day'",
  },
  {
    columns: { largest: 'float' },
    sql: "SELECT MAX(amount) AS largest FROM payments WHERE user_id = $user_id AND paid_at > NOW() - INTERVAL '7 days'",
  },
  {
    columns: { refunds: 'int' },
    sql: "SELECT COUNT(*) FILTER (WHERE state = 'refunded') AS refunds FROM payments WHERE user_id = $user_id AND paid_at > NOW() - INTERVAL '30 days'",
  },
  { columns: { state: 'string' }, sql: 'SELECT state FROM payments WHERE user_id = $user_id ORDER BY paid_at DESC, id DESC LIMIT 1' },
]
const NAMES = QUERIES.map((_, i) => `f${i}`)

export const bench: Bench = async () => [
  ...(await beside('of 10,000 keys', { events: ROWS, keys: 10_000, hot: false })),
  ...(await beside('of 500 keys', { events: ROWS, keys: 500, hot: false })),
]

function beside(which: string, shape: Shape): Promise<Measurement[]> {
  return withProject(definitions(''), async (server) =>
    withProject(definitions(', file: "./payments.parquet"'), async (laptop) => {
      await using postgres = await startPostgres()
      await writePayments({ server, laptop }, shape, postgres)
      const env = { FABRA_POSTGRES_URL: postgres.url, FABRA_DATA_DIR: join(server, 'data') }
      for (const cwd of [server, laptop]) await writeLabels(join(cwd, 'labels.parquet'), LABELS, shape)
      // Loads the laptop's file, as the first command of a project does.
      await timed([BINARY, 'train', '--features', 'f0', '--explain'], laptop)
      const there: Cost[] = []
      const here: Cost[] = []
      for (let run = 0; run < RUNS; run++) {
        here.push(await cost(laptop, {}, null))
        there.push(await cost(server, env, postgres))
      }
      return rowsOf(`train ${LABELS / 1000} k labels × 19 columns over ${ROWS / 1000} k rows ${which}`, here, there)
    }),
  )
}

interface Cost {
  readonly seconds: number
  readonly cpu: number
  readonly peakMiB: number
}

async function cost(cwd: string, env: CommandEnvironment, postgres: TestServer | null): Promise<Cost> {
  const before = postgres === null ? 0 : secondsOf(postgres.pid() ?? 0)
  const command = [BINARY, 'train', 'labels.parquet', '--features', NAMES.join(','), '-o', 'out.parquet', '--json']
  const ran = await timed(command, cwd, env)
  if ((JSON.parse(ran.stdout) as { rows: number }).rows !== LABELS)
    throw new Error('The training set does not have the rows of the labels.')
  const server = postgres === null ? 0 : secondsOf(postgres.pid() ?? 0) - before
  return { seconds: ran.seconds, cpu: ran.cpuSeconds + server, peakMiB: ran.peakMiB }
}

function rowsOf(what: string, here: readonly Cost[], there: readonly Cost[]): Measurement[] {
  const of = (costs: readonly Cost[], part: keyof Cost) => costs.map((one) => one[part])
  const ratios = (part: keyof Cost) => there.map((one, i) => one[part] / (here[i]?.[part] ?? Number.NaN))
  return [
    { what: `${what}: laptop`, unit: 's', values: of(here, 'seconds') },
    { what: '  PostgreSQL', unit: 's', values: of(there, 'seconds') },
    { what: '  PostgreSQL beside laptop', unit: '×', values: ratios('seconds'), atMost: AT_MOST },
    { what: '  processor time: laptop', unit: 's', values: of(here, 'cpu') },
    { what: '  PostgreSQL, with what its server used', unit: 's', values: of(there, 'cpu') },
    { what: '  PostgreSQL beside laptop', unit: '×', values: ratios('cpu'), atMost: AT_MOST },
    { what: '  memory: laptop', unit: 'MiB', values: of(here, 'peakMiB') },
    { what: '  PostgreSQL', unit: 'MiB', values: of(there, 'peakMiB') },
  ]
}

function definitions(file: string): string {
  const features = QUERIES.map(
    ({ columns, sql }, i) =>
      `export const ${NAMES[i]} = feature({ entity: User, refresh: "1d", columns: ${JSON.stringify(columns)}, sql: ${JSON.stringify(sql)} });`,
  )
  return `import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const payments = source("payments", { timestamp: "paid_at"${file} });
${features.join('\n')}\n`
}

async function writePayments(
  { server, laptop }: { readonly server: string; readonly laptop: string },
  shape: Shape,
  postgres: TestServer,
): Promise<void> {
  const rows = `SELECT i AS id, ${keyOf('i', shape)} AS user_id, ${timeOf('i + 7')} AS paid_at,
    CAST(hash(i + 1) % 100000 / 100 AS DECIMAL(12, 2)) AS amount, 'm' || (hash(i + 2) % 400) AS merchant,
    CASE WHEN hash(i + 3) % 20 = 0 THEN 'refunded' ELSE 'paid' END AS state, 'What was bought, number ' || i AS note
    FROM range(${shape.events}) r(i)`
  await withEngine((run) =>
    run(`CREATE TABLE payments AS ${rows}; COPY payments TO '${join(laptop, 'payments.parquet')}' (FORMAT parquet);
      COPY payments TO '${join(server, 'payments.csv')}' (FORMAT csv, HEADER false)`),
  )
  const sql = new SQL(postgres.url, { max: 1 })
  try {
    await sql.unsafe(
      `CREATE TABLE payments (id bigint, user_id text, paid_at timestamptz, amount numeric(12, 2), merchant text, state text, note text)`,
    )
    // The server runs as another user.
    chmodSync(server, 0o755)
    await sql.unsafe(`COPY payments FROM '${join(server, 'payments.csv')}' WITH (FORMAT csv)`)
    await sql.unsafe('CREATE INDEX ON payments (user_id, paid_at); ANALYZE payments')
  } finally {
    await sql.close()
  }
}

/** Processor time of a server and of all its processes, those that have ended too. */
function secondsOf(pid: number): number {
  const ticks = (file: string, fields: readonly number[]) => {
    const values = readFileSync(file, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields.reduce((sum, field) => sum + Number(values[field - 3]), 0)
  }
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child !== '')
  const alive = children.map((child) => ticks(`/proc/${child}/stat`, [14, 15]))
  return (ticks(`/proc/${pid}/stat`, [14, 15, 16, 17]) + alive.reduce((sum, value) => sum + value, 0)) / TICKS_PER_SECOND
}
