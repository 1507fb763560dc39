/** Every way we know to look past the as-of time on PostgreSQL. */
import type { LeakRoutes } from './leak-routes.ts'

const T = 'transactions'
const AS_OF = '2026-01-10T12:00:00Z'

const refused: readonly string[] = [
  // Functions of users, however they are called.
  'SELECT peek()',
  'SELECT public.peek()',
  'SELECT "peek"()',
  'SELECT COUNT(*) FROM peek_all()',
  'SELECT COUNT(*) FROM ROWS FROM (peek_all(), generate_series(1, 2)) AS x',
  `SELECT MAX(t.peek_of) FROM ${T} t`,
  `SELECT MAX((t).peek_of) FROM ${T} t`,
  `SELECT peek_sum(amount) FROM ${T}`,
  'SELECT 1 <%%> 2',
  'SELECT 1 OPERATOR(public.<%%>) 2',
  "SELECT json_value('a', 'b')",
  // Functions that run SQL, or read the catalogue, files or the session.
  "SELECT query_to_xml('SELECT 1', true, true, '')::text",
  "SELECT table_to_xml('transactions', true, true, '')::text",
  "SELECT pg_read_file('/etc/passwd')",
  "SELECT COUNT(*) FROM pg_ls_dir('/')",
  'SELECT COUNT(*) FROM pg_stat_activity',
  'SELECT COUNT(*) FROM pg_class',
  'SELECT COUNT(*) FROM pg_catalog.pg_class',
  'SELECT COUNT(*) FROM information_schema.tables',
  'SELECT COUNT(*) FROM fabra.feature_history',
  "SELECT pg_total_relation_size('transactions')",
  "SELECT pg_stat_get_live_tuples('transactions'::regclass::oid)",
  "SELECT current_setting('server_version')",
  'SELECT version()',
  'SELECT current_user',
  'SELECT session_user',
  'SELECT user',
  'SELECT current_schema',
  'SELECT current_catalog',
  "SELECT has_table_privilege('transactions', 'select')",
  "SELECT ts_stat('SELECT 1')::text",
  // The present, in words that the rewrite cannot reach.
  `SELECT COUNT(*) FROM ${T} WHERE created_at > 'now'::timestamp`,
  `SELECT COUNT(*) FROM ${T} WHERE created_at > timestamptz ' NOW '`,
  `SELECT COUNT(*) FROM ${T} WHERE created_at > timestamptz 'now UTC'`,
  `SELECT COUNT(*) FROM ${T} WHERE created_at > 'today 10:00'::timestamptz`,
  `SELECT COUNT(*) FROM ${T} WHERE created_at > date 'yesterday'`,
  "SELECT 'now'::text::timestamptz",
  "SELECT timestamptz('now')",
  "SELECT date('today')",
  "SELECT '{now}'::timestamptz[]",
  "SELECT upper('[today,now]'::tstzrange)",
  `SELECT COUNT(*) FROM ${T} WHERE created_at > 'now'`,
  `SELECT COUNT(*) FROM ${T} WHERE created_at BETWEEN 'yesterday' AND 'tomorrow 10:00'`,
  `SELECT COUNT(*) FROM ${T} WHERE created_at IN ('now')`,
  "SELECT date_trunc('day', 'now')",
  "SELECT timestamptz_in('now', 0, -1)",
  'SELECT CURRENT_TIMESTAMP(3)',
  'SELECT LOCALTIME(0)',
  'SELECT timeofday()',
  `SELECT MAX(x.at) FROM ${T}, jsonb_to_record(doc) AS x(at timestamptz)`,
  'SELECT pg_postmaster_start_time()',
  'SELECT txid_current()',
  // Another answer each time, and locks.
  'SELECT random()',
  'SELECT pg_catalog.random()',
  `SELECT COUNT(*) FROM ${T} ORDER BY random()`,
  'SELECT gen_random_uuid()::text',
  "SELECT nextval('serial')",
  "SELECT currval('serial')",
  'SELECT setseed(0.5)',
  'SELECT pg_sleep(1)',
  'SELECT pg_advisory_lock(1)',
  `SELECT COUNT(*) FROM ${T} TABLESAMPLE system (10)`,
  `SELECT amount FROM ${T} LIMIT 1 FOR UPDATE`,
  `SELECT amount FROM ${T} LIMIT 1 FOR SHARE`,
  // Not one plain SELECT.
  `SELECT amount INTO later FROM ${T}`,
  `CREATE TABLE x AS SELECT * FROM ${T}`,
  `COPY ${T} TO '/tmp/never.csv'`,
  `COPY (SELECT 1) TO PROGRAM 'true'`,
  'DO $$ BEGIN END $$',
  'SET search_path = app',
  'SHOW search_path',
  'CALL nothing()',
  `EXPLAIN SELECT 1`,
  'PREPARE x AS SELECT 1',
  'LISTEN x',
  `WITH gone AS (DELETE FROM ${T} RETURNING 1) SELECT COUNT(*) FROM gone`,
  `WITH made AS (INSERT INTO ${T} VALUES ('a') RETURNING 1) SELECT COUNT(*) FROM made`,
  `SELECT 1; DROP TABLE ${T}`,
  'SELECT 1; SELECT 2',
  '',
  ';',
  '/* SELECT 1 */',
  // Names of Fabra's own, and what a derived table does not have.
  'SELECT __fabra_as_of',
  'SELECT "__fabra_row".__fabra_k0',
  'SELECT COUNT(*) FROM __fabra_row',
  'SELECT U&"\\005f_fabra_row".__fabra_k0',
  `SELECT MAX(ctid::text) FROM ${T}`,
  `SELECT MAX(xmin::text) FROM ${T}`,
  `SELECT MAX(tableoid::int8) FROM ${T}`,
  `SELECT COUNT(*) FROM ONLY ${T}`,
  `SELECT COUNT(*) FROM ${T} *`,
  'WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS x) SELECT COUNT(*) FROM a',
  // Tables that are not there.
  `SELECT COUNT(*) FROM other.public.${T}`,
  `SELECT COUNT(*) FROM pg_temp.${T}`,
  `SELECT COUNT(*) FROM "Transactions"`,
  'SELECT COUNT(*) FROM nowhere',
]

const laterHidden: readonly string[] = [
  `SELECT COUNT(*) FROM ${T}`,
  'SELECT COUNT(*) FROM TRANSACTIONS',
  `SELECT COUNT(*) FROM public.${T}`,
  `SELECT COUNT(*) FROM leaks_full.public.${T}`,
  `SELECT COUNT(*) FROM U&"tr\\0061nsactions"`,
  'SELECT COUNT(*) FROM app.events',
  'SELECT COUNT(*) FROM declared_view',
  `SELECT COUNT(*) FROM (TABLE ${T})`,
  `SELECT COUNT(*) FROM (((SELECT * FROM ${T}))) AS x`,
  `SELECT COUNT(*) FROM (${T} AS a CROSS JOIN merchants AS b)`,
  `SELECT COUNT(*) FROM (VALUES (1)) v(x) LEFT JOIN ${T} ON TRUE`,
  `SELECT COUNT(*) FROM merchants NATURAL JOIN ${T}`,
  `SELECT COUNT(*) FROM (SELECT 'a' AS u) x, LATERAL (SELECT * FROM ${T} t WHERE t.user_id = x.u) y`,
  `SELECT COUNT(*) FROM (SELECT 1) z WHERE 'a' IN (SELECT user_id FROM ${T})`,
  `SELECT COUNT(*) FROM (SELECT 1) z WHERE 1 < ALL (SELECT amount FROM ${T})`,
  `SELECT ARRAY(SELECT amount FROM ${T} ORDER BY 1)`,
  `SELECT CASE WHEN EXISTS (TABLE ${T}) THEN (SELECT MAX(amount) FROM ${T}) ELSE -1 END`,
  `SELECT COUNT(t) FROM ${T} t`,
  `SELECT COUNT(t.*) FROM ${T} t`,
  `SELECT MAX(row_to_json(${T})::text) FROM ${T}`,
  `SELECT MAX(public.${T}.amount) FROM ${T}`,
  `SELECT COUNT(public.${T}.*) FROM public.${T}`,
  `WITH ${T} AS (SELECT * FROM ${T}) SELECT COUNT(*) FROM ${T}`,
  `WITH RECURSIVE a AS (SELECT * FROM ${T} UNION ALL SELECT * FROM ${T}), ${T} AS (SELECT 1 AS x) SELECT COUNT(*) FROM public.${T}`,
  `WITH x AS MATERIALIZED (TABLE ${T}) SELECT (SELECT COUNT(*) FROM x) + (SELECT COUNT(*) FROM x)`,
  `WITH RECURSIVE ${T} AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM ${T} WHERE i < 5) SELECT COUNT(*) FROM ${T}, public.${T} m`,
  `WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < (SELECT COUNT(*) FROM ${T})) SELECT MAX(i) FROM r`,
  `SELECT COUNT(*) FROM (SELECT amount FROM ${T} UNION SELECT 1 INTERSECT SELECT amount FROM ${T} EXCEPT SELECT 2) z`,
  `SELECT COUNT(*) FROM ${T} LIMIT (SELECT 1 + COUNT(*) FROM ${T})`,
  `SELECT COUNT(*) OVER () FROM (SELECT 1) z ORDER BY (SELECT COUNT(*) FROM ${T})`,
  `SELECT COUNT(*) FILTER (WHERE amount > (SELECT AVG(amount) FROM ${T})) FROM ${T}`,
  'SELECT STRING_AGG(name, $$,$$) FROM merchants WHERE till IS NULL',
  `SELECT COUNT(*) FROM ${T} WHERE created_at IS NULL`,
  `SELECT EXTRACT(EPOCH FROM MAX(created_at)) FROM ${T}`,
  `SELECT COUNT(*) FROM ${T} WHERE note = 'now' OR now > 0`,
  `SELECT COUNT(*) FROM ${T} WHERE doc @> '{"at": "now"}'`,
]

export const postgresRoutes: LeakRoutes = {
  tables: `
  CREATE TABLE transactions (user_id text, amount float8, note text, created_at timestamptz, now int, doc jsonb);
  CREATE TABLE merchants (user_id text, name text, since timestamptz, till timestamptz);
  CREATE SCHEMA app; CREATE TABLE app.events (user_id text, ts timestamptz);
  CREATE VIEW declared_view AS SELECT * FROM transactions;
  CREATE VIEW spy AS SELECT * FROM transactions;
  CREATE MATERIALIZED VIEW kept AS SELECT COUNT(*) AS c FROM transactions;
  CREATE TABLE strangers AS SELECT * FROM transactions;
  CREATE SEQUENCE serial;
  CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT COUNT(*) FROM public.transactions';
  CREATE FUNCTION peek_all() RETURNS SETOF public.transactions LANGUAGE sql STABLE AS 'SELECT * FROM public.transactions';
  CREATE FUNCTION peek_of(r anyelement) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT COUNT(*) FROM public.transactions';
  CREATE FUNCTION json_value(a text, b text) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT COUNT(*) FROM public.transactions';
  CREATE FUNCTION peek_op(a int, b int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT COUNT(*) FROM public.transactions';
  CREATE OPERATOR <%%> (LEFTARG = int, RIGHTARG = int, FUNCTION = peek_op);
  CREATE FUNCTION add_later(s bigint, a float8) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT COUNT(*) FROM public.transactions';
  CREATE AGGREGATE peek_sum(float8) (SFUNC = add_later, STYPE = bigint);`,
  later: `
  INSERT INTO transactions SELECT 'a', i, 'now', TIMESTAMPTZ '2026-01-10 12:00:00+00' + i * INTERVAL '1 millisecond', i, '{"at": "now"}' FROM generate_series(0, 19) i;
  INSERT INTO transactions VALUES ('a', 1, 'x', NULL, 1, NULL), ('a', 1, 'x', 'infinity', 1, NULL);
  INSERT INTO merchants VALUES ('a', 'gone', '2026-01-01 00:00:00+00', '2026-01-10 11:59:59.999999+00'), ('a', 'new', '2026-01-10 12:00:00+00', NULL);
  INSERT INTO app.events VALUES ('a', '2026-01-11 00:00:00+00');
  INSERT INTO strangers SELECT * FROM transactions;`,
  refused,
  servedAlone: [
    'SELECT COUNT(*) FROM spy',
    'SELECT COUNT(*) FROM public.spy s',
    'SELECT MAX(c) FROM kept',
    'SELECT COUNT(*) FROM strangers',
    `WITH ${T} AS (TABLE spy) SELECT COUNT(*) FROM ${T}`,
    `SELECT COUNT(*) FROM ${T} t WHERE EXISTS (SELECT 1 FROM strangers s WHERE s.user_id = t.user_id)`,
  ],
  laterHidden,
  present: [
    ['NOW()', AS_OF],
    ['now ( )', AS_OF],
    ['pg_catalog.now()', AS_OF],
    ['CURRENT_TIMESTAMP', AS_OF],
    ['transaction_timestamp()', AS_OF],
    ['statement_timestamp()', AS_OF],
    ['clock_timestamp()', AS_OF],
    ['(SELECT MAX(x) FROM (SELECT NOW() AS x) y)', AS_OF],
    ['CURRENT_DATE', '2026-01-10'],
    ['LOCALTIMESTAMP', AS_OF],
    ["to_char(NOW(), 'YYYY-MM-DD')", '2026-01-10'],
    ["date_trunc('day', NOW())", '2026-01-10T00:00:00Z'],
    ["age(TIMESTAMP '2026-01-09')::text", '1 day'],
    ['CURRENT_TIMESTAMP::text', '2026-01-10 12:00:00+00'],
  ],
  putTogether: [
    "CAST('no' || 'w' AS TIMESTAMPTZ)",
    "('no' || 'w')::timestamptz",
    "CAST(lower('NOW') AS TIMESTAMP)",
    "(lower('NOW'))::timestamp::date",
    "timestamptz('no' || 'w')",
    'CAST($user_id AS TIMESTAMPTZ)',
    'CAST($user_id AS DATE)',
    '$user_id::timestamptz',
    "($user_id || '')::date",
    'CAST(CAST(\'{"at": "now"}\' AS jsonb) ->> \'at\' AS timestamptz)',
    "(ARRAY['now', 'no' || 'w']::timestamptz[])[2]",
  ],
}
