/** Random rows and random SELECTs over one table of PostgreSQL, of what may be computed over a copy of it. */
import * as fc from 'fast-check'

export interface CopiedCase {
  readonly rows: readonly CopiedRow[]
  /** Of the other table. */
  readonly things: readonly (readonly [key: number, label: string, weight: number | null, at: string])[]
  readonly isStatic: boolean
  readonly sqls: readonly string[]
  readonly source: { readonly timestamp: string; readonly delay: number; readonly timezone?: string; readonly id?: string }
  readonly questions: readonly { readonly key: number; readonly at: number }[]
}

type CopiedRow = readonly (string | null)[]

export const KEYS = ['a', "o'neil", 'A', 'a ', 'ü', 'NULL', '\\N', 'é,"x"\r\n', '🙂\\', '{"a"}'] as const
export const TABLE = `n bigint, user_id varchar(40), ts timestamptz, small integer, tiny smallint, big bigint, amount numeric(18, 3), price numeric,
  score double precision, category text, flag boolean, at timestamp, day date, ref uuid`

export const THINGS = 'user_id text, label text, weight integer, made timestamptz'

const BASE = Date.parse('2026-03-29T01:00:00Z') * 1000
const DAY = 86_400_000_000
const times = fc.oneof(fc.constantFrom(0, 1, -1, 3_600_000_000, -DAY, -31 * DAY, DAY), fc.integer({ min: -40 * DAY, max: DAY }))
const instant = (micros: number) =>
  `'${new Date(Math.floor((BASE + micros) / 1000)).toISOString().slice(0, -1)}${String((((BASE + micros) % 1000) + 1000) % 1000).padStart(3, '0')}Z'`
const often = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 7, arbitrary }, { weight: 1, arbitrary: fc.constant(null) })
const text = (value: string) => `'${value.replaceAll("'", "''")}'`
const whole = (extremes: readonly string[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.integer({ min: -20, max: 90 }).map(String) }, { weight: 1, arbitrary: fc.constantFrom(...extremes) })

const row: fc.Arbitrary<CopiedRow> = fc.tuple(
  often(fc.nat({ max: 1 }).map(String)),
  often(times.map(instant)),
  often(whole(['2147483647', '-2147483648'])),
  often(whole(['32767', '-32768'])),
  often(whole(['9223372036854775807', '-9223372036854775808', '9007199254740993'])),
  often(fc.integer({ min: -99_999, max: 99_999 }).map((value) => `${value}::numeric / 1000`)),
  often(fc.constantFrom('0', '1.10', '-2.5', '0.000001', '12345678901234567890.5', '7', '1e-9')),
  often(
    fc.oneof(
      fc.constantFrom("'NaN'", "'-Infinity'", '0.1', '0.3', '-0.2', '1e300', '-1e300', '1e-300', '1.7e308', '-0.0'),
      fc.integer({ min: -9, max: 9 }).map((value) => `${value} / 8.0`),
    ),
  ),
  often(fc.constantFrom('', 'food', 'Food', 'toys,"x"', 'line\nbreak', '\r', '%_', 'é', 'e\u0301', 'NULL', ' ').map(text)),
  often(fc.constantFrom('true', 'false')),
  often(times.map(instant)),
  often(times.map(instant)),
  often(fc.constantFrom("'6f1e1a5e-0000-4000-8000-000000000001'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'")),
)

const { number, condition } = fc.letrec<{ number: string; condition: string }>((tie) => ({
  number: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'sql' },
    fc
      .constantFrom(
        'small',
        'tiny',
        'big',
        'amount',
        'price',
        'n',
        '1',
        '0',
        '-7',
        '2.50',
        '0.001',
        '3000000000',
        'NULL::int',
        "'12'::text IS NULL AND NULL OR NULL::bool IS NULL",
      )
      .map((sql) => (sql.includes('text') ? 'small' : sql)),
    fc.tuple(tie('number'), fc.constantFrom('+', '-', '*'), tie('number')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.constantFrom(
      '(small / 3)',
      '(big % 7)',
      '(- small)',
      '(tiny / 2)',
      'abs(small)',
      '(n % 5)',
      'small::bigint',
      'small::numeric',
      'tiny::int',
    ),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `COALESCE(${a}, ${b})`),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `NULLIF(${a}, ${b})`),
    fc.tuple(fc.constantFrom('GREATEST', 'LEAST'), tie('number'), tie('number')).map(([name, a, b]) => `${name}(${a}, ${b})`),
    fc.tuple(tie('condition'), tie('number'), tie('number')).map(([when, a, b]) => `CASE WHEN ${when} THEN ${a} ELSE ${b} END`),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `CASE category WHEN 'food' THEN ${a} WHEN '' THEN ${b} END`),
  ),
  condition: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'sql' },
    fc.constantFrom(
      'flag',
      'NOT flag',
      'flag IS TRUE',
      'flag IS NOT FALSE',
      'flag IS UNKNOWN',
      'category IS NULL',
      'price IS NOT NULL',
      'flag IS NOT TRUE',
      'flag IS FALSE',
    ),
    fc.constantFrom(
      "category = 'food'",
      "category <> ''",
      "category IN ('food', 'é')",
      "category NOT IN ('food', NULL)",
      "category LIKE 'f%'",
      "category NOT LIKE '_'",
      "category IS DISTINCT FROM 'Food'",
      "user_id = 'a'",
    ),
    fc
      .constantFrom(
        "ref = '6f1e1a5e-0000-4000-8000-000000000001'",
        'score > 0',
        'score = 0.125',
        'score <= small',
        'score <> price',
        "score >= 'NaN'::float8",
      )
      .map((sql) => (sql.includes('NaN') ? 'score < 2' : sql)),
    fc.constantFrom(
      "ts > NOW() - INTERVAL '1 hour'",
      'at < NOW()',
      'at < ts',
      "ts >= NOW() - '1 month'::interval",
      "day > '2026-03-01'",
      "ts < '2026-03-29 00:30:00+00'",
      'ts IS NOT NULL',
      "at > '2026-03-20'",
    ),
    fc.tuple(tie('number'), fc.constantFrom('=', '<>', '<', '>', '<=', '>='), tie('number')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('number'), tie('number'), tie('number')).map(([a, b, c]) => `(${a} BETWEEN ${b} AND ${c})`),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `(${a} IS NOT DISTINCT FROM ${b})`),
    fc.tuple(tie('condition'), fc.constantFrom('AND', 'OR'), tie('condition')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('condition')).map(([a]) => `(NOT ${a})`),
  ),
}))

const argument = fc.oneof({ weight: 3, arbitrary: number }, { weight: 1, arbitrary: fc.constantFrom('score', 'ts', 'at') })
const filtered = fc.tuple(fc.boolean(), condition).map(([is, sql]) => (is ? ` FILTER (WHERE ${sql})` : ''))
const counted = fc.oneof(
  fc.constant('COUNT(*)'),
  number.map((sql) => `COUNT(${sql})`),
  fc.constantFrom('category', 'ref', 'score', 'flag', 'day').map((column) => `COUNT(${column})`),
  fc.constantFrom('category', 'ref', 'small', 'amount', 'flag', 'ts').map((column) => `COUNT(DISTINCT ${column})`),
)
const aggregated = fc.oneof(
  fc.tuple(counted, filtered).map(([sql, filter]) => sql + filter),
  fc.tuple(number, filtered).map(([sql, filter]) => `SUM(${sql})${filter}`),
  fc.tuple(fc.constantFrom('MIN', 'MAX'), argument, filtered).map(([name, sql, filter]) => `${name}(${sql})${filter}`),
  fc
    .tuple(fc.constantFrom('SUM(score)', 'AVG(score)', 'COALESCE(SUM(score), 0)', 'AVG((small > 3)::int)'), filtered)
    .map(([sql, filter]) => (sql.startsWith('COALESCE') ? sql : sql + filter)),
  fc.tuple(fc.constantFrom('bool_and', 'bool_or', 'every'), condition, filtered).map(([name, sql, filter]) => `${name}(${sql})${filter}`),
)
const divided = fc.oneof(
  fc.tuple(number, filtered).map(([a, filter]) => `AVG(${a})${filter}`),
  fc.constantFrom(
    'AVG(small)',
    'AVG(big)',
    'AVG(amount)',
    'AVG(price)',
    'AVG(amount)::float8',
    'COALESCE(AVG(amount), 0)',
    'COALESCE(AVG(n), -1.5)',
  ),
  fc.tuple(number, counted).map(([a, b]) => `SUM(${a})::numeric / NULLIF(${b}, 0)`),
  fc.tuple(counted, counted).map(([a, b]) => `100.0 * ${a} / NULLIF(${b}, 0)`),
  fc.tuple(number, number).map(([a, b]) => `COALESCE(SUM(${a}) * 0.001 / NULLIF(MAX(${b}), 0), 7)`),
)
/** One row, or none. */
const having = fc.oneof(
  { weight: 5, arbitrary: fc.constant('') },
  fc.tuple(counted, fc.constantFrom('> 0', '> 1', '= 2')).map(([sql, rest]) => ` HAVING ${sql} ${rest}`),
  aggregated.filter((sql) => !sql.includes('score')).map((sql) => ` HAVING ${sql} IS NOT NULL`),
)
const computed = fc.oneof(
  { weight: 4, arbitrary: aggregated },
  {
    weight: 1,
    arbitrary: fc
      .tuple(number, number, fc.constantFrom('+', '-', '*'))
      .map(([a, b, op]) => `COALESCE(SUM(${a}), 0) ${op} COALESCE(MAX(${b}), 1)`),
  },
  { weight: 1, arbitrary: fc.tuple(counted, counted).map(([a, b]) => `CASE WHEN ${a} > 1 THEN ${b} ELSE 0 END`) },
)
const where = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('1 hour', '1 day', '31 days', '1 month', '90 minutes').map((span) => ` AND ts > NOW() - INTERVAL '${span}'`),
  },
  { weight: 1, arbitrary: fc.constantFrom('7 days', '2 weeks').map((span) => ` AND NOW() - INTERVAL '${span}' <= e.ts`) },
  { weight: 2, arbitrary: condition.map((sql) => ` AND ${sql}`) },
)
const ordered = fc.constantFrom(
  'ts DESC, n',
  'ts DESC, n DESC',
  'ts, n',
  'small DESC, n',
  'tiny DESC, n',
  'big DESC, n DESC',
  'amount DESC, n',
  'price DESC, n',
  'flag DESC, n',
  'amount NULLS FIRST, n',
  'price DESC NULLS LAST, n',
  'flag, ts DESC, n',
  'score, n',
)
const picked = fc.oneof(
  number,
  condition,
  fc.constantFrom('category', 'ts', 'score', 'amount', 'price', 'at', 'flag', 'user_id', "'x'::text"),
)
const sql = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.tuple(divided, where).map(([select, rest]) => `SELECT ${select} FROM events e WHERE user_id = $user_id${rest}`),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(computed, where, having)
      .map(([select, rest, only]) => `SELECT ${select} FROM events e WHERE user_id = $user_id${rest}${only}`),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(picked, where, ordered)
      .map(
        ([select, rest, order]) => `SELECT ${select} AS value FROM events AS e WHERE e.user_id = $user_id${rest} ORDER BY ${order} LIMIT 1`,
      ),
  },
)

/** The group with the most rows, ties settled. */
const grouped = fc
  .tuple(
    fc.constantFrom(['category', 'MAX(n)'], ['flag', 'flag'], ['tiny', 'tiny DESC'], ['ref, small', 'MIN(n)'], ['day', 'day NULLS FIRST']),
    aggregated.filter((sql) => !/score|bool_|every/.test(sql)),
    where,
    having,
    fc.boolean(),
  )
  .map(([[column = '', last = ''], best, rest, only, isBest]) => {
    const [first = ''] = column.split(',')
    const from = `FROM events e WHERE user_id = $user_id${rest} GROUP BY ${column}${only}`
    return isBest
      ? `SELECT ${best} AS best ${from} ORDER BY best DESC, ${last} LIMIT 1`
      : `SELECT ${first} ${from} ORDER BY ${best} DESC, ${last} LIMIT 1`
  })

/** Joins, each so that rows of the key alone are copied of one table or of both; or of none. */
const joined = fc
  .tuple(
    fc.constantFrom(
      'COUNT(*)',
      'COUNT(t.weight)',
      'SUM(weight)',
      'MAX(e.n)',
      'COUNT(DISTINCT label)',
      'SUM(weight * small)',
      'AVG(weight)',
      'SUM(e.score)',
      'COUNT(*) FILTER (WHERE e.n IS NULL)',
    ),
    fc.constantFrom(
      'events e JOIN things t ON t.user_id = e.user_id WHERE e.user_id = $user_id',
      'events e LEFT JOIN things t ON t.user_id = e.user_id AND t.weight > 2 WHERE $user_id = e.user_id',
      'events AS e JOIN things t ON e.category = label WHERE e.user_id = $user_id',
      'events e, things t WHERE t.user_id = $user_id AND t.user_id = e.user_id',
      'things t LEFT JOIN events e ON e.user_id = $user_id AND t.user_id = e.user_id WHERE weight IS NOT NULL',
      'things t LEFT JOIN events e ON e.user_id = $user_id AND t.user_id = e.user_id',
      "things t LEFT JOIN events e ON e.user_id = t.user_id AND e.ts > NOW() - INTERVAL '1 day' WHERE t.user_id = $user_id",
      'things t LEFT JOIN (events e JOIN things u ON u.user_id = e.user_id AND u.user_id = $user_id) ON t.label = e.category',
      '(things t JOIN things u ON u.user_id = $user_id AND t.label = u.label) LEFT JOIN events e ON e.user_id = u.user_id',
      'events e CROSS JOIN things t WHERE e.user_id = $user_id',
    ),
    fc.constantFrom('', '', "e.ts > NOW() - INTERVAL '1 day'", 'e.flag', 't.weight > 1', 'e.small = t.weight'),
  )
  .filter(([select, from]) => !/ u /.test(from) || !/\b(?<!\.)(?:weight|label)\b/.test(select.replaceAll('t.', '.')))
  .map(([select, from, rest]) => {
    const only = rest === '' ? '' : `${from.includes(' WHERE ') ? ' AND' : ' WHERE'} ${rest}`
    return `SELECT ${select} FROM ${from}${only}`
  })

/** Where all of them are, older rows are left where they are. */
const windowed = fc
  .tuple(computed, fc.constantFrom('1 hour', '1 day', '7 days', '31 days', '1 month'))
  .map(([select, span]) => `SELECT ${select} FROM events WHERE user_id = $user_id AND ts > NOW() - INTERVAL '${span}'`)

/** Two keys a case, so that a key has many rows and another may be taken for it. */
export const copiedCases: fc.Arbitrary<CopiedCase> = fc
  .record({
    first: fc.nat({ max: KEYS.length - 1 }),
    rows: fc.array(row, { minLength: 4, maxLength: 16, size: 'max' }),
    sqls: fc.oneof(
      {
        weight: 3,
        arbitrary: fc.array(fc.oneof({ weight: 6, arbitrary: sql }, { weight: 1, arbitrary: grouped }, { weight: 2, arbitrary: joined }), {
          minLength: 4,
          maxLength: 6,
        }),
      },
      { weight: 1, arbitrary: fc.array(windowed, { minLength: 3, maxLength: 5 }) },
    ),
    source: fc
      .record({
        timestamp: fc.constantFrom('ts', 'ts', 'at'),
        delay: fc.constantFrom(0, 0, 1, 3_600_000_000),
        timezone: fc.constantFrom('UTC', 'Europe/Berlin'),
        id: fc.constantFrom(undefined, undefined, 'tiny'),
      })
      .map(({ id, ...source }) => ({ ...source, ...(id === undefined ? {} : { id }) })),
    things: fc.array(
      fc.tuple(fc.nat({ max: 1 }), fc.constantFrom('food', '', 'é'), often(fc.integer({ min: 0, max: 5 })), times.map(instant)),
      {
        minLength: 2,
        maxLength: 6,
        size: 'max',
      },
    ),
    isStatic: fc.boolean(),
    questions: fc.array(fc.record({ key: fc.nat({ max: 1 }), at: times.map((at) => BASE + at) }), { minLength: 2, maxLength: 5 }),
  })
  .map(({ first, rows, things, questions, ...rest }) => {
    const keyOf = (key: number) => (first + key) % KEYS.length
    return {
      ...rest,
      rows: rows.map(([key = null, ...values]) => [key === null ? null : String(keyOf(Number(key))), ...values]),
      things: things.map(([key, ...thing]) => [keyOf(key), ...thing] as const),
      questions: questions.map(({ key, at }) => ({ key: keyOf(key), at })),
    }
  })

export function rowsOf({ rows, things }: CopiedCase): string {
  const values = rows.map(
    ([key = null, ...rest], i) =>
      `(${[String(i), key === null ? 'NULL' : text(KEYS[Number(key)] ?? ''), ...rest.map((value) => value ?? 'NULL')].join(', ')})`,
  )
  const types = 'bigint varchar timestamptz integer smallint bigint numeric numeric float8 text boolean timestamp date uuid'.split(' ')
  const casts = types.map((type, i) => `c${i}::${type}`)
  const made = things.map(([key, label, weight, at]) => `(${text(KEYS[key] ?? '')}, ${text(label)}, ${weight ?? 'NULL'}, ${at})`)
  return `INSERT INTO things SELECT c0, c1, c2::integer, c3::timestamptz FROM (VALUES ${made.join(', ')}) AS t(c0, c1, c2, c3);
INSERT INTO events SELECT ${casts.join(', ')} FROM (VALUES ${values.join(', ')}) AS t(${types.map((_, i) => `c${i}`).join(', ')})`
}
