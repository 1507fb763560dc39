import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type RunningFabra, startFabra } from '../support/binary.ts'
import { createOracle, EXAMPLES, get, type Oracle, START_LIMIT_MS } from './oracle.ts'

let fabra: RunningFabra
let oracle: Oracle
let airports: string[] = []

beforeAll(async () => {
  fabra = await startFabra({ file: join(EXAMPLES, 'flights.ts'), args: ['--clock', '2001-03-15T12:00:00Z'] })
  oracle = await createOracle({ flights: '../node_modules/vega-datasets/data/flights-3m.parquet' })
  // The ten days around the clock are all that a week's window can see.
  const week = "CREATE OR REPLACE TABLE flights AS FROM flights WHERE date BETWEEN '2001-03-07' AND '2001-03-17'"
  await oracle.rows(week, { asOf: '', key: '' })
  const given = { asOf: '2001-03-15', key: String(Math.random()) }
  const all = await oracle.rows('SELECT DISTINCT origin FROM flights ORDER BY HASH(origin || $key)', given)
  airports = all.slice(0, 50).map((row) => String(row['origin']))
}, START_LIMIT_MS)
afterAll(async () => {
  await fabra?.stop()
})

/** What each feature should be, written without looking at its definition's SQL: no NOW(), no per-key query shape. */
const TRUTH = {
  departures_1h: `SELECT SUM(CASE WHEN origin = $key AND date < $asOf AND date_diff('microsecond', date, $asOf::TIMESTAMP) < 3600000000 THEN 1 ELSE 0 END)::INT FROM flights`,
  mean_delay_24h: `SELECT SUM(delay) / NULLIF(COUNT(*), 0)::DOUBLE FROM flights
    WHERE origin = $key AND date < $asOf AND date > $asOf::TIMESTAMP - INTERVAL 1440 MINUTE`,
  'week.flights': `SELECT COUNT(*)::INT FROM flights WHERE origin = $key AND date < $asOf AND date > $asOf::TIMESTAMP - INTERVAL 168 HOUR`,
  'week.delayed_share': `SELECT COUNT(*) FILTER (delay > 15) / NULLIF(COUNT(*), 0)::DOUBLE FROM flights
    WHERE origin = $key AND date < $asOf AND date > $asOf::TIMESTAMP - INTERVAL 168 HOUR`,
  busiest_route_24h: `SELECT destination FROM (SELECT destination, COUNT(*) AS n FROM flights
    WHERE origin = $key AND date < $asOf AND date > $asOf::TIMESTAMP - INTERVAL 1440 MINUTE GROUP BY ALL) ORDER BY n DESC, destination LIMIT 1`,
}

test(
  'every served value of 50 random airports equals a query written independently',
  async () => {
    let notTrivial = 0
    for (const key of airports) {
      for (const [feature, sql] of Object.entries(TRUTH)) {
        const answer = await get(fabra, feature, key)
        const truth = await oracle.one(sql, { asOf: answer.event_timestamp, key })
        const place = `${feature} of ${key} at ${answer.event_timestamp}`
        if (typeof truth === 'number' && !Number.isInteger(truth)) expect(Number(answer.value), place).toBeCloseTo(truth, 9)
        else expect({ place, value: answer.value }).toEqual({ place, value: truth ?? (feature === 'busiest_route_24h' ? 'none' : null) })
        if (truth !== null && truth !== undefined && truth !== 0) notTrivial++
      }
    }
    expect(notTrivial).toBeGreaterThan(150)
  },
  START_LIMIT_MS,
)

test('a batch gives every airport its own values, in the order asked', async () => {
  const response = await fetch(`${fabra.url}/v1/features`, {
    method: 'POST',
    body: JSON.stringify({ features: ['week', 'departures_1h'], rows: airports.map((origin) => ({ origin })) }),
  })
  const { features, results } = (await response.json()) as {
    features: string[]
    results: { entity: { origin: string }; values: number[] }[]
  }
  expect(features).toEqual(['week.flights', 'week.delayed_share', 'departures_1h'])
  expect(results.map(({ entity }) => entity.origin)).toEqual(airports)
  for (const { entity, values } of results) expect(values[0]).toBe((await get(fabra, 'week.flights', entity.origin)).value as number)
})

test('rush is the last hour over the average hour of the week', async () => {
  const week = Number((await get(fabra, 'week.flights', 'ORD')).value)
  const rush = await get(fabra, 'rush', 'ORD')
  const hour = Number(await oracle.one(TRUTH.departures_1h, { asOf: rush.event_timestamp, key: 'ORD' }))
  expect(Number(rush.value)).toBeCloseTo(hour / (week / 168), 9)
  expect(Number(rush.value)).toBeGreaterThan(0)
})
