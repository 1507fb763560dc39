import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Db } from '../../src/compute/db.ts'
import { placeParameters } from '../../src/compute/sql/placeholders.ts'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { parseTime } from '../../src/definition/time.ts'
import { type ComputeBench, openComputeBench, registryOf } from '../support/compute-bench.ts'
import { TAGGED_CELLS, TAGGED_PARAMETERS, TAGGED_PARAMETERS_SQL, TAGGED_SQL } from '../support/tagged-cells.ts'

describe('placeholders', () => {
  const cases: [sql: string, count: number, text: string][] = [
    ['SELECT $1, $2', 2, 'SELECT $1, $2'],
    ['SELECT $2, $1, $2', 2, 'SELECT $1, $2, $1'],
    ['SELECT ? WHERE a = ?', 2, 'SELECT $1 WHERE a = $2'],
    ['SELECT %s WHERE a=%s', 2, 'SELECT $1 WHERE a=$2'],
    ["SELECT 1 WHERE a LIKE '%s' AND b = %s", 1, "SELECT 1 WHERE a LIKE '%s' AND b = $1"],
    ["SELECT 1 WHERE a LIKE '?' AND b = ? -- why?", 1, "SELECT 1 WHERE a LIKE '?' AND b = $1 -- why?"],
    ['SELECT 10 %% 3 WHERE b = %s', 1, 'SELECT 10 % 3 WHERE b = $1'],
    ["SELECT 1 WHERE data ? 'k' AND b = ?", 1, "SELECT 1 WHERE data ? 'k' AND b = $1"],
    ["SELECT 1 WHERE data ? 'k' AND b = $1", 1, "SELECT 1 WHERE data ? 'k' AND b = $1"],
    ["SELECT 1 WHERE data ? 'k' AND b = %s", 1, "SELECT 1 WHERE data ? 'k' AND b = $1"],
    ["SELECT 1 WHERE data ?| array['k'] AND b = ?", 1, "SELECT 1 WHERE data ?| array['k'] AND b = $1"],
    ["SELECT $$ ? $1 %s $$, \"?\", E'\\'?', /* ? /* %s */ */ ?", 1, "SELECT $$ ? $1 %s $$, \"?\", E'\\'?', /* ? /* %s */ */ $1"],
    ["SELECT '?'", 0, "SELECT '?'"],
    ['SELECT a::int, ?::int', 1, 'SELECT a::int, $1::int'],
    ['SELECT amount %s FROM t', 0, 'SELECT amount %s FROM t'],
    ['SELECT 1 LIMIT ?', 1, 'SELECT 1 LIMIT $1'],
  ]
  test.each(cases)('%s with %d', (sql, count, text) => {
    const placed = placeParameters(sql, count)
    expect('text' in placed ? placed.text : placed.message).toBe(text)
  })

  test('too many or too few values are named', () => {
    for (const [sql, count] of [
      ['SELECT ?', 2],
      ['SELECT $2', 1],
      ['SELECT %s, %s', 1],
      ['SELECT 1', 1],
    ] as const) {
      expect(placeParameters(sql, count)).toHaveProperty('message')
    }
    expect(placeParameters('SELECT $user_id', 1)).toMatchObject({ message: 'The query uses $user_id.' })
  })
})

describe('db', () => {
  let bench: ComputeBench
  let db: Db
  beforeAll(async () => {
    bench = await openComputeBench()
    await bench.execute(`
      CREATE TABLE transactions (user_id VARCHAR, amount DECIMAL(18, 2), created_at TIMESTAMPTZ, n BIGINT);
      CREATE TABLE strangers (x INTEGER);
      INSERT INTO transactions VALUES ('a', 1.5, '2026-01-10 11:30:00+00', 1), ('a', 2.5, '2026-01-10 12:30:00.123456+00', 9007199254740993)`)
    db = createDb({
      sourceEngine: bench.store,
      registry: registryOf({ sources: { transactions: { timestamp: 'created_at' } }, features: {} }),
    })
  })
  afterAll(() => bench.store.close())

  const at = (asOf: string, mode: 'present' | 'past' = 'past') => ({
    asOf: parseTime(asOf),
    mode,
    signal: new AbortController().signal,
    timeoutMs: 10_000,
  })

  test('sees only what was there, by any placeholder', async () => {
    for (const mark of ['$1', '?', '%s']) {
      const sql = `SELECT COUNT(*) AS n, MAX(NOW()) AS t FROM transactions WHERE user_id = ${mark}`
      expect(await db.query(sql, ['a'], at('2026-01-10T12:00:00Z'))).toEqual({
        columns: ['n', 't'],
        rows: [[1, '2026-01-10T12:00:00Z']],
        sources: ['transactions'],
      })
    }
  })

  test('gives numbers when safe, else bigint, and times as text', async () => {
    const { rows } = await db.query(
      'SELECT amount, created_at, n, [1, 2] AS l, {a: 1} AS s, NULL FROM transactions ORDER BY created_at',
      [],
      at('2027-01-01T00:00:00Z'),
    )
    expect(rows).toEqual([
      [1.5, '2026-01-10T11:30:00Z', 1, [1, 2], { a: 1 }, null],
      [2.5, '2026-01-10T12:30:00.123456Z', 9007199254740993n, [1, 2], { a: 1 }, null],
    ])
  })

  test('whole numbers are exact whatever their type, alone, in lists, in structs and in JSON', async () => {
    const { rows } = await db.query(
      `SELECT SUM(n), SUM(n) + 0.00, CAST(-9007199254740993 AS DECIMAL(20, 2)), CAST(12 AS DECIMAL(5, 2)), CAST(0.1 AS DECIMAL(5, 2)),
         [CAST(9007199254740993 AS DECIMAL(38, 0))], {a: CAST('170141183460469231731687303715884105727' AS HUGEINT)},
         CAST('{"a": 9007199254740993}' AS JSON), [CAST('{"a": 9007199254740993}' AS JSON)], 9007199254740995.5::DECIMAL(20, 1)
       FROM transactions`,
      [],
      at('2027-01-01T00:00:00Z'),
    )
    expect(rows).toEqual([
      [
        ...[9007199254740994n, 9007199254740994n, -9007199254740993n, 12, 0.1],
        ...[[9007199254740993n], { a: 170141183460469231731687303715884105727n }, { a: 9007199254740993n }, [{ a: 9007199254740993n }]],
        9007199254740996,
      ],
    ])
    const nested = await db.query(
      'SELECT json_extract($1::JSON, $2)::VARCHAR',
      [{ a: [9007199254740993n] }, '$.a'],
      at('2027-01-01T00:00:00Z'),
    )
    expect(nested.rows).toEqual([['[9007199254740993]']])
  })

  test('gives functions of other languages every value exactly, and takes theirs', async () => {
    const how = { ...at('2027-01-01T00:00:00Z'), form: 'tagged' } as const
    expect((await db.query(TAGGED_SQL, [], how)).rows).toEqual([TAGGED_CELLS.map(([, cell]) => cell)])
    expect((await db.query(TAGGED_PARAMETERS_SQL, TAGGED_PARAMETERS, how)).rows).toEqual([[...TAGGED_PARAMETERS]])
  })

  test('a value is never SQL', async () => {
    const { rows } = await db.query('SELECT COUNT(*) FROM transactions WHERE user_id = $1', ["a' OR '1'='1"], at('2027-01-01T00:00:00Z'))
    expect(rows).toEqual([[0]])
  })

  test('a table without a time is served, and refused for the past', async () => {
    expect(await db.query('SELECT COUNT(*) FROM strangers', [], at('2027-01-01T00:00:00Z', 'present'))).toMatchObject({ rows: [[0]] })
    await expect(db.query('SELECT COUNT(*) FROM strangers', [], at('2027-01-01T00:00:00Z'))).rejects.toMatchObject({
      code: 'feature_failed',
    })
  })

  test('writes nothing, and says what is wrong', async () => {
    for (const sql of [
      'DELETE FROM transactions',
      'SELECT 1; SELECT 2',
      'SELECT random()',
      'SELECT * FROM nowhere',
      'SELEC 1',
      'SELECT nothing FROM transactions',
    ]) {
      await expect(db.query(sql, [], at('2027-01-01T00:00:00Z'))).rejects.toMatchObject({ code: 'feature_failed' })
    }
  })

  test('texts and times compare as their columns do', async () => {
    const sql = 'SELECT COUNT(*) FROM transactions WHERE created_at > $1'
    expect(await db.query(sql, ['2026-01-10T12:00:00Z'], at('2027-01-01T00:00:00Z'))).toMatchObject({ rows: [[1]] })
    expect(await db.query(sql, [new Date('2026-01-10T12:00:00Z')], at('2027-01-01T00:00:00Z'))).toMatchObject({ rows: [[1]] })
    expect(await db.query('SELECT COUNT(*) FROM transactions WHERE n = $1', ['1'], at('2027-01-01T00:00:00Z'))).toMatchObject({
      rows: [[1]],
    })
  })
})
