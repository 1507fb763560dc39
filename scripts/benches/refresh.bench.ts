import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { startFabra, temporaryFolder } from '../../test/support/binary.ts'
import type { Bench } from './bench.ts'
import { openLoop, quantile } from './load.ts'
import { SHARED_CACHE } from './server.ts'

const EVENTS = 10_000_000
const KEYS = 1_000_000
const COLD_CALLERS = 10_000

const FEATURES = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id" , keys: "SELECT DISTINCT user_id FROM events" })
export const events = source("events", { timestamp: "created_at", file: "./events.parquet" })
export const events_7d = feature({ entity: User, refresh: "1d", type: "int",
  sql: \`SELECT COUNT(*) FROM events WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '7 days'\` })
export const Other = entity("Other", { key: "other_id" })
export const steady = feature({ entity: Other, refresh: "1d", type: "int" }, () => 1)
`

/** One SQL feature computed for a million keys over ten million events, while another is read. The events lie in the week before the clock. */
export const bench: Bench = async () => {
  const folder = temporaryFolder()
  try {
    await writeEvents(join(folder, 'events.parquet'))
    writeFileSync(join(folder, 'features.ts'), FEATURES)
    const server = await startFabra({
      file: join(folder, 'features.ts'),
      cwd: folder,
      args: ['--clock', '2026-01-08T00:00:00Z'],
      env: { FABRA_CACHE_DIR: SHARED_CACHE },
    })
    try {
      const before = residentMib(server.pid)
      const cold = await coldKey(server.url)
      const reading = openLoop({ url: `${server.url}/v1/features/steady?entity_id=o1` }, 200, 15)
      const run = await refresh(server.url)
      const latencies = await reading
      return [
        { what: `refresh of ${KEYS / 1e6} M keys over ${EVENTS / 1e6} M events`, unit: 's', values: [run.duration_ms / 1000], atMost: 20 },
        { what: '  keys computed', unit: '/s', values: [run.keys / (run.duration_ms / 1000)] },
        { what: '  most resident memory (at start: first)', unit: 'MiB', values: [before, residentMib(server.pid)] },
        { what: '  p99 of reads meanwhile', unit: 'ms', values: [quantile(latencies, 0.99)], atMost: 10 },
        { what: `computations for ${COLD_CALLERS} callers of a cold key`, unit: '×', values: [cold], atMost: 1 },
      ]
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function writeEvents(path: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (
    SELECT 'u' || (hash(i) % ${KEYS}) AS user_id, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_microseconds((hash(i + 1) % 604800000000)::BIGINT) AS created_at
    FROM range(${EVENTS}) t(i)) TO '${path}' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
}

/** The run that the schedule starts by itself, because the entity lists its keys. */
async function refresh(url: string): Promise<Run> {
  for (;;) {
    const { runs } = (await (await fetch(`${url}/v1/runs?feature=events_7d`)).json()) as { runs: Run[] }
    const ended = runs.find((run) => run.duration_ms !== null && run.keys > KEYS / 2)
    if (ended && (ended.failed > 0 || ended.error !== null)) throw new Error(JSON.stringify(ended))
    if (ended) return ended
    await Bun.sleep(250)
  }
}

interface Run {
  readonly duration_ms: number
  readonly keys: number
  readonly failed: number
  readonly error: string | null
}

/** How many computations it took to answer all callers of a key that nobody asked for before: as many as there are event timestamps. */
async function coldKey(url: string): Promise<number> {
  const answers = await Promise.all(
    Array.from(
      { length: COLD_CALLERS },
      async () => (await fetch(`${url}/v1/features/events_7d?entity_id=u2`)).json() as Promise<{ event_timestamp: string }>,
    ),
  )
  return new Set(answers.map((answer) => answer.event_timestamp)).size
}

/** The most it ever was. */
function residentMib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
