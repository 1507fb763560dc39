/** Values of PostgreSQL, and what is asked of it through `db`. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { FabraError } from '../../src/errors.ts'
import { type Defined, registryOf, type WrittenFeature } from '../support/compute-bench.ts'
import { openPostgresBench, type PostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { TAGGED_CELLS, TAGGED_PARAMETERS, TAGGED_PARAMETERS_SQL, TAGGED_SQL } from '../support/tagged-cells.ts'

/** An SQL expression, the type it is declared (null: inferred), and the JSON text or the error it gives: as on DuckDB, where that has its like. */
const values: [expression: string, type: WrittenFeature['type'] | null, answer: string][] = [
  ['0::smallint', 'int', '=0'],
  ['(-128)::smallint', null, '=-128'],
  ['9223372036854775807', 'int', '=9223372036854775807'],
  ['(-9223372036854775808)::bigint', null, '=-9223372036854775808'],
  ['9007199254740993', null, '=9007199254740993'],
  ['9223372036854775808', 'int', 'wrong_type'],
  ['170141183460469231731687303715884105727', 'json', '=170141183460469231731687303715884105727'],
  ['(SELECT SUM(x) FROM (VALUES (9223372036854775807), (-1)) t(x))', 'int', '=9223372036854775806'],
  ['(SELECT SUM(x) FROM (VALUES (9223372036854775807), (1)) t(x))', 'int', 'wrong_type'],
  ['12.00::numeric(10,2)', 'int', '=12'],
  ['12.50::numeric(10,2)', 'int', 'wrong_type'],
  ['12.50::numeric(10,2)', null, '=12.5'],
  ['-0.05::numeric', 'float', '=-0.05'],
  ['0.00::numeric', 'float', '=0'],
  ['12345678901234567890.123456789012345678', 'float', '=12345678901234567890.123456789012345678'],
  ['(SELECT AVG(x) FROM (VALUES (1), (2)) t(x))', 'float', '=1.5'],
  ['0.1::float8 + 0.2::float8', 'float', '=0.30000000000000004'],
  ['1.7976931348623157e308::float8', null, '=1.7976931348623157e+308'],
  ['5e-324::float8', 'float', '=5e-324'],
  ["'-0'::float8", null, '=-0'],
  ['0.1::real', null, '=0.10000000149011612'],
  ['9007199254740993', 'float', '=9007199254740993'],
  ["'NaN'::float8", null, 'wrong_type'],
  ["'Infinity'::float8", 'float', 'wrong_type'],
  ["'-Infinity'::real", 'json', 'wrong_type'],
  ["'NaN'::numeric", 'float', 'wrong_type'],
  ["'NaN'::numeric", 'int', 'wrong_type'],
  ["'Infinity'::numeric", null, 'wrong_type'],
  ["ARRAY[1.0, 'NaN'::float8]", 'list', 'wrong_type'],
  ["''::text", null, '=""'],
  ["E'it''s \"quoted\" \\\\ \\n\\t\\u2028'", 'string', '="it\'s \\"quoted\\" \\\\ \\n\\t\u2028"'],
  ["'日本 🦆'", 'string', '="日本 🦆"'],
  ["'ab '::char(5)", null, '="ab   "'],
  ["'x'::name", null, '="x"'],
  ["'Ab'::citext", null, '="Ab"'],
  ["'b ''c'::mood", null, '="b \'c"'],
  ["'bounded'::short", null, '="bounded"'],
  ["'6F1E1A5E-0000-4000-8000-000000000001'::uuid", null, '="6f1e1a5e-0000-4000-8000-000000000001"'],
  ["DATE '2024-02-29'", null, '="2024-02-29"'],
  ["TIME '23:59:59.999999'", null, '="23:59:59.999999"'],
  ["TIMETZ '12:00:00+02'", null, '="12:00:00+02"'],
  ['TRUE', null, '=true'],
  ['NULL::boolean', 'bool', '=null'],
  ["TIMESTAMPTZ '2026-01-02 03:04:05.123456+00'", null, '="2026-01-02T03:04:05.123456Z"'],
  ["TIMESTAMPTZ '2026-01-02 03:04:05+05:30'", 'timestamp', '="2026-01-01T21:34:05Z"'],
  ["TIMESTAMP '1969-12-31 23:59:59.999999'", 'timestamp', '="1969-12-31T23:59:59.999999Z"'],
  ["TIMESTAMP '1700-02-28 00:00:00.000001'", null, '="1700-02-28T00:00:00.000001Z"'],
  ["TIMESTAMP '2255-06-05 23:47:34.740991'", null, '="2255-06-05T23:47:34.740991Z"'],
  ["TIMESTAMPTZ 'infinity'", 'timestamp', 'wrong_type'],
  ["TIMESTAMPTZ '0001-01-01 00:00:00+00'", 'timestamp', 'wrong_type'],
  ["TIMESTAMPTZ '0044-03-15 00:00:00+00 BC'", 'timestamp', 'wrong_type'],
  ["TIMESTAMPTZ '20260-01-01 00:00:00+00'", null, 'wrong_type'],
  ['ARRAY[]::int[]', null, '=[]'],
  ['ARRAY[1, NULL, 3]', null, '=[1,null,3]'],
  ['ARRAY[9007199254740993, 1]', 'list', '=[9007199254740993,1]'],
  ['ARRAY[[1, 2], [3, 4]]', 'list', '=[[1,2],[3,4]]'],
  ["'[0:1]={7,8}'::int[]", null, '=[7,8]'],
  ["ARRAY['a,b', '\"q\" \\', 'NULL', NULL, '', '{}']", null, '=["a,b","\\"q\\" \\\\","NULL",null,"","{}"]'],
  ["ARRAY[TIMESTAMPTZ '1969-12-31 23:59:59.5+00', NULL]", null, '=["1969-12-31T23:59:59.500000Z",null]'],
  ["ARRAY['a)b', '(', 'x:y', 'ü🙂']", null, '=["a)b","(","x:y","ü🙂"]'],
  ["ROW(1, '{a} b', NULL, NULL)::part", null, '={"n":1,"select":"{a} b","gone":null,"list":null}'],
  ['ARRAY[1.50::numeric]', 'list', '=[1.5]'],
  ['ARRAY[TRUE, FALSE]', null, '=[true,false]'],
  ['ARRAY[\'{"a": 1}\'::jsonb]', 'list', '=["{\\"a\\": 1}"]'],
  ['ROW(1, \'a "b", (c)\', NULL, ARRAY[1.5, NULL])::part', null, '={"n":1,"select":"a \\"b\\", (c)","gone":null,"list":[1.5,null]}'],
  ["ARRAY[ROW(1, '', NULL, '{}')::part]", 'list', '=[{"n":1,"select":"","gone":null,"list":[]}]'],
  ['\'{"b": 1, "a": [1, 2.50, 12345678901234567890]}\'::json', null, '={"b":1,"a":[1,2.5,12345678901234567890]}'],
  ['\'{"b": 1, "a": 12345678901234567890}\'::jsonb', 'dict', '={"a":12345678901234567890,"b":1}'],
  ["'[1]'::jsonb", 'list', '=[1]'],
  ["'[1]'::jsonb", 'dict', 'wrong_type'],
  ["'3'::jsonb", 'int', '=3'],
  ["'null'::jsonb", 'json', '=null'],
  ["jsonb_build_object('__proto__', 1)", null, '={"__proto__":1}'],
  ['\'"a"=>"1", "q \\""=>NULL\'::hstore', null, '={"a":"1","q \\"":null}'],
  ['$user_id', null, '="a"'],
  ["repeat('x', 70000)", 'string', 'value_too_large'],
  ['1 / (1 - length($user_id))', 'int', 'feature_failed'],
]

/** JSON has nothing for these. */
const refused = [
  "INTERVAL '1 day'",
  "'\\x00'::bytea",
  "B'101'",
  "'1.2.3.4'::inet",
  "'(1,2)'::point",
  'ROW(1, 2)',
  'tstzrange(NULL, NULL)',
  "'<a/>'::xml",
]

let server: TestServer
let bench: PostgresBench
let set: Defined
beforeAll(async () => {
  server = await startPostgres()
  bench = await openPostgresBench(server, 'values')
  await bench.execute(`CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('a', 'b ''c'); CREATE DOMAIN short AS varchar(10);
    CREATE TYPE part AS (n int, "select" text, gone date, list numeric[]);
    CREATE TABLE docs (id bigint, doc jsonb, made timestamptz); INSERT INTO docs VALUES (1, '{"k": ["x"]}', '2026-01-01'), (2, '{"?": 1}', '2026-01-02')`)
  const features = values.map(([sql, type], i) => [`v${i}`, { sql: `SELECT ${sql} AS v`, ...(type === null ? {} : { type }) }] as const)
  set = await bench.define({ features: Object.fromEntries(features) })
}, 60_000)
afterAll(async () => {
  await bench.close()
  await server[Symbol.asyncDispose]()
})

test('all values are accepted', () => {
  expect(set.definitions.problems.map(({ subject, message }) => `${subject} ${message}`)).toEqual([])
})

test.each(values.map(([sql, type, answer], i) => ({ sql, type: type ?? 'inferred', answer, name: `v${i}` })))(
  '$sql as $type',
  async ({ answer, name }) => {
    const time = '2026-01-01T00:00:00Z'
    expect(await set.ask(name, [['a', time]])).toEqual([answer])
    const both = await set.ask(name, [
      ['a', time],
      ['a', time],
    ])
    expect(both).toEqual([answer, answer])
  },
)

test.each(refused)('%s has no form in JSON, and is refused with a way out', async (sql) => {
  const { definitions } = await bench.define({ features: { f: `SELECT ${sql} AS v` } })
  expect(definitions.problems.map(({ message }) => message)).toEqual([expect.stringContaining('which JSON has no form for')])
  expect(definitions.problems[0]?.hint).toContain('CAST(')
})

describe('db', () => {
  const at = () =>
    ({ asOf: Date.parse('2026-01-10') * 1000, mode: 'past', signal: new AbortController().signal, timeoutMs: 10_000 }) as const
  const dbOf = () =>
    createDb({ sourceEngine: bench.store, registry: registryOf({ sources: { docs: { timestamp: 'made' } }, features: {} }) })

  test.each<[string, unknown[], unknown]>([
    ['SELECT COUNT(*) FROM docs WHERE id = ?', [1], 1],
    ['SELECT COUNT(*) FROM docs WHERE id = %s', [2], 1],
    ['SELECT COUNT(*) FROM docs WHERE id = $1 OR id = $1 + 1', [1], 2],
    ["SELECT COUNT(*) FROM docs WHERE doc ? 'k'", [], 1],
    ["SELECT COUNT(*) FROM docs WHERE doc ? 'k' AND id = ?", [1], 1],
    ['SELECT COUNT(*) FROM docs WHERE doc ? $1', ['?'], 1],
    ["SELECT COUNT(*) FROM docs WHERE doc ?| ARRAY['k', '?'] AND id = ?", [2], 1],
    ['SELECT COUNT(*) FROM docs WHERE doc @> \'{"k": ["x"]}\'', [], 1],
    ['SELECT COUNT(*) FROM docs WHERE id = ANY ($1::bigint[])', [[1, 2, 3]], 2],
    ['SELECT $1::text[]', [['a,b', null, '"']], ['a,b', null, '"']],
    ['SELECT $1::jsonb', [{ a: [1] }], { a: [1] }],
    ['SELECT $1::timestamptz', [new Date(1)], '1970-01-01T00:00:00.001000Z'],
    ['SELECT $1::bigint', [9007199254740993n], 9007199254740993n],
    ['SELECT $1::float8', [0.1], 0.1],
    ['SELECT $1::boolean', [true], true],
    ['SELECT COALESCE($1, $2)', [null, 'x'], 'x'],
    ['SELECT SUM(x) FROM (VALUES (9007199254740993), (2)) t(x)', [], 9007199254740995n],
    ['SELECT SUM(x) FROM (VALUES (9007199254740993.00), (2)) t(x)', [], 9007199254740995n],
    ['SELECT (-9007199254740993)::numeric(20, 2)', [], -9007199254740993n],
    ['SELECT 12.00::numeric(5, 2)', [], 12],
    ['SELECT 0.1::numeric', [], 0.1],
    ['SELECT 1e30::numeric', [], 10n ** 30n],
    ['SELECT AVG(x) FROM (VALUES (1), (2), (2)) t(x)', [], 1.6666666666666667],
    ['SELECT ARRAY[9007199254740993::numeric, 1.5, NULL]', [], [9007199254740993n, 1.5, null]],
    ['SELECT ARRAY[9007199254740993::bigint]', [], [9007199254740993n]],
    ['SELECT jsonb_build_object($1::text, 9007199254740993)', ['a'], { a: 9007199254740993n }],
    ['SELECT json_agg(x) FROM (VALUES (9007199254740993::numeric)) t(x)', [], [9007199254740993n]],
    ['SELECT ARRAY[jsonb_build_array(9007199254740993)]', [], [[9007199254740993n]]],
    ['SELECT $1::jsonb', [{ a: 9007199254740993n }], { a: 9007199254740993n }],
  ])('%s', async (sql, parameters, wanted) => {
    expect((await dbOf().query(sql, parameters, at())).rows).toEqual([[wanted]])
  })

  test('gives functions of other languages every value exactly, and takes theirs', async () => {
    const how = { ...at(), form: 'tagged' } as const
    expect((await dbOf().query(TAGGED_SQL, [], how)).rows).toEqual([TAGGED_CELLS.map(([, cell]) => cell)])
    expect((await dbOf().query(TAGGED_PARAMETERS_SQL, TAGGED_PARAMETERS, how)).rows).toEqual([[...TAGGED_PARAMETERS]])
  })

  test('tells its author what is wrong', async () => {
    const failure = await dbOf()
      .query('SELECT nothing FROM docs', [], at())
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(FabraError)
    expect((failure as FabraError).message).toContain('column "nothing" does not exist')
  })
})
