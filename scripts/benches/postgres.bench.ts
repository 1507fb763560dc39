import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { runFabra, startFabra, temporaryFolder } from '../../test/support/binary.ts'
import { startPostgres } from '../../test/support/servers.ts'
import type { Bench } from './bench.ts'
import { SHARED_CACHE } from './server.ts'

const EVENTS = 1_000_000
const KEYS = 100_000
const LABELS = 100_000
const WINDOWS = ['1 hour', '6 hours', '1 day', '3 days', '7 days']

const FEATURES = `import { entity, feature, source } from "fabra"
export const User = entity("User", { key: "user_id", keys: "SELECT DISTINCT user_id FROM events" })
export const events = source("events", { timestamp: "created_at" })
export const spend_7d = feature({ entity: User, refresh: "1d", columns: { count: "int", total: "float" },
  sql: \`SELECT COUNT(*) AS count, COALESCE(SUM(amount), 0) AS total FROM events
        WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '7 days'\` })
${WINDOWS.flatMap((window, i) =>
  ['COUNT(*)', 'COALESCE(SUM(amount), 0)'].map(
    (value, j) => `export const w${2 * i + j} = feature({ entity: User, refresh: 0, type: "float",
  sql: "SELECT ${value} FROM events WHERE user_id = $user_id AND created_at > NOW() - INTERVAL '${window}'" })\n`,
  ),
).join('')}`

/** Ten windows as of each label's time, and one SQL feature computed for a hundred thousand keys over a million indexed events in PostgreSQL, which syncs to its disk, and recorded there. */
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
      const trained = await train(folder, postgres.url)
      return [
        {
          what: `PostgreSQL: refresh of ${KEYS / 1000} k keys over ${EVENTS / 1e6} M events`,
          unit: 's',
          values: [run.duration_ms / 1000],
          atMost: 30,
        },
        {
          what: `  training: ${LABELS / 1000} k labels × 10 windows over ${EVENTS / 1e6} M events`,
          unit: 's',
          values: [trained],
          atMost: 60,
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

/** Seconds that the command takes, from its start to its end. */
async function train(folder: string, url: string): Promise<number> {
  const labels = Array.from({ length: LABELS }, (_, i) => {
    const at = new Date(Date.now() - ((i * 7_919) % 604_800) * 1000).toISOString()
    return `u${(i * 31) % KEYS},${at},${i % 2}`
  })
  writeFileSync(join(folder, 'labels.csv'), `user_id,event_timestamp,label\n${labels.join('\n')}\n`)
  const features = Array.from({ length: 2 * WINDOWS.length }, (_, i) => `w${i}`).join(',')
  const began = performance.now()
  const run = await runFabra(['train', 'labels.csv', '--features', features, '-o', 'out.parquet'], {
    cwd: folder,
    env: { FABRA_CACHE_DIR: SHARED_CACHE, FABRA_POSTGRES_URL: url, FABRA_DATA_DIR: join(folder, 'train') },
    timeoutMs: 300_000,
  })
  if (run.exitCode !== 0) throw new Error(run.stderr)
  return (performance.now() - began) / 1000
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
