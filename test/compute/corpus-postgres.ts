/**
 * The corpus on PostgreSQL: texts of the shapes that its dialect writes otherwise (all others are taken as they are), the same tables, and shapes
 * that only it has. `null`: it has nothing like it.
 */
import type { ValueType } from '../../src/definition/model.ts'
import type { Shape } from './corpus.ts'

const U = 'user_id = $user_id'
const HOUR = "created_at > NOW() - INTERVAL '1 hour'"

export const postgresTexts: Readonly<Record<string, string | null>> = {
  'count distinct': `SELECT COUNT(DISTINCT category) FROM transactions WHERE ${U} AND created_at > NOW() - INTERVAL '1 day'`,
  filter: `SELECT COUNT(*) FILTER (WHERE category = 'food') AS food, COUNT(*) FILTER (WHERE category IS NULL) AS none FROM transactions WHERE ${U}`,
  'standard deviation': `SELECT ROUND(CAST(STDDEV_SAMP(weight) AS numeric), 9) FROM transactions WHERE ${U}`,
  quantile: `SELECT ROUND(CAST(PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY amount) AS numeric), 2) FROM transactions WHERE ${U}`,
  mode: `SELECT MAX(category) FROM transactions WHERE ${U}`,
  arg_max: `SELECT (ARRAY_AGG(category ORDER BY n DESC) FILTER (WHERE category IS NOT NULL))[1] FROM transactions WHERE ${U}`,
  'qualify row_number': `SELECT amount FROM (SELECT amount, row_number() OVER (ORDER BY created_at DESC, n DESC) AS place FROM transactions WHERE ${U}) WHERE place = 1`,
  'age of the last event': `SELECT EXTRACT(EPOCH FROM NOW() - MAX(created_at)) FROM transactions WHERE ${U}`,
  current_timestamp: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at > CURRENT_TIMESTAMP - INTERVAL '1 hour'`,
  'today()': `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at >= CURRENT_DATE - 1`,
  'get_current_timestamp()': 'SELECT statement_timestamp()',
  'current_localtimestamp()': 'SELECT LOCALTIMESTAMP',
  'date arithmetic': `SELECT NOW()::date - MIN(created_at)::date FROM transactions WHERE ${U}`,
  qualified: `SELECT COUNT(*) FROM public.transactions WHERE public.transactions.${U} AND transactions.amount > 1`,
  'qualified with space': `SELECT COUNT(*) FROM public /* x */ . "transactions" WHERE public . transactions . amount > 1 AND ${U}`,
  'from first': null,
  'from only': null,
  'subquery in a list': `SELECT ARRAY[(SELECT COUNT(*) FROM transactions WHERE ${U}), 1] AS l`,
  'semi join': `SELECT COUNT(*) FROM transactions WHERE ${U} AND EXISTS (SELECT 1 FROM merchants WHERE transactions.merchant_id = merchants.merchant_id AND merchants.country = 'DE')`,
  'anti join': `SELECT COUNT(*) FROM transactions t WHERE ${U} AND NOT EXISTS (SELECT 1 FROM logins l WHERE l.user_id = t.user_id)`,
  'asof join': `SELECT COUNT(l.ip) FROM transactions t LEFT JOIN LATERAL (SELECT * FROM logins l WHERE l.user_id = t.user_id AND l."at" <= t.created_at AT TIME ZONE 'UTC' ORDER BY l."at" DESC LIMIT 1) l ON TRUE WHERE t.${U}`,
  'a cte that hides a table, qualified': `WITH transactions AS (SELECT 1 AS one) SELECT COUNT(*) FROM public.transactions WHERE ${U}`,
  'list of recent values': `SELECT ARRAY_AGG(category ORDER BY created_at DESC, n DESC) FROM (SELECT * FROM transactions WHERE ${U} AND category IS NOT NULL ORDER BY created_at DESC, n DESC LIMIT 3)`,
  struct: `SELECT jsonb_build_object('n', COUNT(*), 'top', MAX(amount)) FROM transactions WHERE ${U}`,
  map: `SELECT jsonb_object_agg(category, c) FROM (SELECT category, COUNT(*) AS c FROM transactions WHERE ${U} AND category IS NOT NULL GROUP BY category)`,
  'grouped top-n': `SELECT jsonb_agg(jsonb_build_object('c', category, 's', s) ORDER BY s DESC, category) FROM (SELECT category, SUM(amount) AS s FROM transactions WHERE ${U} GROUP BY category ORDER BY s DESC, category LIMIT 2)`,
  'list lambda': `SELECT (ARRAY_AGG(n + 1 ORDER BY n))[:3] FROM transactions WHERE ${U}`,
  'struct field': `SELECT SUM((meta).size) FROM transactions WHERE ${U} AND (transactions.meta).kind = 'k1'`,
  'json path': `SELECT SUM(CAST(doc #>> '{deep,x,1}' AS INTEGER)) FROM transactions WHERE ${U}`,
  histogram: `SELECT jsonb_object_agg(kind, c) FROM (SELECT (meta).kind, COUNT(*) AS c FROM transactions WHERE ${U} GROUP BY 1)`,
  'array index and slice': `SELECT (ARRAY_AGG(n ORDER BY n DESC))[1:2] FROM transactions WHERE ${U}`,
  'range window': `SELECT MAX(c) FROM (SELECT COUNT(*) OVER (ORDER BY created_at RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS c FROM transactions WHERE ${U})`,
  pivot: `SELECT COUNT(*) FILTER (WHERE category = 'food') FROM transactions WHERE ${U} HAVING COUNT(*) > 0`,
  'share of total': `SELECT ROUND(COUNT(*) FILTER (WHERE ${U})::numeric / NULLIF(COUNT(*), 0), 9) FROM transactions`,
  'generate_series from the present': `SELECT COUNT(DISTINCT d) FROM generate_series(NOW() - INTERVAL '3 days', NOW(), INTERVAL '1 day') g(d)`,
  'correlated generate_series': `SELECT COUNT(*) FROM (SELECT generate_series(1, n % 4) AS x FROM transactions WHERE ${U})`,
  'time zone against the present': `SELECT COUNT(*) FROM berlin WHERE ${U} AND local_time > NOW() - INTERVAL '2 hours'`,
  uuid: `SELECT MIN(device::text) FROM transactions WHERE ${U}`,
  'exclude and replace': `SELECT MAX(n + 1) FROM transactions WHERE ${U}`,
}

/** Plain texts for the truncated copies, where the text itself would not do. */
export const postgresPlain: Readonly<Record<string, string>> = {
  current_timestamp: `SELECT COUNT(*) FROM transactions WHERE ${U} AND ${HOUR}`,
  'today()': `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at >= CAST(NOW() AS DATE) - 1`,
  'get_current_timestamp()': 'SELECT NOW()',
  'current_localtimestamp()': 'SELECT CAST(NOW() AS TIMESTAMP)',
  'limit by key': 'SELECT COUNT(*) FROM (SELECT 1 FROM transactions LIMIT GREATEST(CAST($merchant_id AS BIGINT), 0)) AS x',
  'time zone against the present': `SELECT COUNT(*) FROM berlin WHERE ${U} AND local_time AT TIME ZONE 'Europe/Berlin' > NOW() - INTERVAL '2 hours'`,
}

/** PostgreSQL's percentile is a double, DuckDB's keeps the digits of its decimals. */
export const otherThanDuckdb: ReadonlySet<string> = new Set(['quantile'])

/** Shapes of PostgreSQL alone: they are compared with truncated copies, not with DuckDB. */
export const postgresOnly: Readonly<Record<string, Shape>> = {
  'escapes of a string': {
    sql: `SELECT E'it\\'s $user_id \\u00fc' || COUNT(*) FROM transactions WHERE ${U}`,
    plain: `SELECT 'it''s $' || 'user_id ü' || COUNT(*) FROM transactions WHERE ${U}`,
  },
  'a string of code points': { sql: `SELECT U&'d\\0061t\\+000061' || COUNT(*) FROM transactions WHERE ${U}` },
  'a name of code points': { sql: `SELECT COUNT(*) FROM U&"tr\\0061nsactions" WHERE ${U}` },
  'a tagged dollar quote': {
    sql: `SELECT $q$NOW() $$ $user_id$q$ || COUNT(*) FROM transactions WHERE ${U}`,
    plain: `SELECT 'NOW' || '() $$ $' || 'user_id' || COUNT(*) FROM transactions WHERE ${U}`,
  },
  'a comment in a comment': { sql: `SELECT COUNT(*) /* a /* FROM merchants ' */ b */ FROM transactions /* NOW() */ WHERE ${U}` },
  'contains, of jsonb': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND doc @> '{"k": 1}'` },
  'a key of jsonb': {
    sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND doc ? 'deep' AND doc->'deep' ?| ARRAY['x', 'y'] AND NOT doc ?& ARRAY['k', 'z']`,
  },
  'a path of jsonb': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND doc @? '$.deep.x[*] ? (@ > 100)'` },
  'contains, of arrays': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND tags @> ARRAY['t1']` },
  'any of an array': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND 't1' = ANY (tags)` },
  'casts in a row': { sql: `SELECT MAX(amount)::text::numeric::float8 FROM transactions WHERE ${U}` },
  'cast of the present': { sql: `SELECT (NOW()::timestamp::date)::text` },
  'present at a zone': { sql: `SELECT EXTRACT(HOUR FROM NOW() AT TIME ZONE 'Asia/Tokyo')` },
  'operator by its full name': { sql: `SELECT COUNT(*) FROM transactions WHERE user_id OPERATOR(pg_catalog.=) $user_id` },
  'is distinct from': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND category IS DISTINCT FROM 'food'` },
  'distinct on, all columns': {
    sql: `SELECT n FROM (SELECT DISTINCT ON (category) * FROM transactions WHERE ${U} ORDER BY category, created_at DESC, n DESC) AS x ORDER BY n LIMIT 1`,
  },
  'lateral over a series': {
    sql: `SELECT SUM(c) FROM generate_series(1, 3) AS d CROSS JOIN LATERAL (SELECT COUNT(*) AS c FROM transactions WHERE ${U} AND created_at > NOW() - d * INTERVAL '1 day') AS x`,
  },
  'within group': { sql: `SELECT MODE() WITHIN GROUP (ORDER BY category) FROM transactions WHERE ${U}` },
  ordinality: { sql: `SELECT SUM(o) FROM transactions, UNNEST(tags) WITH ORDINALITY AS t(tag, o) WHERE ${U} AND tag LIKE 't%'` },
  'rows from': { sql: `SELECT COUNT(*) FROM ROWS FROM (generate_series(1, 3), generate_series(1, 2)) AS g(a, b)` },
  'a row of values': { sql: `SELECT COUNT(*) FROM transactions WHERE (user_id, n) IN (($user_id, 1), ($user_id, 2), ($user_id, 4))` },
  'fetch first': { sql: `SELECT n FROM transactions WHERE ${U} ORDER BY n FETCH FIRST 1 ROW ONLY` },
  'similar to': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND category SIMILAR TO '(food|toys)'` },
  overlaps: {
    sql: `SELECT COUNT(*) FROM profiles WHERE ${U} AND (valid_from, COALESCE(valid_to, 'infinity')) OVERLAPS (NOW() - INTERVAL '1 day', NOW())`,
  },
  'a range of times': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND created_at <@ tstzrange(NOW() - INTERVAL '1 day', NOW())` },
  'a text that says now': { sql: `SELECT COUNT(*) FROM transactions WHERE ${U} AND (category = 'now' OR category = 'food')` },
  'composite values': { sql: `SELECT meta FROM transactions WHERE ${U} ORDER BY n LIMIT 1`, type: 'dict' satisfies ValueType },
  'citext key': { sql: `SELECT COUNT(*) FROM accounts WHERE login = upper($user_id) OR login = $user_id` },
  'citext compares without case': { sql: 'SELECT COUNT(*) FROM accounts WHERE login = $user_id' },
  'uuid column, string key': { key: 'device', sql: 'SELECT COUNT(*) FROM transactions WHERE device = $device' },
}

export const postgresSources = { accounts: { timestamp: 'made' } } as const

export const postgresTables = `
  CREATE EXTENSION citext;
  CREATE SCHEMA app;
  CREATE TYPE meta AS (kind text, size bigint);
  CREATE TABLE transactions (user_id varchar, n bigint, amount numeric(18, 2), weight double precision, category varchar, merchant_id bigint,
    created_at timestamptz, tags text[], meta meta, doc jsonb, device uuid);
  CREATE TABLE logins (user_id varchar, ok boolean, ip varchar, "at" timestamp);
  CREATE TABLE profiles (user_id varchar, plan varchar, valid_from timestamptz, valid_to timestamptz);
  CREATE TABLE scores (user_id varchar, v bigint, ts timestamptz, ingested_at timestamptz);
  CREATE TABLE clicks (event_id bigint, user_id varchar, v bigint, ts timestamptz);
  CREATE TABLE berlin (user_id varchar, v bigint, local_time timestamp);
  CREATE TABLE days (user_id varchar, v bigint, day date);
  CREATE TABLE merchants (merchant_id bigint, country varchar, name varchar);
  CREATE TABLE "order" (user_id varchar, "select" bigint, "from" varchar, "at" timestamptz);
  CREATE TABLE app.events (user_id varchar, v bigint, ts timestamptz);
  CREATE TABLE accounts (login citext, made timestamptz);
  INSERT INTO accounts VALUES ('A', '2026-01-09 00:00:00+00'), ('a', '2026-01-10 12:00:00+00'), ('B', '2026-01-01 00:00:00+00');`

/** A condition of DuckDB as PostgreSQL writes it. */
export function postgresCondition(text: string): string {
  return text.replace(/INTERVAL (\d+) MINUTE/g, "INTERVAL '$1 minutes'").replace('EXISTS (FROM', 'EXISTS (SELECT 1 FROM')
}
