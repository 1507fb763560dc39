/** Look-ups by key joined with the list of calls, against LATERAL. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { createSqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Source } from '../../src/definition/model.ts'
import { type ComputeBench, defined, openComputeBench, registryOf, shortAnswer } from '../support/compute-bench.ts'
import { HOUR, inWorlds, moments, START, sqlText, WORLDS_LIMIT_MS } from '../support/drawn-events.ts'

const TABLE = 'CREATE OR REPLACE TABLE events (user_id VARCHAR, ts TIMESTAMPTZ, seen TIMESTAMP, amount BIGINT, kind VARCHAR, n INTEGER)'

let bench: ComputeBench
beforeAll(async () => {
  bench = await openComputeBench(1)
})
afterAll(() => bench.store.close())

const SELECTS = [
  'COUNT(*) AS c0',
  'SUM(amount) AS c0, COUNT(amount) AS c1',
  'MIN(amount) AS c0, MAX(kind) AS c1, AVG(amount) AS c2',
  "COUNT(*) FILTER (kind = 'x') AS c0, MAX(n) FILTER (WHERE amount > 0) AS c1",
  'COUNT(DISTINCT kind) AS c0, SUM(DISTINCT amount) AS c1',
  'COALESCE(SUM(amount), 0) * 2 + COUNT(*) AS c0',
  "COUNT(COALESCE(kind, 'none')) AS c0, SUM(COALESCE(amount, 1)) AS c1",
  'CAST(epoch(NOW() - MAX(ts)) AS BIGINT) AS c0, $user_id AS c1',
  'bool_and(amount > 0) AS c0',
] as const
const ORDERS = [
  'ORDER BY n DESC LIMIT 1',
  'ORDER BY amount DESC NULLS FIRST, n LIMIT 1',
  'ORDER BY ts, n DESC LIMIT 1',
  'ORDER BY kind DESC, n LIMIT 1',
  'QUALIFY row_number() OVER (ORDER BY upper(kind) NULLS FIRST, n) = 1',
  'ORDER BY kind LIMIT 1',
] as const
const CONDITIONS = [
  'ts > NOW() - INTERVAL 6 HOUR',
  "ts BETWEEN NOW() - INTERVAL '30 hours' AND NOW() - INTERVAL 3 HOUR",
  'amount > 0',
  "(kind = 'x' OR amount IS NULL)",
  'kind < $user_id',
  'NOW() - NULL > ts',
] as const

const row = fc.record({
  user: fc.constantFrom('a', 'a', 'b', 'z', null),
  hour: fc.constantFrom(null, 0, 3, 6, 6, 9, 30, 42),
  late: fc.constantFrom(null, 0, 0, 6, 24),
  amount: fc.constantFrom(null, 0, 5, 5, -7),
  kind: fc.constantFrom(null, 'x', 'y', 'Y'),
})
const world = fc.record({
  rows: fc.array(row, { minLength: 30, maxLength: 60, size: 'max' }),
  source: fc.constantFrom<Partial<Source>>({ timestamp: 'ts', available: 'seen' }, { timestamp: 'seen', delay: HOUR }, { static: true }),
  more: fc.array(fc.uniqueArray(fc.constantFrom(...CONDITIONS), { maxLength: 2 }), { minLength: 15, maxLength: 15 }),
})

test('what is looked up by key for many calls is what each call gets alone', () => inWorlds(world, compare), WORLDS_LIMIT_MS)

async function compare({ rows, source, more }: typeof world extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
  const written = rows.map(({ user, hour, late, amount, kind }, i) => {
    const at = (hours: number | null) => (hours === null ? 'NULL' : `make_timestamptz(${START + hours * HOUR})`)
    return `(${sqlText(user)}, ${at(hour)}, ${at(hour === null || late === null ? null : hour + late)}, ${amount}, ${sqlText(kind)}, ${i})`
  })
  await bench.execute(`${TABLE}; INSERT INTO events VALUES ${written.join(', ')}`)
  const shapes = [
    ...SELECTS.map((select) => [select, ''] as const),
    ...ORDERS.map((order) => ['amount AS c0, n AS c1, $user_id AS c2', order] as const),
  ]
  const sqls = shapes.map(([select, order], i) => {
    const conditions = ['user_id = $user_id', ...(i < CONDITIONS.length ? CONDITIONS.slice(i, i + 1) : (more[i] ?? []))]
    return `SELECT ${select} FROM events WHERE ${conditions.join(' AND ')} ${order}`
  })
  const features = sqls.map((sql, i) => {
    const columns = Object.fromEntries(
      (shapes[i]?.[0] ?? '')
        .split(' AS c')
        .slice(1)
        .map((_, c) => [`c${c}`, null]),
    )
    return [
      [`f${i}`, { sql, columns }],
      // Of rows that the order does not tell apart, the first that was stored.
      [`total${i}`, { sql: sql.replace('ORDER BY kind LIMIT 1', 'ORDER BY kind, n LIMIT 1'), columns }],
    ] as const
  })
  const definitions = await createSqlDefinitions(
    registryOf({ sources: { events: source }, features: Object.fromEntries(features.flat()) }),
    bench.store,
  )
  expect(definitions.problems).toEqual([])
  expect(sqls.filter((_, i) => definitions.get(`f${i}`)?.grouped === null)).toEqual([])
  const list = moments(20).flatMap((t) => ['a', 'b', 'c'].map((id) => [id, t] as const))
  const answersOf = (strategy: 'set' | 'grouped', name: 'f' | 'total') => {
    const executor = createSqlExecutor({ sourceEngine: bench.store, definitions, strategy })
    const { compute } = defined(definitions.registry, definitions, executor)
    return Promise.all(
      sqls.map(async (_, i) => {
        const answers = (await compute(`${name}${i}`, list)).map(shortAnswer)
        return { how: executor.explain(`${name}${i}`)?.includes('its join failed'), answers }
      }),
    )
  }
  const [alone, together] = await Promise.all([answersOf('set', 'total'), answersOf('grouped', 'f')])
  for (const [i, sql] of sqls.entries()) expect({ sql, ...together[i] }).toEqual({ sql, how: false, answers: alone[i]?.answers ?? [] })
}

const FROM = 'FROM events WHERE user_id = $user_id'
const ODD: readonly [sql: string, source?: Partial<Source>][] = [
  ['SELECT COUNT(*) FROM events WHERE user_id > $user_id'],
  ["SELECT COUNT(*) FROM events WHERE user_id = $user_id OR kind = 'x'"],
  [`SELECT COUNT(*) ${FROM} AND (kind = 'x' OR ts < NOW() - INTERVAL 1 HOUR)`],
  [`SELECT COUNT(*) ${FROM} HAVING COUNT(*) > 1`],
  [`SELECT COUNT(*) ${FROM} GROUP BY kind`],
  [`SELECT STRING_AGG(kind, '') ${FROM}`],
  [`SELECT LIST(kind ORDER BY n) ${FROM}`],
  [`SELECT amount ${FROM}`],
  [`SELECT amount ${FROM} LIMIT 1`],
  [`SELECT amount ${FROM} ORDER BY 1 LIMIT 1`],
  [`SELECT n AS amount ${FROM} ORDER BY amount LIMIT 1`],
  [`SELECT amount ${FROM} QUALIFY row_number() OVER (PARTITION BY kind ORDER BY n) = 1`],
  [`SELECT (SELECT COUNT(*) FROM events) + COUNT(*) ${FROM}`],
  [`SELECT COUNT(*) ${FROM}`, { timestamp: 'ts', until: 'seen' }],
  [`SELECT COUNT(*) ${FROM}`, { timestamp: 'ts', id: 'n' }],
  [`SELECT COUNT(*) ${FROM}`, { timestamp: 'seen', timezone: 'Europe/Berlin' }],
  // Refused here, and not only for the function that reads a time in its zone.
  [`SELECT COUNT(*) ${FROM}`, { timestamp: 'ts', timezone: 'Europe/Berlin' }],
]

test('whatever is the least bit different goes its own way', async () => {
  await bench.execute(TABLE)
  const taken: string[] = []
  for (const source of new Set(ODD.map(([, given]) => given))) {
    const sqls = ODD.flatMap(([sql, given]) => (given === source ? [sql] : []))
    const features = Object.fromEntries(sqls.map((sql, i) => [`f${i}`, sql]))
    const definitions = await createSqlDefinitions(
      registryOf({ sources: { events: source ?? { timestamp: 'ts' } }, features }),
      bench.store,
    )
    expect(definitions.problems).toEqual([])
    taken.push(...sqls.filter((_, i) => definitions.get(`f${i}`)?.grouped !== null))
  }
  expect(taken).toEqual([])
})
