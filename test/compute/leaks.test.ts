/** Every way we know to look past the as-of time. Each is refused, or sees of a table full of later rows what it sees of an empty one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { parseTime } from '../../src/definition/time.ts'
import { FabraError } from '../../src/errors.ts'
import { type ComputeBench, openComputeBench, registryOf, type WrittenRegistry } from '../support/compute-bench.ts'
import { refused } from './leak-routes.ts'

const T = 'transactions'
const AS_OF = '2026-01-10T12:00:00Z'
const sources: WrittenRegistry['sources'] = {
  transactions: { timestamp: 'created_at' },
  merchants: { timestamp: 'since', until: 'till' },
  'app.events': { timestamp: 'ts' },
  declared_view: { timestamp: 'created_at' },
}
const TABLES = `
  CREATE TABLE transactions (user_id VARCHAR, amount DOUBLE, note VARCHAR, created_at TIMESTAMPTZ, now INTEGER);
  CREATE TABLE merchants (user_id VARCHAR, name VARCHAR, since TIMESTAMPTZ, till TIMESTAMPTZ);
  CREATE SCHEMA app; CREATE TABLE app.events (user_id VARCHAR, ts TIMESTAMPTZ);
  CREATE SCHEMA transactions; CREATE TABLE transactions.hidden (user_id VARCHAR);
  CREATE VIEW declared_view AS SELECT * FROM transactions;
  CREATE VIEW spy AS SELECT * FROM transactions;
  CREATE TABLE strangers AS SELECT * FROM transactions;
  CREATE SEQUENCE serial;
  CREATE MACRO peek() AS (SELECT COUNT(*) FROM main.transactions);
  CREATE MACRO peek_all() AS TABLE SELECT * FROM main.transactions;
  CREATE MACRO abs(x) AS (SELECT COUNT(*) FROM main.transactions);`
const LATER = `
  INSERT INTO transactions SELECT 'a', i, 'now', TIMESTAMPTZ '2026-01-10 12:00:00+00' + to_microseconds(i * 1000), i FROM range(20) r(i);
  INSERT INTO transactions VALUES ('a', 1, 'x', NULL, 1), ('a', 1, 'x', 'infinity', 1);
  INSERT INTO merchants VALUES ('a', 'gone', '2026-01-01 00:00:00+00', '2026-01-10 11:59:59.999999+00'), ('a', 'new', '2026-01-10 12:00:00+00', NULL);
  INSERT INTO app.events VALUES ('a', '2026-01-11 00:00:00+00');
  INSERT INTO transactions.hidden VALUES ('a'); INSERT INTO strangers SELECT * FROM transactions;`

let full: ComputeBench
let empty: ComputeBench
beforeAll(async () => {
  full = await openComputeBench(1)
  empty = await openComputeBench(1)
  for (const bench of [full, empty]) await bench.execute(TABLES)
  await full.execute(LATER)
})
afterAll(async () => {
  await full.store.close()
  await empty.store.close()
})

describe('refused when definitions are loaded', () => {
  test.each(refused)('%s', async (sql) => {
    const { definitions } = await full.define({ sources, features: { f: sql } })
    expect(definitions.problems.map(({ subject }) => subject)).toContain('feature "f"')
    for (const { message, hint } of definitions.problems)
      expect({ message: message.length > 10, hint: hint.length > 5 }).toEqual({ message: true, hint: true })
  })

  test('by db as well', async () => {
    const db = createDb({ sourceEngine: full.store, registry: registryOf({ sources, features: {} }) })
    const options = { asOf: parseTime(AS_OF), mode: 'past', signal: new AbortController().signal, timeoutMs: 10_000 } as const
    const answered: string[] = []
    for (const sql of refused) {
      const answer = await db.query(sql, [], options).catch((error: unknown) => error)
      if (!(answer instanceof FabraError) || answer.code !== 'feature_failed') answered.push(sql)
    }
    expect(answered).toEqual([])
  })
})

describe('served, but refused for the past', () => {
  test.each([
    'SELECT COUNT(*) FROM spy',
    'SELECT COUNT(*) FROM main.spy s',
    'SELECT COUNT(*) FROM strangers',
    'SELECT COUNT(*) FROM transactions.hidden',
    `SELECT (SELECT COUNT(*) FROM spy) + COUNT(*) FROM ${T}`,
    `SELECT COUNT(*) FROM ${T} t WHERE EXISTS (FROM strangers s WHERE s.user_id = t.user_id)`,
    `WITH ${T} AS (FROM spy) SELECT COUNT(*) FROM ${T}`,
  ])('%s', async (sql) => {
    const { definitions, ask } = await full.define({ sources, features: { f: sql } })
    expect(definitions.problems).toEqual([])
    expect(await ask('f', [['a', AS_OF]])).toEqual(['feature_failed'])
    expect(
      await ask('f', [
        ['a', AS_OF],
        ['b', AS_OF],
      ]),
    ).toEqual(['feature_failed', 'feature_failed'])
  })
})

describe('later rows are not there', () => {
  test.each([
    `SELECT COUNT(*) FROM ${T}`,
    `SELECT COUNT(*) FROM "${T}"`,
    'SELECT COUNT(*) FROM TRANSACTIONS',
    'SELECT COUNT(*) FROM "Transactions" "T"',
    `SELECT COUNT(*) FROM main.${T}`,
    `SELECT COUNT(*) FROM "main"."${T}"`,
    `SELECT COUNT(*) FROM main /* . */ . -- x\n ${T}`,
    'SELECT COUNT(*) FROM app.events',
    'SELECT COUNT(*) FROM declared_view',
    `SELECT COUNT(*) FROM ${T} -- FROM spy`,
    `SELECT COUNT(*) /* ' */ FROM ${T} /* /* nested */ */ WHERE note <> '/* '`,
    `SELECT COUNT(*) FROM ${T} WHERE note = $$ FROM spy $$ OR TRUE`,
    `SELECT COUNT(*) FROM ${T} WHERE created_at > NOW() - INTERVAL '1 hour'`,
    `SELECT COUNT(*) FROM ${T} WHERE created_at < "now"() + INTERVAL '1 year'`,
    `SELECT COUNT(*) FROM ${T} WHERE now > 0`,
    `SELECT COUNT(*) FROM ${T} WHERE ${T}.now > 0`,
    `FROM ${T} SELECT COUNT(*)`,
    `SELECT COUNT(*) FROM (TABLE ${T})`,
    `SELECT COUNT(*) FROM (FROM ${T})`,
    `SELECT COUNT(*) FROM (VALUES (1)) v(x) LEFT JOIN ${T} ON TRUE`,
    `SELECT COUNT(*) FROM (SELECT 1 AS x) POSITIONAL JOIN ${T}`,
    `SELECT COUNT(*) FROM (SELECT 'a' AS user_id) SEMI JOIN ${T} USING (user_id)`,
    `SELECT COUNT(*) FROM (SELECT 'a' AS user_id) ANTI JOIN ${T} USING (user_id)`,
    `SELECT COUNT(*) FROM (SELECT TIMESTAMPTZ '2030-01-01' AS ts) x ASOF JOIN ${T} t ON x.ts >= t.created_at`,
    `SELECT COUNT(*) FROM (SELECT 'a' AS u) x, LATERAL (SELECT * FROM ${T} t WHERE t.user_id = x.u)`,
    `SELECT COUNT(*) FROM ${T} CROSS JOIN merchants`,
    `SELECT COUNT(*) FROM merchants NATURAL JOIN ${T}`,
    `SELECT COUNT(*) FROM (SELECT 1) WHERE 'a' IN (SELECT user_id FROM ${T})`,
    `SELECT COUNT(*) FROM (SELECT 1) WHERE 1 < ALL (SELECT amount FROM ${T})`,
    `SELECT ARRAY(SELECT amount FROM ${T} ORDER BY 1)`,
    `SELECT CASE WHEN EXISTS (FROM ${T}) THEN (SELECT MAX(amount) FROM ${T}) ELSE -1 END`,
    `SELECT [x FOR x IN (SELECT LIST(amount) FROM ${T})]`,
    `SELECT COUNT(*) FROM (PIVOT (SELECT user_id, amount FROM ${T}) ON user_id IN ('a') USING SUM(amount))`,
    `SELECT COUNT(*) FROM ${T} GROUP BY user_id LIMIT 1`,
    `SELECT COUNT(*) FROM (UNPIVOT (SELECT amount, now::DOUBLE AS b FROM ${T}) ON amount, b)`,
    `SELECT COUNT(*) FROM (SELECT COLUMNS(*) FROM ${T})`,
    `SELECT COUNT(*) FROM (SELECT * EXCLUDE (note) REPLACE (0 AS amount) FROM ${T})`,
    `SELECT COUNT(t) FROM ${T} t`,
    `SELECT MAX(t.amount) FROM ${T} AS t(u, amount)`,
    `WITH ${T} AS (SELECT * FROM ${T}) SELECT COUNT(*) FROM ${T}`,
    `WITH ${T} AS (SELECT * FROM main.${T}) SELECT COUNT(*) FROM ${T} JOIN main.${T} USING (user_id)`,
    `WITH x AS MATERIALIZED (FROM ${T}) SELECT (SELECT COUNT(*) FROM x) + (SELECT COUNT(*) FROM x)`,
    `WITH RECURSIVE ${T} AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM ${T} WHERE i < 5) SELECT COUNT(*) FROM ${T}, main.${T} m`,
    `WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < (SELECT COUNT(*) FROM ${T})) SELECT MAX(i) FROM r`,
    `SELECT COUNT(*) FROM (SELECT amount FROM ${T} UNION SELECT 1 INTERSECT SELECT amount FROM ${T} EXCEPT SELECT 2)`,
    `SELECT COUNT(*) FROM (SELECT amount FROM ${T} UNION ALL BY NAME SELECT name FROM merchants)`,
    `SELECT COUNT(*) FROM ${T} LIMIT (SELECT 1 + COUNT(*) FROM ${T})`,
    `SELECT COUNT(*) OVER () FROM (SELECT 1) ORDER BY (SELECT COUNT(*) FROM ${T})`,
    `SELECT COUNT(*) FROM merchants`,
    `SELECT STRING_AGG(name) FROM merchants WHERE till IS NULL`,
    `SELECT COUNT(*) FROM ${T} WHERE created_at IS NULL`,
    `SELECT date_diff('day', MAX(created_at), NOW()) FROM ${T}`,
  ])('%s', async (sql) => {
    const seen = await full.define({ sources, features: { f: sql } })
    const nothing = await empty.define({ sources, features: { f: sql } })
    expect(seen.definitions.problems).toEqual([])
    const rows = [
      ['a', AS_OF],
      ['b', AS_OF],
    ] as const
    const wanted = await nothing.ask('f', rows)
    expect(wanted[0]).toMatch(/^=|^missing$/)
    expect(await seen.ask('f', rows)).toEqual(wanted)
    expect(await seen.ask('f', rows.slice(0, 1))).toEqual(wanted.slice(0, 1))
    expect(seen.definitions.get('f')?.past).toBeNull()
  })
})

describe('the present is the time asked for', () => {
  test.each([
    ['NOW()', AS_OF],
    ['now ( )', AS_OF],
    ['"now"()', AS_OF],
    ['system.main.now()', AS_OF],
    ['CURRENT_TIMESTAMP', AS_OF],
    ['get_current_timestamp()', AS_OF],
    ['transaction_timestamp()', AS_OF],
    ['list_transform([1], x -> NOW())[1]', AS_OF],
    ['(SELECT MAX(x) FROM (SELECT NOW() AS x))', AS_OF],
    ['CURRENT_DATE', '2026-01-10'],
    ['today()', '2026-01-10'],
    ["strftime(NOW(), '%Y-%m-%d')", '2026-01-10'],
    ["date_trunc('day', NOW())", '2026-01-10T00:00:00Z'],
    ["age(TIMESTAMP '2026-01-09')::VARCHAR", '1 day'],
    ['CURRENT_TIMESTAMP::VARCHAR', '2026-01-10 12:00:00+00'],
  ])('%s', async (expression, wanted) => {
    const { definitions, ask } = await full.define({ sources, features: { f: `SELECT ${expression}` } })
    expect(definitions.problems).toEqual([])
    expect(
      await ask('f', [
        ['a', AS_OF],
        ['a', '2001-02-03T04:05:06Z'],
      ]),
    ).toEqual([`=${JSON.stringify(wanted)}`, expect.not.stringContaining('2026')])
    expect(await ask('f', [['a', AS_OF]])).toEqual([`=${JSON.stringify(wanted)}`])
  })

  test.each([
    "CAST('no' || 'w' AS TIMESTAMPTZ)",
    "CAST(lower('NOW') AS TIMESTAMP)",
    'CAST($user_id AS TIMESTAMPTZ)',
    'CAST($user_id AS DATE)',
  ])('a text put together is not the present: %s', async (expression) => {
    const { definitions, ask } = await full.define({ sources, features: { f: `SELECT ${expression}` } })
    if (definitions.problems.length > 0) return
    expect(await ask('f', [['now', AS_OF]])).toEqual(['feature_failed'])
    expect(
      await ask('f', [
        ['now', AS_OF],
        ['today', AS_OF],
      ]),
    ).toEqual(['feature_failed', 'feature_failed'])
  })
})
