/** What becomes of values on their way out of an engine, and of those asked of PostgreSQL through `db`. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDb } from '../../src/compute/sql/user-queries.ts'
import { FabraError } from '../../src/errors.ts'
import { type Defined, openComputeBench, registryOf, type SqlBench } from '../support/compute-bench.ts'
import { openPostgresBench } from '../support/postgres-bench.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { TAGGED_CELLS, TAGGED_PARAMETERS, TAGGED_PARAMETERS_SQL, TAGGED_SQL } from '../support/tagged-cells.ts'
import { duckdbValues, formless, postgresValues } from './value-cases.ts'

const TIME = '2026-01-01T00:00:00Z'

let server: TestServer
let postgres: SqlBench
beforeAll(async () => {
  server = await startPostgres()
  postgres = await openPostgresBench(server, 'values')
  await postgres.execute(`CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('a', 'b ''c'); CREATE DOMAIN short AS varchar(10);
    CREATE TYPE part AS (n int, "select" text, gone date, list numeric[]);
    CREATE TABLE docs (id bigint, doc jsonb, made timestamptz); INSERT INTO docs VALUES (1, '{"k": ["x"]}', '2026-01-01'), (2, '{"?": 1}', '2026-01-02')`)
}, 180_000)
afterAll(async () => {
  await postgres.close()
  await server[Symbol.asyncDispose]()
})

describe.each([
  { engine: 'DuckDB', cases: duckdbValues, open: () => openComputeBench() },
  { engine: 'PostgreSQL', cases: postgresValues, open: async (): Promise<SqlBench> => ({ ...postgres, close: async () => undefined }) },
])('a value of $engine is what SQL gave, to the last digit, or an error', ({ cases, open }) => {
  let bench: SqlBench
  let set: Defined
  beforeAll(async () => {
    bench = await open()
    const features = cases.map(([sql, type], i) => [`v${i}`, { sql: `SELECT ${sql} AS v`, ...(type === null ? {} : { type }) }] as const)
    set = await bench.define({ features: Object.fromEntries(features) })
  })
  afterAll(() => bench.close())

  test('all are accepted', () => {
    expect(set.definitions.problems.map(({ subject, message }) => `${subject} ${message}`)).toEqual([])
  })

  test.each(cases.map(([sql, type, answer], i) => ({ sql, type: type ?? 'inferred', answer, name: `v${i}` })))(
    '$sql as $type',
    async ({ answer, name }) => {
      expect(await set.ask(name, [['a', TIME]])).toEqual([answer])
      const both = await set.ask(name, [
        ['a', TIME],
        ['a', TIME],
      ])
      expect(both).toEqual([answer, answer])
    },
  )
})

test.each(formless)('%s has no form in JSON, and is refused with a way out', async (sql) => {
  const { definitions } = await postgres.define({ features: { f: `SELECT ${sql} AS v` } })
  expect(definitions.problems.map(({ message }) => message)).toEqual([expect.stringContaining('which JSON has no form for')])
  expect(definitions.problems[0]?.hint).toContain('CAST(')
})

describe('db on PostgreSQL', () => {
  const at = () =>
    ({ asOf: Date.parse('2026-01-10') * 1000, mode: 'past', signal: new AbortController().signal, timeoutMs: 10_000 }) as const
  const dbOf = () =>
    createDb({ sourceEngine: postgres.store, registry: registryOf({ sources: { docs: { timestamp: 'made' } }, features: {} }) })

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
