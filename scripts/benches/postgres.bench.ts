import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { startFabra, temporaryFolder } from '../../test/support/binary.ts'
import { startPostgres } from '../../test/support/servers.ts'
import type { Bench } from './bench.ts'
import { SHARED_CACHE } from './server.ts'

const EVENTS = 1_000_000
const KEYS = 100_000

const FEATURES = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id", keys: "SELECT DISTINCT user_id FROM events" })
export const events = source("events", { timestamp: "created_at" })
export const spend_7d = feature({ entity: User, refresh: "1d", columns: { count: "int", total: "float" },
  sql: \`SELECT COUNT(*) AS count, COALESCE(SUM(amount), 0) AS total FROM events
        WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '7 days'\` })
`

/** One SQL feature computed for a hundred thousand keys over a million indexed events in PostgreSQL, which syncs to its disk, and recorded there. */
export const bench: Bench = async () => {
  const folder = temporaryFolder()
  await using postgres = await startPostgres({ settings: ['fsync=on'] })
  try {
    await writeEvents(postgres.url)
    writeFileSync(join(folder, 'features.ts'), FEATURES)
    const server = await startFabra({
      file: join(folder, 'features.ts'),
      cwd: folder,
      env: { FABRA_CACHE_DIR: SHARED_CACHE, FABRA_POSTGRES_URL: postgres.url },
    })
    try {
      const run = await refresh(server.url)
      return [
        {
          what: `PostgreSQL: refresh of ${KEYS / 1000} k keys over ${EVENTS / 1e6} M events`,
          unit: 's',
          values: [run.duration_ms / 1000],
          atMost: 30,
        },
        { what: '  history rows written', unit: '/s', values: [(await recorded(postgres.url, run.keys)) / (run.duration_ms / 1000)] },
      ]
    } finally {
      await server.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function writeEvents(url: string): Promise<void> {
  const sql = new SQL(url, { max: 1 })
  await sql.unsafe(`
    CREATE TABLE events AS
      SELECT 'u' || (abs(hashint8(i)) % ${KEYS}) AS user_id, now() - (abs(hashint8(i + 1)) % 604800) * interval '1 second' AS created_at,
        (abs(hashint8(i + 2)) % 10000) / 100.0 AS amount
      FROM generate_series(1, ${EVENTS}) AS i;
    CREATE INDEX ON events (user_id, created_at);
    ANALYZE events`)
  await sql.close()
}

/** The run that the schedule starts by itself, because the entity lists its keys. */
async function refresh(url: string): Promise<Run> {
  for (;;) {
    const { runs } = (await (await fetch(`${url}/v1/runs?feature=spend_7d`)).json()) as { runs: Run[] }
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

/** All of them, a moment later. */
async function recorded(url: string, wanted: number): Promise<number> {
  const sql = new SQL(url, { max: 1 })
  try {
    for (;;) {
      const [row] = await sql`SELECT count(*)::int AS rows FROM fabra.feature_history`
      if (row.rows >= wanted) return row.rows
      await Bun.sleep(100)
    }
  } finally {
    await sql.close()
  }
}
