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
export const steady = feature({ entity: User, refresh: "1d", type: "int" }, () => 1)
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
      const reading = openLoop({ url: `${server.url}/v1/features/steady?entity_id=u1` }, 200, 15)
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

async function refresh(url: string): Promise<{ readonly duration_ms: number; readonly keys: number }> {
  const response = await fetch(`${url}/v1/features/events_7d/refresh`, { method: 'POST' })
  const run = (await response.json()) as { duration_ms: number; keys: number; failed: number; error: string | null }
  if (!response.ok || run.failed > 0 || run.error !== null) throw new Error(JSON.stringify(run))
  return run
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
