/**
 * The latest rows of all keys by one join, against the statement that asks for each row of the list alone. FABRA_TEST_RUNS sets the number of random
 * questions asked in turn (a world is 60), FABRA_TEST_SEED repeats a run.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { createSqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor, type SqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Source } from '../../src/definition/model.ts'
import { type ComputeBench, defined, openComputeBench, registryOf, shortAnswer } from '../support/compute-bench.ts'
import { HOUR, inWorlds, moments, START, sqlText, WORLDS_LIMIT_MS } from '../support/drawn-events.ts'

const JOINED = 'set-based; from 2000 rows on, the latest rows of all keys by one join'
const TYPES = { instant: 'TIMESTAMPTZ', naive: 'TIMESTAMP', day: 'DATE' } as const

let bench: ComputeBench
beforeAll(async () => {
  bench = await openComputeBench(1)
})
afterAll(() => bench.store.close())

/** Times are hours from the start, and there are few of them: most rows share theirs. */
const row = fc.record({
  user: fc.constantFrom('a', 'a', 'b', 'A', null),
  shop: fc.constantFrom(1, 1, 2, null),
  hour: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 60 }) },
    { weight: 1, arbitrary: fc.constantFrom(null, 'infinity', '-infinity') },
  ),
  amount: fc.constantFrom(null, 0, 5, 5, -7),
  kind: fc.constantFrom(null, 'x', 'y', 'Y'),
  late: fc.constantFrom(0, 0, 1, 5, 30, -2, null, 'infinity', '-infinity'),
})

const CONDITIONS = [
  'NOW() - INTERVAL 20 HOUR <= e.ts',
  'ts > NOW() - INTERVAL 6 HOUR',
  "ts BETWEEN NOW() - INTERVAL '30 hours' AND now() - INTERVAL 3 HOUR",
  'e.ts < NOW() - INTERVAL 3 HOUR',
  'ts <= CURRENT_TIMESTAMP',
  'amount > 0',
  "(kind = 'x' OR amount IS NULL)",
  "ts >= TIMESTAMP '2026-01-01 10:00:00'",
  'NOW() - NULL > ts',
] as const

/** Which a join in the order of being seen cannot heed. */
const UPPER: ReadonlySet<string> = new Set([2, 3, 4, 8].map((i) => CONDITIONS[i] ?? ''))

const asked = fc.record({
  select: fc.constantFrom(
    'amount AS c0',
    'e.kind AS c0, amount AS c1',
    'e.*',
    'amount * 2 + e.n AS c0, n AS c1',
    'CASE WHEN isfinite(e.ts) THEN epoch(NOW() - e.ts) END AS c0',
    'CASE WHEN e.kind IS NULL THEN n ELSE -n END AS c0',
  ),
  where: fc.uniqueArray(fc.constantFrom(...CONDITIONS), { maxLength: 2 }),
  nulls: fc.constantFrom('', ' NULLS FIRST', ' NULLS LAST'),
  ties: fc.uniqueArray(
    fc.constantFrom(
      'amount',
      'amount DESC',
      'e.amount ASC NULLS FIRST',
      'kind DESC NULLS LAST',
      'upper(kind)',
      'n DESC',
      'e.shop + n',
      'ts',
    ),
    { maxLength: 3 },
  ),
  window: fc.constantFrom('', '', 'PARTITION BY e.user_id ', 'PARTITION BY user_id, user_id '),
  isWindow: fc.boolean(),
  isPair: fc.boolean(),
})

const world = fc.record({
  type: fc.constantFrom('instant', 'instant', 'naive', 'day'),
  isLate: fc.boolean(),
  delay: fc.constantFrom(0, 1, HOUR, HOUR + 1),
  rows: fc.array(row, { minLength: 30, maxLength: 60, size: 'max' }),
  // One of each condition alone, besides others.
  features: fc
    .array(asked, { minLength: 12, maxLength: 12 })
    .map((drawn) => drawn.map((feature, i) => ({ ...feature, where: i < CONDITIONS.length ? CONDITIONS.slice(i, i + 1) : feature.where }))),
} as const)

test('the latest rows of many keys and times are those of each alone', () => inWorlds(world, compare), WORLDS_LIMIT_MS)

type World = typeof world extends fc.Arbitrary<infer T> ? T : never
type DrawnFeature = Omit<World['features'][number], 'ties'> & { readonly ties: readonly string[] }

async function compare({ type, isLate, delay, rows, features: drawn }: World): Promise<void> {
  const features = drawn.filter(({ where }) => !isLate || !where.some((condition) => UPPER.has(condition)))
  const timeOf = (hour: World['rows'][number]['hour']) =>
    typeof hour === 'number'
      ? `CAST(make_timestamptz(${START + Math.floor(hour / 3) * 3 * HOUR}) AS ${TYPES[type]})`
      : hour === null
        ? 'NULL'
        : `'${hour}'`
  const written = rows.map(({ user, shop, hour, late, amount, kind }, i) => {
    const seen =
      typeof late !== 'number'
        ? late === null
          ? 'NULL'
          : `'${late}'`
        : `make_timestamp(${START + ((typeof hour === 'number' ? hour : 0) + late) * HOUR})`
    return `(${sqlText(user)}, ${shop}, ${timeOf(hour)}, ${seen}, ${amount}, ${sqlText(kind)}, ${i})`
  })
  await bench.execute(
    `CREATE OR REPLACE TABLE events (user_id VARCHAR, shop INTEGER, ts ${TYPES[type]}, seen TIMESTAMP, amount BIGINT, kind VARCHAR, n INTEGER);
     INSERT INTO events VALUES ${written.join(', ')}`,
  )
  const questions = moments(24)
  for (const isPair of [false, true]) {
    const own = features.filter((feature) => feature.isPair === isPair)
    const key: Readonly<Record<string, 'string' | 'int'>> = isPair ? { user_id: 'string', shop: 'int' } : { user_id: 'string' }
    const registry = registryOf({
      key,
      sources: { events: { timestamp: 'ts', delay, available: isLate ? 'seen' : null } },
      features: Object.fromEntries(
        own.flatMap((feature, i) => [
          [`f${i}`, { sql: sqlOf(feature), columns: columnsOf(feature) }],
          // Of rows that the order does not tell apart, the first that was stored.
          [`total${i}`, { sql: sqlOf({ ...feature, ties: [...feature.ties, 'n'] }), columns: columnsOf(feature) }],
        ]),
      ),
    })
    const definitions = await createSqlDefinitions(registry, bench.store)
    expect(definitions.problems).toEqual([])
    const executors: SqlExecutor[] = []
    const answersOf = (strategy: 'set' | 'joined', name: 'f' | 'total') => {
      const executor = createSqlExecutor({ sourceEngine: bench.store, definitions, strategy })
      const { compute } = defined(definitions.registry, definitions, executor)
      executors.push(executor)
      const list = questions.flatMap((t) =>
        (isPair
          ? [
              ['a', 1],
              ['b', 2],
            ]
          : ['a', 'b', 'c']
        ).map((id) => [id, t] as const),
      )
      return Promise.all(own.map(async (_, i) => (await compute(`${name}${i}`, list)).map(shortAnswer)))
    }
    const [alone, joined] = await Promise.all([answersOf('set', 'total'), answersOf('joined', 'f')])
    for (const [i, feature] of own.entries()) {
      // What the engine refuses is computed another way, and says so.
      const how = executors.map((executor) => executor.explain(`f${i}`))
      expect({ sql: sqlOf(feature), how }).toEqual({ sql: sqlOf(feature), how: how.map(() => JOINED) })
      expect({ sql: sqlOf(feature), answers: joined[i] }).toEqual({ sql: sqlOf(feature), answers: alone[i] })
    }
  }
}

function sqlOf({ select, where, nulls, ties, window, isWindow, isPair }: DrawnFeature): string {
  const conditions = ['e.user_id = $user_id', ...(isPair ? ['$shop = shop'] : []), ...where]
  const order = `ORDER BY ${[`ts DESC${nulls}`, ...ties].join(', ')}`
  const first = isWindow ? `QUALIFY row_number() OVER (${window}${order}) = 1` : `${order} LIMIT 1`
  return `SELECT ${select} FROM events e WHERE ${conditions.join(' AND ')} ${first}`
}

function columnsOf({ select }: DrawnFeature): Readonly<Record<string, null>> {
  const names = select === 'e.*' ? ['user_id', 'shop', 'ts', 'seen', 'amount', 'kind', 'n'] : select.split(', ').map((_, i) => `c${i}`)
  return Object.fromEntries(names.map((name) => [name, null]))
}

const FROM = 'FROM events WHERE user_id = $user_id'
const ODD: readonly (string | { readonly sql: string; readonly source: Partial<Source> })[] = [
  `SELECT amount ${FROM} ORDER BY ts LIMIT 1`,
  `SELECT amount ${FROM} ORDER BY n DESC, ts DESC LIMIT 1`,
  `SELECT amount ${FROM} ORDER BY ts DESC LIMIT 2`,
  `SELECT amount ${FROM} ORDER BY ts DESC LIMIT 1 OFFSET 1`,
  `SELECT amount ${FROM} ORDER BY ts DESC LIMIT 1%`,
  `SELECT amount ${FROM} ORDER BY ts DESC, 1 LIMIT 1`,
  `SELECT DISTINCT ts ${FROM} ORDER BY ts DESC LIMIT 1`,
  `SELECT seen AS ts ${FROM} ORDER BY ts DESC LIMIT 1`,
  `SELECT ts AS amount ${FROM} AND amount > 1 ORDER BY ts DESC LIMIT 1`,
  `SELECT UNNEST([amount, n]) ${FROM} ORDER BY ts DESC LIMIT 1`,
  `SELECT amount FROM events WHERE user_id = $user_id OR n = 1 ORDER BY ts DESC LIMIT 1`,
  `SELECT amount FROM events WHERE user_id <> $user_id ORDER BY ts DESC LIMIT 1`,
  `SELECT amount ${FROM} AND seen < NOW() ORDER BY ts DESC LIMIT 1`,
  `SELECT amount ${FROM} AND inner_row.user_id = 'x' ORDER BY inner_row.ts DESC LIMIT 1`,
  `SELECT amount FROM events inner_row WHERE user_id = $user_id ORDER BY inner_row.ts DESC LIMIT 1`,
  `SELECT amount ${FROM} QUALIFY row_number() OVER (ORDER BY ts DESC) = 2`,
  `SELECT amount ${FROM} QUALIFY row_number() OVER (ORDER BY ts DESC) >= 1`,
  `SELECT amount ${FROM} QUALIFY rank() OVER (ORDER BY ts DESC) = 1`,
  `SELECT amount ${FROM} QUALIFY row_number() OVER (PARTITION BY n ORDER BY ts DESC) = 1`,
  `SELECT amount ${FROM} QUALIFY row_number() OVER (ORDER BY ts DESC) = 1 ORDER BY n LIMIT 1`,
  `SELECT $user_id ${FROM} ORDER BY ts DESC LIMIT 1`,
  `WITH e AS (SELECT * FROM events) SELECT amount FROM e WHERE user_id = $user_id ORDER BY ts DESC LIMIT 1`,
  `SELECT e.amount FROM events e, events f WHERE e.user_id = $user_id ORDER BY e.ts DESC LIMIT 1`,
  { sql: `SELECT amount ${FROM} AND ts < NOW() ORDER BY ts DESC LIMIT 1`, source: { available: 'seen' } },
  { sql: `SELECT amount ${FROM} ORDER BY ts DESC LIMIT 1`, source: { until: 'seen' } },
  { sql: `SELECT amount ${FROM} ORDER BY ts DESC LIMIT 1`, source: { id: 'n' } },
  { sql: `SELECT amount ${FROM} ORDER BY naive DESC LIMIT 1`, source: { timestamp: 'naive', timezone: 'Europe/Berlin' } },
  { sql: `SELECT amount ${FROM} ORDER BY ts DESC LIMIT 1`, source: { timestamp: 'seen' } },
]

test('whatever is the least bit different goes its own way', async () => {
  await bench.execute(
    `CREATE OR REPLACE TABLE events (user_id VARCHAR, ts TIMESTAMPTZ, seen TIMESTAMPTZ, naive TIMESTAMP, amount BIGINT, n INTEGER,
     inner_row STRUCT(user_id VARCHAR, ts TIMESTAMPTZ))`,
  )
  const taken: string[] = []
  for (const source of new Set(ODD.map((odd) => (typeof odd === 'string' ? null : odd.source)))) {
    const sqls = ODD.flatMap((odd) => (typeof odd === 'string' ? (source === null ? [odd] : []) : odd.source === source ? [odd.sql] : []))
    const features = Object.fromEntries(sqls.map((sql, i) => [`f${i}`, sql]))
    const registry = registryOf({ sources: { events: { timestamp: 'ts', ...source } }, features })
    const definitions = await createSqlDefinitions(registry, bench.store)
    expect(definitions.problems).toEqual([])
    taken.push(...sqls.filter((_, i) => definitions.get(`f${i}`)?.latest !== null))
  }
  expect(taken).toEqual([])
})

test('a field of a record, or a column with the name of the present, is not the time of a row', async () => {
  await bench.execute(
    'CREATE OR REPLACE TABLE events (user_id VARCHAR, ts TIMESTAMPTZ, now TIMESTAMPTZ, part STRUCT(user_id VARCHAR, ts TIMESTAMPTZ))',
  )
  const count = 'SELECT COUNT(*) FROM events WHERE'
  const sqls = [
    `${count} user_id = $user_id AND part.ts > NOW() - INTERVAL 1 DAY`,
    `${count} part.user_id = $user_id`,
    `${count} user_id = $user_id AND ts > now - INTERVAL 1 DAY`,
  ]
  const features = Object.fromEntries(sqls.map((sql, i) => [`f${i}`, sql]))
  const definitions = await createSqlDefinitions(registryOf({ sources: { events: { timestamp: 'ts' } }, features }), bench.store)
  expect(definitions.problems).toEqual([])
  expect(sqls.filter((_, i) => definitions.get(`f${i}`)?.plain !== null)).toEqual([])
})
