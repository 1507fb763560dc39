/**
 * Windows of several lengths in one statement, against the statement that asks for each row of the list alone; for keys that are joined, that are put
 * in order of time, and both. FABRA_TEST_RUNS sets the number of random questions asked in turn (a world is 60), FABRA_TEST_SEED repeats a run.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { joinedStatement } from '../../src/compute/sql/duckdb/windowed-aggregate-statement.ts'
import { createSqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import type { SqlValue } from '../../src/store/ports/source-engine.ts'
import { type ComputeBench, openComputeBench, registryOf } from '../support/compute-bench.ts'
import { HOUR, inWorlds, moments, START, sqlText, WORLDS_LIMIT_MS } from '../support/drawn-events.ts'

let bench: ComputeBench
beforeAll(async () => {
  bench = await openComputeBench(1)
})
afterAll(() => bench.store.close())

const row = fc.record({
  user: fc.constantFrom('a', 'a', 'a', 'b', 'A', null),
  hour: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 60 }) },
    { weight: 1, arbitrary: fc.constantFrom(null, 'infinity', '-infinity') },
  ),
  amount: fc.constantFrom(null, 0, 5, 5, -7),
})

const BOUNDS = [
  "NOW() - INTERVAL '1 hour'",
  "NOW() - INTERVAL '6 hours'",
  'NOW() - INTERVAL 3 DAY',
  "date_trunc('day', NOW())",
  'NOW()',
  'NOW() + INTERVAL 2 HOUR',
  'NOW() - NULL',
  "LEAST(NOW() - INTERVAL 2 HOUR, date_trunc('day', NOW()))",
] as const

const asked = fc.record({
  bound: fc.constantFrom(...BOUNDS),
  operator: fc.constantFrom('>', '>='),
  select: fc.constantFrom(
    'COUNT(*)',
    'COUNT(amount) + 1',
    'SUM(amount)',
    'AVG(amount)',
    'MAX(amount) - MIN(n)',
    'COUNT(*) FILTER (amount > 0)',
  ),
  filter: fc.constantFrom('', '', ' AND amount IS NOT NULL', ' AND n % 2 = 0'),
})

const world = fc.record({
  delay: fc.constantFrom(0, 0, 1, HOUR, HOUR + 1, 7 * HOUR),
  rows: fc.array(row, { minLength: 30, maxLength: 60, size: 'max' }),
  // One of each bound, and some of them once more.
  features: fc
    .array(asked, { minLength: 12, maxLength: 12 })
    .map((drawn) => drawn.map((feature, i) => ({ ...feature, bound: BOUNDS[i] ?? feature.bound }))),
} as const)
type World = typeof world extends fc.Arbitrary<infer T> ? T : never

test('windows of several lengths in one statement are those of each alone', () => inWorlds(world, compare), WORLDS_LIMIT_MS)

async function compare({ delay, rows, features }: World): Promise<void> {
  const timeOf = (hour: World['rows'][number]['hour']) =>
    typeof hour === 'number' ? `make_timestamptz(${START + hour * HOUR})` : hour === null ? 'NULL' : `'${hour}'`
  const written = rows.map(({ user, hour, amount }, i) => `(${sqlText(user)}, ${timeOf(hour)}, ${amount}, ${i})`)
  await bench.execute(
    `CREATE OR REPLACE TABLE events (user_id VARCHAR, ts TIMESTAMPTZ, amount BIGINT, n INTEGER); INSERT INTO events VALUES ${written.join(', ')}`,
  )
  const sqls = features.map(
    ({ bound, operator, select, filter }) => `SELECT ${select} FROM events WHERE user_id = $user_id AND ts ${operator} ${bound}${filter}`,
  )
  const registry = registryOf({
    sources: { events: { timestamp: 'ts', delay } },
    features: Object.fromEntries(sqls.map((sql, i) => [`f${i}`, sql])),
  })
  const definitions = await createSqlDefinitions(registry, bench.store)
  expect(definitions.problems).toEqual([])
  const found = sqls.map((_, i) => definitions.get(`f${i}`))
  const plans = found.flatMap((definition) => definition?.plain ?? [])
  expect(sqls.filter((_, i) => !found[i]?.plain)).toEqual([])
  const list = moments(24).flatMap((t) => ['a', 'b', 'c'].map((user) => ({ user, t })))
  const alone: SqlValue[][] = []
  for (const definition of found) alone.push((await answers(definition?.set.text ?? '', list)).map(([value]) => value ?? null))
  for (const pairsPerEvent of [1e15, 0, 1]) {
    const together = await answers(await joinedStatement(plans, bench.store, pairsPerEvent), list)
    for (const [f, sql] of sqls.entries())
      expect({ sql, pairsPerEvent, delay, values: together.map((values) => values[f]) }).toEqual({
        sql,
        pairsPerEvent,
        delay,
        values: alone[f] ?? [],
      })
  }
}

/** Of each row of the list, in its order: the columns after its number and its mark. */
async function answers(text: string, list: readonly { readonly user: string; readonly t: number }[]): Promise<SqlValue[][]> {
  const found: SqlValue[][] = list.map(() => [])
  const rows = { types: ['string'] as const, keys: [list.map(({ user }) => user)], asOf: list.map(({ t }) => t) }
  const take = (some: readonly (readonly SqlValue[])[]) => {
    for (const [ord, , ...values] of some) found[Number(ord)]?.push(...values)
  }
  await bench.store.queryOver(take, text, rows, { signal: new AbortController().signal, timeoutMs: 60_000 })
  return found
}
