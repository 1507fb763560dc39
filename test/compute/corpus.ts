/**
 * Shapes of queries that users write. Each is run set-based, row by row and as plain SQL over physically truncated tables: three equal answers.
 * `plain` is the text for the truncated tables where putting literals for NOW() and `$key` by simple replacement would not do.
 */
import type { KeyType, Source, ValueType } from '../../src/definition/model.ts'

export interface Shape {
  readonly sql: string
  readonly plain?: string
  readonly key?: keyof typeof corpusKeys
  readonly columns?: Readonly<Record<string, ValueType | null>>
  readonly type?: ValueType
}

export const corpusKeys = {
  user: { key: { user_id: 'string' }, values: [['a'], ['b'], ["o'neil"], ['üser 1'], ['nobody']] },
  merchant: { key: { merchant_id: 'int' }, values: [['1'], ['2'], ['9007199254740993'], ['-5']] },
  pair: {
    key: { user_id: 'string', merchant_id: 'int' },
    values: [
      ['a', '1'],
      ['a', '2'],
      ['b', '1'],
      ["o'neil", '9007199254740993'],
    ],
  },
  device: {
    key: { device: 'uuid' },
    values: [['6f1e1a5e-0000-4000-8000-000000000001'], ['6f1e1a5e-0000-4000-8000-000000000002'], ['00000000-0000-0000-0000-000000000000']],
  },
} as const satisfies Record<string, { key: Record<string, KeyType>; values: readonly (readonly string[])[] }>

/** Among them: the very time of events, a microsecond after, before everything, and long after. */
export const corpusTimes = [
  '2026-01-10T12:00:00Z',
  '2026-01-10T12:00:00.000001Z',
  '2026-01-09T23:59:59.999999Z',
  '2020-01-01T00:00:00Z',
  '2026-02-01T00:00:00Z',
  '2026-03-29T01:30:00Z',
]

/**
 * What a shape is asked: every time and every key, but not each with each. Of two shapes that are neighbours, one asks what the other leaves out.
 * @param turn The place of the shape in the corpus.
 */
export function corpusQuestions(turn: number, values: readonly (readonly string[])[]): [key: readonly string[], time: string][] {
  return corpusTimes.flatMap((time, t) =>
    values.flatMap((value, v): [readonly string[], string][] => ((t + v + turn) % 2 === 0 ? [[value, time]] : [])),
  )
}

export const corpusSources: Readonly<Record<string, Partial<Source>>> = {
  transactions: { timestamp: 'created_at' },
  logins: { timestamp: 'at', delay: 600_000_000 },
  profiles: { timestamp: 'valid_from', until: 'valid_to' },
  scores: { timestamp: 'ts', available: 'ingested_at' },
  clicks: { timestamp: 'ts', id: 'event_id' },
  berlin: { timestamp: 'local_time', timezone: 'Europe/Berlin' },
  days: { timestamp: 'day' },
  merchants: { static: true },
  order: { timestamp: 'at' },
  'app.events': { timestamp: 'ts' },
}

/** Statements that make the tables, and per table which of its rows are there at a time (`:t`, a TIMESTAMPTZ literal). */
export const corpusTables: readonly { readonly create: string; readonly name: string; readonly visible: string }[] = [
  {
    name: 'transactions',
    create: `CREATE TABLE transactions AS SELECT
      ['a', 'b', 'o''neil', 'üser 1'][1 + i % 4] AS user_id, i AS n, CAST((i * 37 % 101) / 4.0 AS DECIMAL(18, 2)) AS amount, (i * 17 % 13) * 0.125 AS weight,
      ['food', 'fuel', 'toys', NULL][1 + (i // 3) % 4] AS category, [1, 2, 9007199254740993][1 + i % 3] AS merchant_id,
      CASE WHEN i % 41 = 0 THEN NULL WHEN i % 10 = 0 THEN TIMESTAMPTZ '2026-01-10 12:00:00+00' ELSE TIMESTAMPTZ '2026-01-08 12:00:00+00' + to_microseconds(i * 1200000001) END AS created_at,
      [category, 't' || (i % 5)] AS tags, {'kind': 'k' || (i % 3), 'size': i % 7} AS meta, CAST('{"k": ' || (i % 4) || ', "deep": {"x": [1, ' || i || ']}}' AS JSON) AS doc,
      CAST('6f1e1a5e-0000-4000-8000-00000000000' || (i % 3) AS UUID) AS device
      FROM range(240) r(i)`,
    visible: 'created_at < :t',
  },
  {
    name: 'logins',
    create: `CREATE TABLE logins AS SELECT ['a', 'b', 'üser 1'][1 + i % 3] AS user_id, i % 4 <> 0 AS ok, '10.0.0.' || (i % 6) AS ip,
      TIMESTAMP '2026-01-10 06:00:00' + to_minutes(i * 10) AS "at" FROM range(60) r(i)`,
    visible: '"at" + INTERVAL 10 MINUTE < :t',
  },
  {
    name: 'profiles',
    create: `CREATE TABLE profiles AS SELECT * FROM (VALUES
      ('a', 'free', TIMESTAMPTZ '2026-01-01 00:00:00+00', TIMESTAMPTZ '2026-01-10 12:00:00+00'), ('a', 'gold', TIMESTAMPTZ '2026-01-10 12:00:00+00', NULL),
      ('b', 'free', TIMESTAMPTZ '2026-01-05 00:00:00+00', NULL), ('o''neil', NULL, TIMESTAMPTZ '2026-01-05 00:00:00+00', NULL)) v(user_id, plan, valid_from, valid_to)`,
    visible: 'valid_from < :t AND (valid_to IS NULL OR valid_to >= :t)',
  },
  {
    name: 'scores',
    create: `CREATE TABLE scores AS SELECT ['a', 'b'][1 + i % 2] AS user_id, i AS v, TIMESTAMPTZ '2026-01-10 00:00:00+00' + to_hours(i) AS ts,
      CASE WHEN i % 7 = 0 THEN NULL ELSE TIMESTAMPTZ '2026-01-10 12:00:00+00' + to_hours(i % 5 - 2) END AS ingested_at FROM range(40) r(i)`,
    visible: 'ts < :t AND ingested_at <= :t',
  },
  {
    name: 'clicks',
    create: `CREATE TABLE clicks AS SELECT CASE WHEN i % 11 = 0 THEN NULL ELSE i % 30 END AS event_id, ['a', 'b', 'üser 1'][1 + (i % 30) % 3] AS user_id, i AS v,
      TIMESTAMPTZ '2026-01-10 10:00:00+00' + to_minutes(i) AS ts FROM range(150) r(i)`,
    visible:
      'ts < :t AND (event_id IS NULL OR NOT EXISTS (FROM main_copy.clicks e WHERE e.event_id = clicks.event_id AND e.ts < clicks.ts))',
  },
  {
    name: 'berlin',
    create: `CREATE TABLE berlin AS SELECT ['a', 'b'][1 + i % 2] AS user_id, i AS v,
      TIMESTAMP '2026-03-29 00:00:00' + to_minutes(i * 20) AS local_time FROM range(20) r(i)`,
    visible: "local_time AT TIME ZONE 'Europe/Berlin' < :t",
  },
  {
    name: 'days',
    create:
      "CREATE TABLE days AS SELECT ['a', 'b'][1 + i % 2] AS user_id, i AS v, DATE '2026-01-01' + CAST(i AS INTEGER) AS day FROM range(31) r(i)",
    visible: 'day < :t',
  },
  {
    name: 'merchants',
    create:
      "CREATE TABLE merchants AS SELECT * FROM (VALUES (1, 'DE', 'Bäcker'), (2, 'FR', 'Cave'), (9007199254740993, 'US', 'Big')) v(merchant_id, country, name)",
    visible: 'TRUE',
  },
  {
    name: '"order"',
    create: `CREATE TABLE "order" AS SELECT ['a', 'b'][1 + i % 2] AS user_id, i AS "select", 'x' || i AS "from", TIMESTAMPTZ '2026-01-10 11:00:00+00' + to_minutes(i * 5) AS "at" FROM range(30) r(i)`,
    visible: '"at" < :t',
  },
  {
    name: 'app.events',
    create:
      "CREATE SCHEMA app; CREATE TABLE app.events AS SELECT ['a', 'b'][1 + i % 2] AS user_id, i AS v, TIMESTAMPTZ '2026-01-10 11:00:00+00' + to_minutes(i * 5) AS ts FROM range(30) r(i)",
    visible: 'ts < :t',
  },
]

const U = 'user_id = $user_id'
const HOUR = "created_at > NOW() - INTERVAL '1 hour'"

export const corpus: Readonly<Record<string, string | Shape>> = {
  // Plain aggregates and windows.
  'count in a window': `SELECT COUNT(*) FROM transactions WHERE ${U} AND ${HOUR}`,
  'count of all': `SELECT COUNT(*) FROM transactions WHERE ${U}`,
  'sum of nothing is null': `SELECT SUM(amount) FROM transactions WHERE ${U} AND ${HOUR}`,
  'coalesced sum': { sql: `SELECT COALESCE(SUM(amount), 0) FROM transactions WHERE ${U} AND ${HOUR}`, type: 'float' },
  'average, min and max': {
    sql: `SELECT AVG(amount) AS a, MIN(amount) AS lo, MAX(amount) AS hi FROM transactions WHERE ${U}`,
    columns: { a: 'float', lo: 'float', hi: 'float' },
  },
  'columns in another order': { sql: `SELECT MAX(n) AS hi, MIN(n) AS lo FROM transactions WHERE ${U}`, columns: { lo: 'int', hi: 'int' } },
  'count distinct': `SELECT COUNT(DISTINCT category) FROM transactions WHERE ${U} AND created_at > NOW() - INTERVAL 1 DAY`,
  filter: {
    sql: `SELECT COUNT(*) FILTER (WHERE category = 'food') AS food, COUNT(*) FILTER (category IS NULL) AS none FROM transactions WHERE ${U}`,
    columns: { food: 'int', none: 'int' },
  },
  'case in an aggregate': `SELECT SUM(CASE WHEN category = 'food' THEN 1 ELSE 0 END) FROM transactions WHERE ${U}`,
  between: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at BETWEEN NOW() - INTERVAL '2 days' AND NOW()`,
  'standard deviation': `SELECT ROUND(STDDEV_SAMP(weight), 9) FROM transactions WHERE ${U}`,
  quantile: `SELECT QUANTILE_CONT(amount, 0.5) FROM transactions WHERE ${U}`,
  mode: `SELECT MAX(category) FROM transactions WHERE ${U} GROUP BY ALL`,
  'boolean aggregate': `SELECT BOOL_OR(amount > 20) FROM transactions WHERE ${U}`,
  'having keeps or drops the only row': `SELECT COUNT(*) FROM transactions WHERE ${U} AND ${HOUR} HAVING COUNT(*) > 1`,
  'without a window at all': 'SELECT COUNT(*) FROM transactions',
  'key in the select list': 'SELECT $user_id',
  'key used twice': "SELECT COUNT(*) FROM transactions WHERE user_id = $user_id AND $user_id <> 'b'",
  constant: 'SELECT 42',
  'null constant': 'SELECT NULL::INTEGER',
  // Latest values.
  'order by limit 1': `SELECT amount FROM transactions WHERE ${U} ORDER BY created_at DESC, n DESC LIMIT 1`,
  arg_max: `SELECT ARG_MAX(category, n) FROM transactions WHERE ${U}`,
  'qualify row_number': `SELECT amount FROM transactions WHERE ${U} QUALIFY row_number() OVER (ORDER BY created_at DESC, n DESC) = 1`,
  'distinct on': `SELECT DISTINCT ON (user_id) amount FROM transactions WHERE ${U} ORDER BY user_id, created_at DESC, n DESC`,
  offset: `SELECT n FROM transactions WHERE ${U} ORDER BY n OFFSET 2 LIMIT 1`,
  'last timestamp': `SELECT MAX(created_at) FROM transactions WHERE ${U}`,
  'age of the last event': `SELECT epoch(NOW() - MAX(created_at)) FROM transactions WHERE ${U}`,
  'nothing found is missing': `SELECT amount FROM transactions WHERE ${U} AND category = 'none such'`,
  lag: `SELECT amount - LAG(amount) OVER (ORDER BY created_at, n) FROM transactions WHERE ${U} ORDER BY created_at DESC, n DESC LIMIT 1`,
  // The present in its spellings.
  current_timestamp: {
    sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at > CURRENT_TIMESTAMP - INTERVAL 1 HOUR`,
    plain: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at > NOW() - INTERVAL 1 HOUR`,
  },
  current_date: {
    sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at >= current_date`,
    plain: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at >= CAST(NOW() AS DATE)`,
  },
  'today()': {
    sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at >= today() - 1`,
    plain: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at >= CAST(NOW() AS DATE) - 1`,
  },
  localtimestamp: {
    sql: `SELECT COUNT(*) FROM logins WHERE ${U} AND "at" > LOCALTIMESTAMP - INTERVAL '2 hours'`,
    plain: `SELECT COUNT(*) FROM logins WHERE ${U} AND "at" > CAST(NOW() AS TIMESTAMP) - INTERVAL '2 hours'`,
  },
  'get_current_timestamp()': { sql: 'SELECT get_current_timestamp()', plain: 'SELECT NOW()' },
  'transaction_timestamp ( )': { sql: 'SELECT transaction_timestamp ( /* now */ )', plain: 'SELECT NOW()' },
  'age(x)': {
    sql: `SELECT CAST(EXTRACT(DAY FROM age(MIN(created_at))) AS BIGINT) FROM transactions WHERE ${U}`,
    plain: `SELECT CAST(EXTRACT(DAY FROM age(CAST(NOW() AS DATE), MIN(created_at))) AS BIGINT) FROM transactions WHERE ${U}`,
  },
  localtime: { sql: 'SELECT EXTRACT(HOUR FROM localtime)', plain: 'SELECT EXTRACT(HOUR FROM CAST(CAST(NOW() AS TIMESTAMP) AS TIME))' },
  current_time: { sql: 'SELECT EXTRACT(MINUTE FROM CURRENT_TIME)', plain: 'SELECT EXTRACT(MINUTE FROM CAST(NOW() AS TIMETZ))' },
  'current_localtimestamp()': { sql: 'SELECT current_localtimestamp()', plain: 'SELECT CAST(NOW() AS TIMESTAMP)' },
  'the word now in strings and comments': {
    sql: `SELECT 'now() $user_id transactions' || COUNT(*) FROM transactions -- NOW() $user_id\nWHERE ${U} /* from transactions */`,
    plain: `SELECT concat('now', '() ', '$', 'user_id transactions', COUNT(*)) FROM transactions WHERE ${U}`,
  },
  'dollar quotes': {
    sql: `SELECT $$it's $user_id$$ || COUNT(*) FROM transactions WHERE ${U}`,
    plain: `SELECT 'it''s $' || 'user_id' || COUNT(*) FROM transactions WHERE ${U}`,
  },
  'date arithmetic': `SELECT date_diff('day', MIN(created_at), NOW()) FROM transactions WHERE ${U}`,
  'date_trunc of the present': `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at >= date_trunc('day', NOW())`,
  'naive against the present': `SELECT COUNT(*) FROM logins WHERE ${U} AND "at" > NOW() - INTERVAL '3 hours'`,
  // Places where a table may stand.
  alias: `SELECT COUNT(*) FROM transactions t WHERE t.${U} AND t.${HOUR}`,
  'as alias': `SELECT COUNT(*) FROM transactions AS "T x" WHERE "T x".user_id = $user_id`,
  'alias with columns': `SELECT MAX(q) FROM transactions t(u, q) WHERE u = $user_id`,
  quoted: `SELECT COUNT(*) FROM "transactions" WHERE "transactions"."user_id" = $user_id`,
  qualified: `SELECT COUNT(*) FROM main.transactions WHERE main.transactions.${U} AND transactions.amount > 1`,
  'qualified with space': `SELECT COUNT(*) FROM main /* x */ . "transactions" WHERE main . transactions . amount > 1 AND ${U}`,
  'other case': `SELECT COUNT(*) FROM Transactions WHERE TRANSACTIONS.USER_ID = $USER_ID`.replace('$USER_ID', '$user_id'),
  'schema of its own': 'SELECT COUNT(*) FROM app.events WHERE user_id = $user_id AND app.events.v > 3',
  'from first': `FROM transactions SELECT COUNT(*) WHERE ${U}`,
  'from only': `FROM (SELECT COUNT(*) FROM transactions WHERE ${U})`,
  'table statement': 'SELECT COUNT(*) FROM (TABLE transactions) x WHERE x.user_id = $user_id',
  'semicolon and comment at the end': `SELECT COUNT(*) FROM transactions WHERE ${U}; -- done`,
  'comment at the end': `SELECT COUNT(*) FROM transactions WHERE ${U} -- done`,
  'subquery in from': `SELECT MAX(c) FROM (SELECT category, COUNT(*) AS c FROM transactions WHERE ${U} GROUP BY category)`,
  'scalar subquery': `SELECT (SELECT COUNT(*) FROM transactions WHERE ${U})`,
  'two scalar subqueries': `SELECT (SELECT COUNT(*) FROM transactions WHERE ${U}) - (SELECT COUNT(*) FROM transactions WHERE ${U} AND ${HOUR})`,
  'subquery in where': `SELECT COUNT(*) FROM transactions WHERE ${U} AND amount > (SELECT AVG(amount) FROM transactions WHERE ${U})`,
  'correlated subquery': `SELECT COUNT(*) FROM transactions t WHERE t.${U} AND t.amount >= (SELECT MAX(s.amount) FROM transactions s WHERE s.category = t.category AND s.${U})`,
  'in subquery': `SELECT COUNT(*) FROM transactions WHERE ${U} AND merchant_id IN (SELECT merchant_id FROM merchants WHERE country = 'DE')`,
  'not in subquery': `SELECT COUNT(*) FROM transactions WHERE ${U} AND n NOT IN (SELECT n FROM transactions WHERE category = 'food')`,
  exists: `SELECT EXISTS (SELECT 1 FROM transactions WHERE ${U} AND ${HOUR})`,
  'not exists': `SELECT COUNT(*) FROM transactions t WHERE t.${U} AND NOT EXISTS (SELECT 1 FROM transactions u WHERE u.user_id = t.user_id AND u.created_at > t.created_at)`,
  any: `SELECT COUNT(*) FROM transactions WHERE ${U} AND category = ANY (SELECT category FROM transactions WHERE amount > 20)`,
  'subquery in having': `SELECT MAX(amount) FROM transactions WHERE ${U} HAVING COUNT(*) > (SELECT COUNT(*) / 10 FROM transactions)`,
  'subquery in order by': `SELECT n FROM transactions t WHERE ${U} ORDER BY (SELECT COUNT(*) FROM transactions s WHERE s.created_at < t.created_at) DESC, n LIMIT 1`,
  'subquery in a join condition': `SELECT COUNT(*) FROM merchants m JOIN transactions t ON t.merchant_id = m.merchant_id AND t.n < (SELECT AVG(n) FROM transactions) WHERE t.${U}`,
  'subquery in a list': { sql: `SELECT [(SELECT COUNT(*) FROM transactions WHERE ${U}), 1] AS l`, type: 'list' },
  'subquery in a filter': `SELECT COUNT(*) FILTER (WHERE amount > (SELECT AVG(amount) FROM transactions)) FROM transactions WHERE ${U}`,
  'exists over limit': `SELECT COUNT(*) FROM (SELECT 1 FROM transactions WHERE ${U} LIMIT 3)`,
  // Joins.
  join: `SELECT COUNT(*) FROM transactions t JOIN merchants m ON t.merchant_id = m.merchant_id WHERE t.${U} AND m.country = 'FR'`,
  'join using': `SELECT COUNT(*) FROM transactions JOIN merchants USING (merchant_id) WHERE ${U} AND country <> 'FR'`,
  'natural join': `SELECT COUNT(*) FROM transactions NATURAL JOIN merchants WHERE ${U}`,
  'comma join': `SELECT COUNT(*) FROM transactions t, merchants m WHERE t.merchant_id = m.merchant_id AND t.${U}`,
  'left join': `SELECT COUNT(m.name) FROM transactions t LEFT JOIN merchants m ON m.merchant_id = t.merchant_id AND m.country = 'DE' WHERE t.${U}`,
  'self-join': `SELECT COUNT(*) FROM transactions a JOIN transactions b ON a.user_id = b.user_id AND a.created_at < b.created_at AND a.category = b.category WHERE a.${U}`,
  'full join': `SELECT COUNT(*) FROM (SELECT * FROM transactions WHERE ${U}) t FULL JOIN (SELECT * FROM logins WHERE ${U}) l ON t.n = date_part('minute', l."at")`,
  'semi join': `SELECT COUNT(*) FROM transactions SEMI JOIN merchants ON transactions.merchant_id = merchants.merchant_id AND merchants.country = 'DE' WHERE ${U}`,
  'anti join': `SELECT COUNT(*) FROM transactions ANTI JOIN logins USING (user_id) WHERE ${U}`,
  'asof join': `SELECT COUNT(l.ip) FROM (SELECT *, CAST(created_at AS TIMESTAMP) AS c FROM transactions WHERE ${U}) t ASOF LEFT JOIN logins l ON l.user_id = t.user_id AND t.c >= l."at"`,
  'lateral join': `SELECT SUM(x.d) FROM (SELECT * FROM transactions WHERE ${U}) t, LATERAL (SELECT t.amount * 2 AS d) x`,
  'three sources': `SELECT (SELECT plan FROM profiles WHERE ${U}) || COUNT(*) FROM transactions JOIN merchants USING (merchant_id) WHERE ${U}`,
  'cross join of aggregates': `SELECT a.c * 1000 + b.c FROM (SELECT COUNT(*) c FROM transactions WHERE ${U}) a CROSS JOIN (SELECT COUNT(*) c FROM logins WHERE ${U}) b`,
  // CTEs.
  cte: `WITH mine AS (SELECT * FROM transactions WHERE ${U}) SELECT COUNT(*) FROM mine WHERE ${HOUR}`,
  'cte used twice': `WITH mine AS (SELECT * FROM transactions WHERE ${U}) SELECT (SELECT COUNT(*) FROM mine) + (SELECT MAX(n) FROM mine)`,
  'nested ctes': `WITH x AS (WITH y AS (SELECT * FROM transactions WHERE ${U}) SELECT * FROM y WHERE amount > 5) SELECT COUNT(*) FROM x`,
  'a cte that hides a table': `WITH transactions AS (SELECT * FROM transactions WHERE ${U}) SELECT COUNT(*) FROM transactions`,
  'a cte that hides a table, qualified': `WITH transactions AS (SELECT 1 AS one) SELECT COUNT(*) FROM main.transactions WHERE ${U}`,
  'a cte that hides later': `WITH a AS (SELECT COUNT(*) AS c FROM transactions WHERE ${U}), transactions AS (SELECT 5 AS c) SELECT a.c + transactions.c FROM a, transactions`,
  'a cte hidden in an inner query': `SELECT (WITH transactions AS (SELECT 7 AS n) SELECT n FROM transactions) + COUNT(*) FROM transactions WHERE ${U}`,
  'cte with columns': `WITH m(u, a) AS (SELECT user_id, amount FROM transactions) SELECT SUM(a) FROM m WHERE u = $user_id`,
  'materialized cte': `WITH m AS MATERIALIZED (SELECT * FROM transactions WHERE ${U}) SELECT COUNT(*) FROM m`,
  'recursive cte': 'WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 5) SELECT SUM(i) FROM s',
  'recursive cte over a source': `WITH RECURSIVE w AS (SELECT MIN(n) AS n FROM transactions WHERE ${U} UNION ALL SELECT (SELECT MIN(t.n) FROM transactions t WHERE t.n > w.n AND t.n < 12 AND t.${U}) FROM w WHERE w.n IS NOT NULL) SELECT COUNT(n) FROM w`,
  // Set operations.
  union: `SELECT COUNT(*) FROM (SELECT category FROM transactions WHERE ${U} UNION SELECT ip FROM logins WHERE ${U})`,
  'union all': `SELECT SUM(c) FROM (SELECT COUNT(*) AS c FROM transactions WHERE ${U} UNION ALL SELECT COUNT(*) FROM logins WHERE ${U})`,
  except: `SELECT COUNT(*) FROM (SELECT category FROM transactions WHERE ${U} EXCEPT SELECT 'food')`,
  intersect: `SELECT COUNT(*) FROM (SELECT merchant_id FROM transactions WHERE ${U} INTERSECT SELECT merchant_id FROM merchants)`,
  'union at the top': `SELECT n FROM transactions WHERE ${U} AND n = 4 UNION SELECT n FROM transactions WHERE ${U} AND n = 4`,
  // Lists, structs, maps, JSON.
  'list of recent values': {
    sql: `SELECT LIST(category ORDER BY created_at DESC, n DESC) FROM (SELECT * FROM transactions WHERE ${U} AND category IS NOT NULL ORDER BY created_at DESC, n DESC LIMIT 3)`,
    type: 'list',
  },
  struct: { sql: `SELECT {'n': COUNT(*), 'top': MAX(amount)} FROM transactions WHERE ${U}`, type: 'dict' },
  map: {
    sql: `SELECT MAP(LIST(category ORDER BY category), LIST(c ORDER BY category)) FROM (SELECT category, COUNT(*) AS c FROM transactions WHERE ${U} AND category IS NOT NULL GROUP BY category)`,
    type: 'dict',
  },
  'grouped top-n': {
    sql: `SELECT LIST({'c': category, 's': s} ORDER BY s DESC, category) FROM (SELECT category, SUM(amount) AS s FROM transactions WHERE ${U} GROUP BY category ORDER BY s DESC, category LIMIT 2)`,
    type: 'list',
  },
  'list lambda': { sql: `SELECT list_transform(LIST(n ORDER BY n), lambda x: x + 1)[:3] FROM transactions WHERE ${U}`, type: 'list' },
  'struct field': `SELECT SUM(meta.size) FROM transactions WHERE ${U} AND transactions.meta.kind = 'k1'`,
  unnest: `SELECT COUNT(DISTINCT tag) FROM (SELECT UNNEST(tags) AS tag FROM transactions WHERE ${U})`,
  'unnest in from': `SELECT COUNT(*) FROM transactions t, UNNEST(t.tags) AS x(tag) WHERE t.${U} AND tag = 't1'`,
  'json path': `SELECT SUM(CAST(doc->>'$.deep.x[1]' AS INTEGER)) FROM transactions WHERE ${U}`,
  'json value': { sql: `SELECT doc FROM transactions WHERE ${U} ORDER BY n LIMIT 1`, type: 'json' },
  histogram: { sql: `SELECT histogram(meta.kind) FROM transactions WHERE ${U}`, type: 'dict' },
  string_agg: `SELECT STRING_AGG(category, ',' ORDER BY n) FROM transactions WHERE ${U}`,
  'array index and slice': { sql: `SELECT (LIST(n ORDER BY n DESC))[1:2] FROM transactions WHERE ${U}`, type: 'list' },
  // Windows and grouping.
  'window sum': `SELECT MAX(s) FROM (SELECT SUM(amount) OVER (ORDER BY created_at, n ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM transactions WHERE ${U})`,
  'named window': `SELECT MAX(r) FROM (SELECT rank() OVER w AS r FROM transactions WHERE ${U} WINDOW w AS (PARTITION BY category ORDER BY amount))`,
  'rank among all users': `SELECT r FROM (SELECT user_id, rank() OVER (ORDER BY SUM(amount) DESC) AS r FROM transactions GROUP BY user_id) WHERE ${U}`,
  'range window': `SELECT MAX(c) FROM (SELECT COUNT(*) OVER (ORDER BY created_at RANGE BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW) AS c FROM transactions WHERE ${U})`,
  'group by key': `SELECT COUNT(*) FROM transactions WHERE ${U} GROUP BY user_id`,
  rollup: `SELECT COUNT(*) FROM (SELECT category, COUNT(*) FROM transactions WHERE ${U} GROUP BY ROLLUP (category))`,
  pivot: `SELECT food FROM (PIVOT (SELECT user_id, category FROM transactions WHERE ${U}) ON category IN ('food', 'fuel') USING COUNT(*))`,
  'share of total': `SELECT ROUND(COUNT(*) FILTER (${U}) / NULLIF(COUNT(*), 0), 9) FROM transactions`,
  'grouping sets': `SELECT MAX(c) FROM (SELECT COUNT(*) AS c FROM transactions WHERE ${U} GROUP BY GROUPING SETS ((category), ()))`,
  // Series.
  'generate_series from the present': `SELECT COUNT(DISTINCT d) FROM generate_series(NOW() - INTERVAL 3 DAY, NOW(), INTERVAL 1 DAY) g(d)`,
  'correlated generate_series': `SELECT COUNT(*) FROM (SELECT UNNEST(generate_series(1, n % 4)) AS x FROM transactions WHERE ${U})`,
  'days with events': `SELECT COUNT(*) FROM generate_series(1, 3) g(d) WHERE EXISTS (SELECT 1 FROM transactions WHERE ${U} AND created_at::DATE = NOW()::DATE - CAST(d AS INTEGER))`,
  values: `SELECT SUM(w) FROM (VALUES ('food', 2), ('fuel', 3)) v(category, w) JOIN transactions USING (category) WHERE ${U}`,
  // Sources' time settings.
  delay: `SELECT COUNT(*) FROM logins WHERE ${U} AND NOT ok`,
  until: `SELECT plan FROM profiles WHERE ${U}`,
  available: { sql: `SELECT COUNT(*) AS c, MAX(v) AS m FROM scores WHERE ${U}`, columns: { c: 'int', m: 'int' } },
  'repeats dropped': { sql: `SELECT COUNT(*) AS c, SUM(v) AS s FROM clicks WHERE ${U}`, columns: { c: 'int', s: 'int' } },
  'repeats dropped, star': `SELECT v FROM (SELECT * FROM clicks WHERE ${U} ORDER BY ts DESC, v LIMIT 1)`,
  'time zone': `SELECT COUNT(*) FROM berlin WHERE ${U}`,
  'time zone against the present': {
    sql: `SELECT COUNT(*) FROM berlin WHERE ${U} AND local_time > NOW() - INTERVAL 2 HOUR`,
    plain: `SELECT COUNT(*) FROM berlin WHERE ${U} AND local_time AT TIME ZONE 'Europe/Berlin' > NOW() - INTERVAL 2 HOUR`,
  },
  'a date as time': `SELECT MAX(v) FROM days WHERE ${U}`,
  'keywords as names': `SELECT MAX("select") FROM "order" WHERE ${U} AND "order"."at" < NOW() AND "order"."from" LIKE 'x%'`,
  'star columns': `SELECT COUNT(columns_count) FROM (SELECT 1 AS columns_count, * FROM transactions WHERE ${U})`,
  'exclude and replace': `SELECT MAX(n) FROM (SELECT * EXCLUDE (doc) REPLACE (n + 1 AS n) FROM transactions WHERE ${U})`,
  'the row as a struct': `SELECT COUNT(t) FROM transactions t WHERE t.${U}`,
  // Keys of other types.
  'int key': { key: 'merchant', sql: 'SELECT COUNT(*) FROM transactions WHERE merchant_id = $merchant_id' },
  'int key beyond doubles': { key: 'merchant', sql: 'SELECT $merchant_id + 0' },
  'composite key': { key: 'pair', sql: 'SELECT SUM(amount) FROM transactions WHERE user_id = $user_id AND merchant_id = $merchant_id' },
  'composite key in a join': {
    key: 'pair',
    sql: 'SELECT name FROM merchants WHERE merchant_id = $merchant_id AND EXISTS (SELECT 1 FROM transactions t WHERE t.merchant_id = merchants.merchant_id AND t.user_id = $user_id)',
  },
  'uuid key': { key: 'device', sql: 'SELECT COUNT(*) FROM transactions WHERE device = $device' },
  'uuid key as text': { key: 'device', sql: 'SELECT upper($device::VARCHAR)' },
  'key in arithmetic': { key: 'merchant', sql: 'SELECT COUNT(*) FROM transactions WHERE n > $merchant_id % 50' },
  'limit by key': {
    key: 'merchant',
    sql: 'SELECT COUNT(*) FROM (SELECT 1 FROM transactions LIMIT GREATEST(CAST($merchant_id AS BIGINT), 0))',
  },
  // Values.
  'huge sum': {
    key: 'merchant',
    sql: 'SELECT SUM(CAST(merchant_id AS BIGINT)) FROM transactions WHERE merchant_id = $merchant_id',
    type: 'int',
  },
  timestamp: `SELECT MIN(created_at) FROM transactions WHERE ${U}`,
  'naive timestamp': `SELECT MAX("at") FROM logins WHERE ${U}`,
  date: `SELECT MAX(day) FROM days WHERE ${U}`,
  uuid: `SELECT MIN(device) FROM transactions WHERE ${U}`,
  boolean: `SELECT COUNT(*) > 5 FROM transactions WHERE ${U}`,
  'text with quotes': `SELECT 'it''s ' || $user_id`,
}
