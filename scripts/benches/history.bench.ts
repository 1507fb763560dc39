import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { type RunningFabra, startFabra, temporaryFolder } from '../../test/support/binary.ts'
import { startPostgres, type TestServer } from '../../test/support/servers.ts'
import type { Bench } from './bench.ts'
import { processorMicros } from './processes.ts'
import { SHARED_CACHE } from './server.ts'

const EVENTS = 300_000
const KEYS = 100_000
const ROUNDS = 3

const sql = 'SELECT COUNT(*) FROM events WHERE user_id = $user_id'
const FEATURES = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id", keys: "SELECT DISTINCT user_id FROM events" })
export const events = source("events", { timestamp: "created_at" })
export const recorded = feature({ entity: User, refresh: "1d", type: "int", history: "all", sql: "${sql}" })
export const unrecorded = feature({ entity: User, refresh: "1d", type: "int", history: "off", sql: "${sql}" })
`

/** What it costs to record: the same feature refreshed with every value recorded in PostgreSQL, and without. */
export const bench: Bench = async () => {
  const folder = temporaryFolder()
  await using postgres = await startPostgres({ settings: ['fsync=on'] })
  await using client = new SQL(postgres.url, { max: 1 })
  try {
    await client.unsafe(`
      CREATE TABLE events AS SELECT 'u' || (i % ${KEYS}) AS user_id, now() - interval '1 hour' AS created_at FROM generate_series(1, ${EVENTS}) AS i;
      CREATE INDEX ON events (user_id, created_at);
      ANALYZE events`)
    writeFileSync(join(folder, 'features.ts'), FEATURES)
    const server = await startFabra({
      ...{ file: join(folder, 'features.ts'), cwd: folder },
      env: { FABRA_CACHE_DIR: SHARED_CACHE, FABRA_POSTGRES_URL: postgres.url },
    })
    try {
      const rows = () => written(server)
      // Both are refreshed once by themselves.
      await settled(server, rows, KEYS)
      const found: Record<'recorded' | 'unrecorded', Cost[]> = { recorded: [], unrecorded: [] }
      for (let round = 1; round <= ROUNDS; round++) {
        for (const name of ['recorded', 'unrecorded'] as const) {
          const expected = name === 'recorded' ? (round + 1) * KEYS : 0
          found[name].push(await costOf(server, postgres, () => refresh(server, name, rows, expected)))
        }
      }
      const ratios = (of: (cost: Cost) => number) => found.recorded.map((cost, i) => of(cost) / of(found.unrecorded[i] ?? cost))
      const [size] = await client`SELECT sum(pg_total_relation_size(inhrelid))::float8 AS bytes FROM pg_inherits
        WHERE inhparent = 'fabra.history_packed'::regclass`
      return [
        {
          what: `refresh of ${KEYS / 1000} k keys until all is recorded in PostgreSQL, to that without`,
          ...{ unit: '×', values: ratios(({ ms }) => ms), atMost: 1.3 },
        },
        { what: '  processor time, of Fabra and PostgreSQL', unit: '×', values: ratios(({ own, postgres: theirs }) => own + theirs) },
        {
          what: '  values recorded, by processor time of PostgreSQL alone',
          unit: '/s',
          values: found.recorded.map(({ postgres: with_ }, i) => KEYS / ((with_ - (found.unrecorded[i]?.postgres ?? 0)) / 1e6)),
          atLeast: 300_000,
        },
        {
          what: '  bytes a value, index and all',
          unit: 'B',
          values: [Number(size.bytes) / (await rows())],
          atMost: 100,
        },
      ]
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Since it began. The server counts: to ask PostgreSQL would be work for it. */
async function written({ url }: RunningFabra): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  return Number(/^fabra_history_rows_written_total (\d+)/m.exec(metrics)?.[1])
}

interface Cost {
  readonly ms: number
  /** Processor time in microseconds. */
  readonly own: number
  readonly postgres: number
}

async function costOf({ pid }: RunningFabra, postgres: TestServer, work: () => Promise<void>): Promise<Cost> {
  const before = { own: processorMicros(pid), postgres: microsOfChildren(postgres.pid()), at: performance.now() }
  await work()
  return {
    ms: performance.now() - before.at,
    own: processorMicros(pid) - before.own,
    postgres: microsOfChildren(postgres.pid()) - before.postgres,
  }
}

function microsOfChildren(parent: number | undefined): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.reduce((sum, pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const isChild = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
      return isChild ? sum + processorMicros(Number(pid)) : sum
    } catch {
      // It has ended meanwhile.
      return sum
    }
  }, 0)
}

async function refresh({ url }: RunningFabra, name: string, rows: () => Promise<number>, expected: number): Promise<void> {
  const response = await fetch(`${url}/v1/features/${name}/refresh`, { method: 'POST', signal: AbortSignal.timeout(600_000) })
  if (!response.ok) throw new Error(`${name}: ${response.status} ${await response.text()}`)
  while ((await rows()) < expected) await Bun.sleep(20)
}

async function settled({ url }: RunningFabra, rows: () => Promise<number>, expected: number): Promise<void> {
  for (;;) {
    const { runs } = (await (await fetch(`${url}/v1/runs`)).json()) as {
      runs: { feature: string; keys: number; duration_ms: number | null }[]
    }
    const done = new Set(runs.filter(({ keys, duration_ms }) => keys === KEYS && duration_ms !== null).map(({ feature }) => feature))
    if (done.size === 2 && (await rows()) >= expected) return
    await Bun.sleep(250)
  }
}
