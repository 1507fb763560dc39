import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Database, openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { CONSISTENT } from '../../src/store/duckdb/sources/function-names.ts'
import { createFunctionLookup, VOLATILE, WITHIN_QUERY } from '../../src/store/duckdb/sources/functions.ts'
import { LIST_FUNCTIONS } from '../../src/store/duckdb/sql.ts'

let database: Database
beforeAll(async () => {
  database = await openDatabase({ file: ':memory:' })
})
afterAll(() => database.close())

const execute = (text: string) => database.loader.use(ownDeadline(), (session) => session.execute(text, ownDeadline()))

test('the functions that depend on more than their arguments are those of the engine at hand', async () => {
  const { rows } = await database.readers.use(ownDeadline(), (session) => session.read(LIST_FUNCTIONS, [], ownDeadline()))
  const named = (stability: string) => new Set(rows.filter((row) => row[2] === stability).map((row) => String(row[0]).toLowerCase()))
  expect(named('VOLATILE')).toEqual(new Set(VOLATILE))
  expect(named('CONSISTENT_WITHIN_QUERY')).toEqual(new Set(WITHIN_QUERY))
  const others = new Set(
    rows.filter((row) => row[2] === 'CONSISTENT' || String(row[1]) === 'macro').map((row) => String(row[0]).toLowerCase()),
  )
  expect([...CONSISTENT].filter((name) => !others.has(name))).toEqual([])
})

test('a function of the user’s own is told, whatever its name, its kind and its schema', async () => {
  await execute(`
    CREATE MACRO "ABS"(x) AS x;
    CREATE MACRO "it's ""mine"""() AS 1;
    CREATE MACRO count(x) AS x;
    CREATE MACRO now() AS 1;
    CREATE MACRO optional(x := 1) AS x;
    CREATE MACRO range(x) AS TABLE SELECT x;
    CREATE MACRO everything() AS TABLE SELECT 1;
    CREATE SCHEMA other;
    CREATE MACRO other.upper(x) AS x`)
  const lookup = createFunctionLookup(database)
  const own = ['abs', 'count', 'now', 'it\'s "mine"', 'optional', 'range', 'everything', 'upper']
  const found = await lookup([...own, 'lower', 'avg', 'sum', '+', '||', 'unnest', 'no_such_function', ''])
  expect(new Set(found.filter((one) => !one.builtIn).map((one) => one.name.toLowerCase()))).toEqual(new Set(own))
})

test('what the engine knows and what nobody knows is left out', async () => {
  const other = await openDatabase({ file: ':memory:' })
  const lookup = createFunctionLookup(other)
  expect(
    await lookup(['lower', 'count', 'count_star', 'avg', 'sum', '+', '||', 'unnest', 'read_csv', 'generate_series', 'no_such_function']),
  ).toEqual([])
  const looking = [
    'json_serialize_plan',
    'current_setting',
    'getvariable',
    'get_block_size',
    'current_user',
    '__internal_decompress_string',
  ]
  expect((await lookup(looking)).map((one) => [one.name, one.stability, one.builtIn])).toEqual(
    looking.map((name) => [name, 'unknown', true]),
  )
  expect((await lookup(['now', 'now', 'random'])).map((one) => one.stability)).toEqual(['within_query', 'volatile'])
  await other.close()
})
