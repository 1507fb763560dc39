import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { startFabra, temporaryFolder } from '../../test/support/binary.ts'
import { startPostgres, startRedis } from '../../test/support/servers.ts'
import { until } from '../../test/support/until.ts'
import type { Bench } from './bench.ts'
import { openLoop, quantile } from './load.ts'
import { SHARED_CACHE } from './server.ts'

const KEYS = 100_000
const KEPT_DAYS = 330
const FEATURES = `import { entity, feature } from "fabra"
export const User = entity("User", { key: "user_id" })
export const score = feature({ entity: User, refresh: "7d", type: "int" }, () => 1)`
/** Requests a second: values, from Redis; history of a key, from PostgreSQL. */
const [READS, LOOKS] = [1_000, 50]
const SECONDS = 5
/** The first sweep begins a minute after the start. */
const BEFORE_RUNS = 6
const MOST_RUNS = 400

/** Two months that are too old leave while values and history are read. `retention=2000000`: of so many rows, and not of twenty million. */
export const bench: Bench = async (rows = 20_000_000) => {
  const folder = temporaryFolder()
  await using postgres = await startPostgres({ settings: ['fsync=on', 'max_wal_size=8GB'] })
  await using redis = await startRedis()
  const sql = new SQL(postgres.url, { max: 1 })
  writeFileSync(join(folder, 'features.ts'), FEATURES)
  const env = {
    FABRA_CACHE_DIR: SHARED_CACHE,
    FABRA_POSTGRES_URL: postgres.url,
    FABRA_REDIS_URL: redis.url,
    FABRA_HISTORY_KEEP: `${KEPT_DAYS}d`,
  }
  const start = () => startFabra({ file: join(folder, 'features.ts'), cwd: folder, env })
  try {
    // It makes the schema, and numbers the version.
    const first = await start()
    await (await fetch(`${first.url}/v1/features/score?entity_id=u1`)).text()
    await until('a recorded value', 0, async () => (await sql`SELECT FROM fabra.feature_versions`).length > 0 || undefined)
    await first.stop()
    await fill(sql, rows)
    const server = await start()
    const one = `${server.url}/v1/features/score`
    await (await fetch(`${one}?entity_id=u1`)).text()
    const p99s = async () => {
      const both = [
        openLoop({ url: `${one}?entity_id=u1` }, READS, SECONDS),
        openLoop({ url: `${one}/history?entity_id=u2&limit=10` }, LOOKS, SECONDS),
      ]
      return (await Promise.all(both)).map((latencies) => quantile(latencies, 0.99))
    }
    const left = () => `${server.stdout()}${server.stderr()}`.split('a month of history left').length - 1
    const begun = async () => (await sql`SELECT to_regclass('fabra.history_leaving') IS NOT NULL AS is`)[0].is === true
    try {
      const before: number[][] = []
      for (let run = 0; run < BEFORE_RUNS; run++) before.push(await p99s())
      await until('the first sweep', 240_000, async () => (await begun()) || undefined)
      const meanwhile: number[][] = []
      const beganAt = performance.now()
      for (let run = 0; run < MOST_RUNS && left() < 2; run++) meanwhile.push(await p99s())
      const seconds = (performance.now() - beganAt) / 1_000
      const kind = (i: number, runs: readonly number[][]) => runs.map((values) => values[i] ?? Number.NaN)
      const usual = (i: number) => kind(i, before).sort((a, b) => a - b)[BEFORE_RUNS / 2] ?? Number.NaN
      const compared = (i: number) => kind(i, meanwhile).map((value) => value / usual(i))
      return [
        {
          what: `retention: ${rows / 1e6} M rows in two months leave, p99 of reads beside that before`,
          unit: '×',
          values: compared(0),
          atMost: 1.5,
        },
        { what: '  p99 of histories of a key beside that before', unit: '×', values: compared(1), atMost: 1.5 },
        { what: `  p99 of reads before, ${READS}/s`, unit: 'ms', values: kind(0, before) },
        { what: `  p99 of histories before, ${LOOKS}/s`, unit: 'ms', values: kind(1, before) },
        { what: '  until both months have left', unit: 's', values: [seconds] },
        { what: '  rows that left', unit: '/s', values: [(rows - (await kept(sql))) / seconds] },
      ]
    } finally {
      await server.stop()
    }
  } finally {
    await sql.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Months that are over for so long, as they came; and a value of yesterday for nine keys in ten. */
async function fill(sql: SQL, rows: number): Promise<void> {
  const today = new Date()
  const month = (ago: number) => new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth() - ago)).toISOString().slice(0, 10)
  const [from, second, to] = [month(16), month(15), month(14)]
  const name = (start = '') => `history_packed_${start.slice(0, 7).replace('-', '_')}`
  const version = '(SELECT min(id) FROM fabra.feature_versions)'
  const columns = 'event_timestamp, version, available_lag, created_lag, mark, entity_key, value'
  await sql.unsafe(`
    CREATE TABLE fabra.${name(from)} PARTITION OF fabra.history_packed FOR VALUES FROM ('${from} 00:00:00+00') TO ('${second} 00:00:00+00');
    CREATE TABLE fabra.${name(second)} PARTITION OF fabra.history_packed FOR VALUES FROM ('${second} 00:00:00+00') TO ('${to} 00:00:00+00');
    INSERT INTO fabra.history_packed (${columns})
      SELECT '${from} 00:00:00+00'::timestamptz + i * (('${to} 00:00:00+00'::timestamptz - '${from} 00:00:00+00'::timestamptz) / ${rows}),
        ${version}, 1000, 1000, 4 * (i % 1000), 'u' || (i % ${KEYS}), (i % 977)::text
      FROM generate_series(0, ${rows - 1}) AS i;
    INSERT INTO fabra.history_packed (${columns})
      SELECT now() - interval '1 day', ${version}, 1000, 1000, 0, 'u' || i, '1' FROM generate_series(0, ${KEYS - 1}) AS i WHERE i % 10 <> 0;
    ANALYZE fabra.history_packed;
    CHECKPOINT`)
}

/** Of the two months. */
async function kept(sql: SQL): Promise<number> {
  const [row] = await sql`SELECT count(*)::int AS rows FROM fabra.history_packed WHERE event_timestamp < now() - interval '13 months'`
  return row.rows
}
