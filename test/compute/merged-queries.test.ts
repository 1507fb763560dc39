/** Queries that many calls of `db` make at once: fewer statements, and to each call what it would get alone. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Db, DbOptions } from '../../src/compute/db.ts'
import { createRowHost } from '../../src/compute/functions/row-host.ts'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { plainKey } from '../../src/definition/entity-key.ts'
import type { Feature } from '../../src/definition/model.ts'
import { parseTime } from '../../src/definition/time.ts'
import type { SourceEngine } from '../../src/store/ports/source-engine.ts'
import { openComputeBench, registryOf, type SqlBench } from '../support/compute-bench.ts'
import { pastBench } from '../support/past-bench.ts'
import { openPostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const ROWS = `
CREATE TABLE ev (user_id VARCHAR, n BIGINT, amount DECIMAL(18, 2), f DOUBLE PRECISION, seen TIMESTAMP WITH TIME ZONE, day DATE, ok BOOLEAN, raw VARCHAR);
INSERT INTO ev SELECT 'u' || (i % 40), i, i / 4.0, i / 3.0, TIMESTAMP WITH TIME ZONE '2026-01-01 00:00:00+00' + i * INTERVAL '1 hour',
  DATE '2026-01-01', i % 3 = 0, CASE WHEN i % 40 = 7 THEN 'x' ELSE '1' END
FROM generate_series(1, 400) AS s(i)`
const KEYS = Array.from({ length: 24 }, (_, i) => `u${i}`)

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server[Symbol.asyncDispose]())

/** What the engine was given: `one` for a statement of one call, else for how many. */
function counting(store: SourceEngine): SourceEngine & { readonly statements: ('one' | number)[]; held: Promise<void> } {
  const statements: ('one' | number)[] = []
  const counted = {
    ...store,
    statements,
    /** Statements are not answered before. */
    held: Promise.resolve(),
    async query(...args: Parameters<SourceEngine['query']>) {
      // Once for each text the engine writes syntax back into text, for statements of Fabra's own.
      if (args[0].includes('json_deserialize_sql')) return store.query(...args)
      statements.push('one')
      await counted.held
      return store.query(...args)
    },
    async queryOver(...args: Parameters<SourceEngine['queryOver']>) {
      statements.push(args[2].asOf.length)
      await counted.held
      return store.queryOver(...args)
    },
  }
  return counted
}

/** [text, parameters of a key]. Each gives one row at most. */
const MERGED: readonly [sql: string, parameters: (key: string, i: number) => readonly unknown[]][] = [
  ['SELECT COUNT(*) FROM ev WHERE user_id = $1', (key) => [key]],
  ['SELECT COUNT(*) AS n, SUM(amount) AS s, MAX(seen) AS t, AVG(f) AS f FROM ev WHERE user_id = ?;', (key) => [key]],
  ['SELECT COUNT(*), COUNT(*), MIN(user_id) FROM ev -- twice %s\n WHERE n > %s AND user_id = %s', (key, i) => [i * 3, key]],
  ['SELECT n, seen FROM ev WHERE user_id = $1 ORDER BY seen DESC LIMIT 1', (key) => [key]],
  ['SELECT SUM(n) FROM ev WHERE f > $1', (_, i) => [i + 0.5]],
  ['SELECT SUM(n) FROM ev WHERE seen >= $1', (_, i) => [new Date(Date.UTC(2026, 0, 1 + (i % 9)))]],
  ['SELECT COUNT(*) FROM ev WHERE ok = $1', (_, i) => [i % 2 === 0]],
  ["SELECT COUNT(*) FROM ev WHERE seen > NOW() - INTERVAL '1 day'", () => []],
  ['WITH mine AS (SELECT * FROM ev WHERE user_id = $1) SELECT COUNT(*), (SELECT MAX(n) FROM mine) FROM mine', (key) => [key]],
]
/** As it is: rows in an order or without one, nothing known of types, a limit that must be a constant, a word that PostgreSQL takes for the present. */
const APART: typeof MERGED = [
  ['SELECT user_id, n FROM ev WHERE n = $2 AND user_id = $1 LIMIT 1', (key, i) => [key, i]],
  ['SELECT (SELECT n FROM ev ORDER BY n LIMIT 1) AS n FROM ev WHERE user_id = $1 LIMIT 1', (key) => [key]],
  ['SELECT n FROM ev WHERE user_id = $1 ORDER BY n DESC', (key) => [key]],
  ['SELECT user_id, COUNT(*) AS c FROM ev WHERE n < $1 GROUP BY user_id ORDER BY user_id', (_, i) => [i]],
  ['SELECT COUNT(*) FROM ev WHERE user_id = $1', (_, i) => [i % 2 === 0 ? null : ['a']]],
  ['SELECT n FROM ev WHERE n > $1 ORDER BY n LIMIT $2', (_, i) => [i, 1]],
  ['SELECT COUNT(*) FROM ev WHERE user_id = $1', () => ['now']],
]

/** Types that do not fit, or fit in more than one way; places of constants; more rows than it seems. What each engine makes of them alone counts. */
const ODD: typeof MERGED = [
  ['SELECT COUNT(*) FROM ev WHERE n = $1', (_, i) => [String(i)]],
  ['SELECT COUNT(*) FROM ev WHERE n = $1', (_, i) => [i / 2]],
  ['SELECT COUNT(*) FROM ev WHERE n = $1', (_, i) => [i % 9 === 0 ? 'x' : ` ${i} `]],
  ['SELECT COUNT(*) FROM ev WHERE raw = $1', (_, i) => [i % 2]],
  ['SELECT COUNT(*) FROM ev WHERE amount = $1', (_, i) => [i / 4]],
  ['SELECT COUNT(*) FROM ev WHERE f > $1', (_, i) => [String(i)]],
  ['SELECT COUNT(*) FROM ev WHERE day = $1', () => ['2026-01-01']],
  ['SELECT COUNT(*) FROM ev WHERE seen > $1', (_, i) => [`2026-01-0${1 + (i % 9)}T00:00:00Z`]],
  ['SELECT COUNT(*) FROM ev WHERE ok = $1', (_, i) => [i % 2 === 0 ? 'true' : 'no']],
  ['SELECT COUNT(*) FROM ev WHERE user_id IN ($1, $2) OR user_id LIKE $3', (key) => [key, 'u3', `${key}%`]],
  ['SELECT COALESCE(MAX(n), $2) FROM ev WHERE user_id = $1', (key, i) => [key, i]],
  ['SELECT COALESCE(MAX(n), $2) FROM ev WHERE user_id = $1', (key, i) => [key, i / 2]],
  ['SELECT MAX(user_id || $1), MAX($1), COUNT($1) FROM ev WHERE n < 9', (key) => [key]],
  ['SELECT MAX(n) + $1, MAX(n) / $1, SUM(n) % $1 FROM ev', (_, i) => [i]],
  ['SELECT MAX(f) / $1 FROM ev', (_, i) => [i]],
  ['SELECT COUNT(*) FROM ev WHERE seen > NOW() - CAST($1 AS INTERVAL)', (_, i) => [`${i} hours`]],
  ['SELECT MAX(DATE_TRUNC($1, seen)) FROM ev', (_, i) => [i % 2 === 0 ? 'day' : 'month']],
  ['SELECT STRING_AGG(raw, $2 ORDER BY n) FROM ev WHERE user_id = $1', (key) => [key, '-']],
  ['SELECT COUNT(*), UNNEST(ARRAY[1, 2]) FROM ev WHERE user_id = $1', (key) => [key]],
  ['SELECT COUNT(*) FROM ev WHERE user_id = $1 UNION ALL SELECT 7 LIMIT 1', (key) => [key]],
  ['SELECT $1 AS it FROM ev LIMIT 1', (key) => [key]],
  [
    'SELECT (SELECT COUNT(*) FROM ev AS o WHERE o.n > e.n AND o.user_id = $1) AS c FROM ev AS e WHERE e.user_id = $1 ORDER BY e.n LIMIT 1',
    (key) => [key],
  ],
  ['SELECT ROW_NUMBER() OVER (ORDER BY n DESC) AS r, n FROM ev WHERE user_id = $1 ORDER BY n LIMIT 1', (key) => [key]],
  ['SELECT COUNT(*) FROM (SELECT DISTINCT raw FROM ev WHERE user_id = $1 LIMIT 3) AS d', (key) => [key]],
  [
    'SELECT COUNT(*) FROM ev LEFT JOIN (SELECT n AS m FROM ev WHERE user_id = $1) AS o ON o.m = ev.n AND ev.user_id = $2',
    (key) => [key, 'u1'],
  ],
  ['SELECT SUM(n) FROM ev WHERE user_id = $1 HAVING COUNT(*) > 5 LIMIT 1', (key) => [key]],
  ['SELECT COUNT(*) FROM ev WHERE user_id = $1 AND EXISTS (SELECT 1 FROM ev AS o WHERE o.n = ev.n + $2)', (key, i) => [key, i]],
]

describe.each(['duckdb', 'postgres'] as const)('%s', (dialect) => {
  let bench: SqlBench & { close?(): Promise<void> }
  let store: ReturnType<typeof counting>
  let db: Db
  beforeAll(async () => {
    bench = dialect === 'duckdb' ? await openComputeBench() : await openPostgresBench(server, 'merged_queries')
    await bench.execute(ROWS)
    store = counting(bench.store)
    db = createDb({ sourceEngine: store, registry: registryOf({ sources: { ev: { timestamp: 'seen' } }, features: {} }) })
  })
  afterAll(() => (bench.close ? bench.close() : bench.store.close()))

  const at = (i: number, facts: Partial<DbOptions> = {}): DbOptions => ({
    asOf: parseTime('2026-01-12T00:00:00Z') + (i % 5) * 3_600_000_000,
    mode: 'present',
    signal: new AbortController().signal,
    timeoutMs: 30_000,
    ...facts,
  })
  const settled = (work: Promise<unknown>) =>
    work.catch((error: { code?: string; message: string }) => ({ code: error.code, message: error.message }))
  /** What came, and what the engine ran for it. */
  async function together(sql: string, parameters: (typeof MERGED)[number][1]) {
    store.statements.length = 0
    const answers = await Promise.all(KEYS.map((key, i) => settled(db.query(sql, parameters(key, i), at(i)))))
    return { answers, statements: [...store.statements] }
  }
  async function alone(sql: string, parameters: (typeof MERGED)[number][1]) {
    const answers: unknown[] = []
    store.statements.length = 0
    for (const [i, key] of KEYS.entries()) answers.push(await settled(db.query(sql, parameters(key, i), at(i))))
    expect(store.statements).toEqual(KEYS.map(() => 'one'))
    return answers
  }

  test.each(MERGED)('%s: one statement for all that come at once', async (sql, parameters) => {
    const { answers, statements } = await together(sql, parameters)
    expect(statements).toEqual([KEYS.length])
    expect(answers).toEqual(await alone(sql, parameters))
  })

  test.each(APART)('%s: one by one', async (sql, parameters) => {
    const { answers, statements } = await together(sql, parameters)
    expect(answers).toEqual(await alone(sql, parameters))
    expect(statements.filter((one) => one !== 'one')).toEqual([])
  })

  test.each(ODD)('%s is answered as alone', async (sql, parameters) => {
    const { answers } = await together(sql, parameters)
    expect(answers).toEqual(await alone(sql, parameters))
  })

  test('the call that fails gets its own error, and its neighbours their answers', async () => {
    const sql = 'SELECT SUM(CAST(raw AS BIGINT)) FROM ev WHERE user_id = $1'
    const { answers, statements } = await together(sql, (key) => [key])
    const wanted = await alone(sql, (key) => [key])
    expect(answers).toEqual(wanted)
    expect(answers.filter((answer) => typeof answer === 'object' && answer !== null && 'code' in answer)).toMatchObject([
      { code: 'feature_failed', message: expect.stringContaining('x') },
    ])
    expect(statements.filter((one) => one === 'one').length).toBeLessThan(KEYS.length / 3)
  })

  test('past and present, and texts that differ, are never put together; what a past text may not read is refused as alone', async () => {
    const sql = 'SELECT COUNT(*) FROM ev WHERE user_id = $1'
    store.statements.length = 0
    const answers = await Promise.all([
      ...KEYS.map((key, i) => db.query(sql, [key], at(i))),
      ...KEYS.map((key, i) => db.query(sql, [key], at(i, { mode: 'past', asOf: parseTime('2026-01-02T00:00:00Z') }))),
      ...KEYS.map((key, i) => db.query(`${sql} AND ok`, [key], at(i))),
    ])
    expect(store.statements).toEqual([KEYS.length, KEYS.length, KEYS.length])
    const sums = [0, 1, 2].map((which) =>
      answers.slice(which * KEYS.length, (which + 1) * KEYS.length).reduce((sum, { rows }) => sum + Number(rows[0]?.[0]), 0),
    )
    expect(sums[1]).toBe(23)
  })

  test('a call that is given up, or has no time left, leaves the others alone', async () => {
    const sql = 'SELECT COUNT(*), MAX(n) FROM ev WHERE user_id = $1'
    const leaving = new AbortController()
    const running = KEYS.map((key, i) =>
      settled(db.query(sql, [key], at(i, i === 3 ? { signal: leaving.signal } : i === 4 ? { timeoutMs: 0.001 } : {}))),
    )
    leaving.abort()
    const answers = await Promise.all(running)
    expect([answers[3], answers[4]]).toMatchObject([{ code: 'feature_timeout' }, { code: 'feature_timeout' }])
    const others = await alone(sql, (key) => [key])
    expect(answers.filter((_, i) => i !== 3 && i !== 4)).toEqual(others.filter((_, i) => i !== 3 && i !== 4))
  })

  test('what a call asks ends with the call, whether it would have been merged or not', async () => {
    const { features } = registryOf({ features: { f: 'SELECT 1 AS n FROM ev WHERE user_id = $user_id' } })
    const feature = features.get('f') as Feature
    const options = { db, reader: { read: () => Promise.reject(new Error('Nothing is read.')) }, onRead() {} }
    const row = { key: plainKey('u1'), asOf: at(0).asOf }
    const batch = { ...at(0), mode: 'present', chain: [] } as const
    const host = createRowHost(options, feature, row, batch, performance.now() + 600_000)
    const held = Promise.withResolvers<void>()
    store.held = held.promise
    store.statements.length = 0
    const sql = 'SELECT MAX(n) FROM ev WHERE user_id = $1'
    const asked = [['u1'], ['now']].map((parameters) => settled(host.query(sql, parameters, 'plain')))
    await until('both are with the engine', 30_000, async () => store.statements.length === 2 || undefined)
    host.end()
    const [merged] = asked
    expect(await merged).toMatchObject({ code: 'feature_timeout' })
    held.resolve()
    store.held = Promise.resolve()
    expect(await Promise.all(asked)).toMatchObject([{ code: 'feature_timeout' }, { code: 'feature_timeout' }])
  })

  test('calls that ask the very same have one statement that begins after all of them, with its rows or its fault', async () => {
    const same = async (sql: string) => {
      store.statements.length = 0
      const answers = await Promise.all(KEYS.map((_, i) => settled(db.query(sql, [], at(i)))))
      const [one] = store.statements
      return { answers, statements: store.statements.length, one }
    }
    const list = await same("SELECT i, 'x' || i AS t FROM generate_series(1, 3) AS s(i)")
    expect(list).toMatchObject({ statements: 1, one: 'one' })
    expect(list.answers[0]).toMatchObject({ rows: [1, 2, 3].map((i) => [i, `x${i}`]) })
    expect(new Set(list.answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    const fault = await same("SELECT CAST('x' || i AS BIGINT) FROM generate_series(1, 3) AS s(i)")
    expect(fault).toMatchObject({ statements: 1, answers: KEYS.map(() => ({ code: 'feature_failed' })) })
  })

  test('while statements of a text run, what comes gathers for one that follows', async () => {
    const sql = 'SELECT MIN(n) FROM ev WHERE user_id = $1'
    await db.query(sql, ['u1'], at(0))
    store.statements.length = 0
    const running: Promise<unknown>[] = []
    const answer = Promise.withResolvers<void>()
    store.held = answer.promise
    // Each in a turn of its own.
    for (const [i, key] of KEYS.entries()) {
      running.push(db.query(sql, [key], at(i)))
      await new Promise((resolve) => setImmediate(resolve))
    }
    answer.resolve()
    await Promise.all(running)
    expect(store.statements.length).toBeLessThan(KEYS.length / 2)
    expect(store.statements.map((one) => (one === 'one' ? 1 : one)).reduce((sum, count) => sum + count, 0)).toBe(KEYS.length)
  })
})

test.each(['present', 'past'] as const)('hundreds of calls of one function read the sources together: %s', async (mode) => {
  await using bench = await pastBench({
    'features.ts': `import { entity, feature, source } from "fabra";
export const User = entity("User", { key: "user_id" });
export const ev = source("ev", { timestamp: "seen", file: "./ev.csv" });
export const total = feature({ entity: User, refresh: "1h", type: "int" }, async (user, { db }) => {
  const count = await db.fetchval("SELECT COUNT(*) FROM ev WHERE user_id = $1", user);
  return 10 * count + (await db.fetchval("SELECT MAX(n) FROM ev WHERE user_id = $1", user));
});`,
    'ev.csv': `user_id,n,seen\n${Array.from({ length: 2_000 }, (_, i) => `u${i % 1_000},${i % 7},2026-01-01T00:00:00Z`).join('\n')}\n`,
  })
  const { sourceEngine } = bench
  const [query, queryOver] = [sourceEngine.query, sourceEngine.queryOver]
  let statements = 0
  sourceEngine.query = (...given) => {
    statements++
    return query(...given)
  }
  sourceEngine.queryOver = (...given) => {
    statements++
    return queryOver(...given)
  }
  const users = Array.from({ length: 300 }, (_, i) => i)
  const answers = await bench.ask(
    'total',
    users.map((i) => [`u${i}`, '2026-05-01T00:00:00Z']),
    { mode },
  )
  expect(answers).toEqual(
    users.map((i) => ({ kind: 'value', texts: [String(20 + Math.max(i % 7, (i + 1_000) % 7))], oldestInputAt: null })),
  )
  // 600 queries. How they come together depends on what else the machine does.
  expect(statements).toBeLessThan(200)
})
