import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runFabra, temporaryFolder } from '../support/binary.ts'
import { createOracle, EXAMPLES, type Oracle } from './oracle.ts'

/** Training takes longer than a hook's own five seconds. */
const LIMIT_MS = 180_000
const LABELS = 5_000
const CHECKED = 200
const FLIGHTS = '../node_modules/vega-datasets/data/flights-3m.parquet'
/** Five weeks of them: all three million are the same question, asked longer. */
const UNTIL = '2001-02-05'

let folder: string
let oracle: Oracle
beforeAll(async () => {
  folder = temporaryFolder()
  const part = join(folder, 'flights.parquet')
  oracle = await createOracle({ flights: FLIGHTS })
  await run(`COPY (FROM flights WHERE date < '${UNTIL}') TO '${part}'`)
  await run(`CREATE OR REPLACE TABLE flights AS FROM '${part}'`)
  const definitions = readFileSync(join(EXAMPLES, 'flights.ts'), 'utf8')
  expect(definitions).toContain(FLIGHTS)
  writeFileSync(join(folder, 'flights.ts'), definitions.replace(FLIGHTS, part))
  // Whoever departs at a time of the clock is a label of that time; many share one airport and minute.
  await run(`COPY (SELECT origin, date AS departed, delay > 15 AS late, distance FROM flights
    WHERE date > '2001-01-09' ORDER BY hash(date::VARCHAR || origin || destination || delay), delay LIMIT ${LABELS}) TO '${folder}/labels.parquet'`)
}, LIMIT_MS)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (sql: string) => oracle.rows(sql, { asOf: '', key: '' })

test(
  'five thousand flights get the features of their departure, and nothing of it or after it',
  async () => {
    const features = 'departures_1h,mean_delay_24h,week,busiest_route_24h'
    const made = await runFabra(
      [
        'train',
        'labels.parquet',
        '-f',
        'flights.ts',
        '--features',
        features,
        '--timestamp',
        'departed',
        '--timezone',
        'UTC',
        '-o',
        'train.parquet',
      ],
      { cwd: folder, timeoutMs: LIMIT_MS },
    )
    expect(made).toMatchObject({ exitCode: 0, stdout: `${join(folder, 'train.parquet')}\n` })
    await run(`CREATE TABLE made AS SELECT file_row_number AS i, * FROM read_parquet('${folder}/train.parquet', file_row_number = true)`)
    await run(`CREATE TABLE labels AS SELECT file_row_number AS i, * FROM read_parquet('${folder}/labels.parquet', file_row_number = true)`)

    const same = await run('SELECT COUNT(*)::INT AS n FROM made JOIN labels USING (i, origin, departed, late, distance)')
    expect(same).toEqual([{ n: LABELS }])

    // Every earlier flight of the airport is looked at, one by one; no window, no NOW(), nothing per key.
    await run(`CREATE TABLE picked AS SELECT * FROM made ORDER BY hash(i) LIMIT ${CHECKED}`)
    const wrong = await run(`
      WITH pairs AS (
        SELECT p.i, f.delay, f.destination, date_diff('microsecond', f.date, p.departed) AS ago
        FROM picked p JOIN flights f ON f.origin = p.origin AND f.date < p.departed
      ), counted AS (
        SELECT p.i, COALESCE(SUM((ago < 3600000000)::INT), 0) AS hour, SUM(delay) FILTER (ago < 86400000000) / NULLIF(SUM((ago < 86400000000)::INT), 0)::DOUBLE AS mean,
          COALESCE(SUM((ago < 604800000000)::INT), 0) AS week, SUM((delay > 15)::INT) FILTER (ago < 604800000000) / NULLIF(SUM((ago < 604800000000)::INT), 0)::DOUBLE AS share
        FROM picked p LEFT JOIN pairs USING (i) GROUP BY p.i
      ), routes AS (
        SELECT i, first(destination ORDER BY n DESC, destination) AS busiest
        FROM (SELECT i, destination, COUNT(*) AS n FROM pairs WHERE ago < 86400000000 GROUP BY ALL) GROUP BY i
      )
      SELECT m.i, m.origin, m.departed FROM picked m JOIN counted c USING (i) LEFT JOIN routes r USING (i)
      WHERE m.departures_1h <> c.hour OR m."week.flights" <> c.week OR m.busiest_route_24h <> COALESCE(r.busiest, 'none')
        OR (m.mean_delay_24h IS NULL) <> (c.mean IS NULL) OR abs(m.mean_delay_24h - c.mean) > 1e-9 * greatest(1, abs(c.mean))
        OR (m."week.delayed_share" IS NULL) <> (c.share IS NULL) OR abs(m."week.delayed_share" - c.share) > 1e-9`)
    expect(wrong).toEqual([])
    const [meaning] = await run(
      'SELECT COUNT(DISTINCT departures_1h)::INT AS hours, COUNT(DISTINCT "week.flights")::INT AS weeks, COUNT(DISTINCT busiest_route_24h)::INT AS routes FROM picked',
    )
    expect(Math.min(...Object.values(meaning ?? {}).map(Number))).toBeGreaterThan(10)
  },
  LIMIT_MS,
)
