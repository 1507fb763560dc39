/** What files hold that an engine would change without a word: wide decimals, ids that became floats, long numbers, names that differ in case. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { KeyType, Source } from '../../src/definition/model.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import type { SourceEngine } from '../../src/store/ports/source-engine.ts'
import { soon } from '../conformance/source-store-suite.ts'
import { emptied } from '../support/emptied.ts'
import { source } from '../support/stored-definitions.ts'

const FIXTURES = join(import.meta.dir, '../fixtures/exact')

let dir: string
let database: Database
let store: SourceEngine
beforeAll(async () => {
  database = await openDatabase({ file: ':memory:' })
  store = createDuckdbSourceEngine(database)
})
beforeEach(async () => {
  await emptied(database)
  dir = await mkdtemp(join(tmpdir(), 'fabra-test-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))
afterAll(() => store.close())

async function load(file: string, keyTypes: Record<string, KeyType> = {}, facts: Partial<Source> = {}) {
  return (await store.load([{ source: source('events', { file, ...facts }), keyTypes }]))[0]
}
async function loadText(name: string, text: string, keyTypes: Record<string, KeyType> = {}, facts: Partial<Source> = {}) {
  await writeFile(join(dir, name), text)
  return load(join(dir, name), keyTypes, facts)
}
async function loadSql(select: string, keyTypes: Record<string, KeyType> = {}, facts: Partial<Source> = {}) {
  const engine = await DuckDBInstance.create(':memory:')
  const connection = await engine.connect()
  await connection.run(`COPY (${select}) TO '${join(dir, 'e.parquet')}'`)
  engine.closeSync()
  return load(join(dir, 'e.parquet'), keyTypes, facts)
}
const rows = async (text = 'SELECT * FROM events') => (await store.query(text, [], soon())).rows

describe('a Parquet file of pyarrow', () => {
  test.each([
    ['decimal40.parquet', 'column "amount" is a decimal of 40 digits'],
    ['decimal75.parquet', 'column "amount" is a decimal of 75 digits'],
    ['decimal-list.parquet', 'column "amounts" (in list.element) is a decimal of 40 digits'],
    ['decimal-struct.parquet', 'column "order" (in total) is a decimal of 39 digits'],
    ['names.parquet', 'two columns are called "amount" and "Amount", which are one name'],
    ['nested-names.parquet', 'two fields of column "m" are called "a" and "A", which are one name'],
  ])('%s is refused by name', async (file, says) => {
    const problem = await load(join(FIXTURES, file))
    expect(problem?.message).toContain(says)
    expect(problem?.message).toContain(file)
    expect(rows()).rejects.toThrow()
  })

  test('decimals of 38 digits and unsigned whole numbers have all their digits', async () => {
    expect(await load(join(FIXTURES, 'wide.parquet'))).toBeUndefined()
    expect(await rows('SELECT CAST(amount AS VARCHAR), big FROM events ORDER BY 1')).toEqual([
      ['-0.01', 18446744073709551614n],
      ['123456789012345678901234567890123456.78', 18446744073709551615n],
    ])
  })
})

describe('ids that became floats', () => {
  test('in pandas are whole ids again, which is told once', async () => {
    const note = await load(join(FIXTURES, 'float-ids.parquet'), { user_id: 'string' })
    expect(note).toMatchObject({ source: 'events', isNote: true })
    expect(note?.message).toContain('Column "user_id" is a key, and the file has its values as floats: 1.0 is read as the id 1.')
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual(['1', '2', '9007199254740991'])
    expect(await load(join(FIXTURES, 'float-ids.parquet'), { user_id: 'int' })).toMatchObject({ isNote: true })
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual([1, 2, 9007199254740991])
  })

  test.each<KeyType>(['string', 'int'])('are refused where one is missing (%s)', async (type) => {
    const problem = await load(join(FIXTURES, 'missing-id.parquet'), { user_id: type })
    expect(problem?.isNote).toBeUndefined()
    expect(problem?.message).toContain('missing-id.parquet, row 3: column "user_id" is empty.')
    expect(problem?.hint).toContain('df["user_id"] = df["user_id"].astype("Int64")')
  })

  test('are not looked for where a missing id says nothing of the others', async () => {
    expect(await load(join(FIXTURES, 'nullable-ids.parquet'), { user_id: 'string' })).toBeUndefined()
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual(['1', '2', null])
  })

  test.each([
    ["'nan'::DOUBLE", '"nan" is not a whole number'],
    ["'-inf'::DOUBLE", '"-inf" is not a whole number'],
    ['2.5::DOUBLE', '"2.5" is not a whole number'],
    ['9007199254740992::DOUBLE', 'is not a whole number'],
    ['16777216::FLOAT', 'is not a whole number'],
    ['NULL::DOUBLE', 'is empty'],
  ])('%s is refused by its row', async (id, says) => {
    const type = id.endsWith('FLOAT') ? 'FLOAT' : 'DOUBLE'
    const problem = await loadSql(`SELECT 1::${type} AS user_id UNION ALL SELECT ${id}`, { user_id: 'string' })
    expect(problem?.message).toMatch(/row 2: column "user_id"/)
    expect(problem?.message).toContain(says)
  })

  test('as decimals with a point are whole ids, and others are not', async () => {
    expect(await loadSql('SELECT 12.00::DECIMAL(30, 2) AS user_id', { user_id: 'string' })).toBeUndefined()
    expect(await rows()).toEqual([['12']])
    expect((await loadSql('SELECT 12.50::DECIMAL(30, 2) AS user_id', { user_id: 'string' }))?.message).toContain(
      'row 1: column "user_id": "12.50" is not a whole number',
    )
  })

  test('in JSON lines and in CSV are whole ids too, and texts stay texts', async () => {
    const keys = { user_id: 'string' } as const
    expect(await loadText('e.jsonl', '{"user_id":1.0}\n{"user_id":2.0}\n', keys)).toMatchObject({ isNote: true })
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual(['1', '2'])
    expect((await loadText('e.jsonl', '{"user_id":1.0}\n{"user_id":2.5}\n', keys))?.message).toContain(
      'row 2: column "user_id": "2.5" is not',
    )
    expect((await loadText('e.jsonl', '{"user_id":1.0}\n{"user_id":null}\n', keys))?.message).toContain('row 2: column "user_id" is empty.')
    expect(await loadText('e.jsonl', '{"user_id":"1.0"}\n{"user_id":"a\\"b"}\n{"user_id":null}\n', keys)).toBeUndefined()
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual(['1.0', 'a"b', null])
    expect(await loadText('e.jsonl', '{"user_id":123456789012345678901234567890}\n', keys)).toMatchObject({ isNote: true })
    expect(await rows()).toEqual([['123456789012345678901234567890']])
    expect(await loadText('e.csv', 'user_id,v\n1.0,1\n2.0,2\n', keys)).toMatchObject({ isNote: true })
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual(['1', '2'])
    expect((await loadText('e.csv', 'user_id,v\n1.0,1\n,2\n', keys))?.message).toContain('line 3: column "user_id" is empty.')
    expect(await loadText('e.csv', 'user_id,v\n1.0,1\n1.1,2\n', keys)).toBeUndefined()
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual(['1.0', '1.1'])
    expect(await loadText('e.csv', 'user_id,v\n1.0,1\n2.0,2\n', { user_id: 'int' })).toMatchObject({ isNote: true })
    expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual([1, 2])
  })
})

test('several files as one source keep to the same, each by its own name', async () => {
  const write = (name: string, text: string) => writeFile(join(dir, name), text)
  const parts = join(dir, 'part-*.jsonl')
  await write('part-1.jsonl', '{"user_id":1.0,"v":18446744073709551615}\n')
  await write('part-2.jsonl', '{"user_id":2.0,"v":1}\n')
  const found = await store.load([{ source: source('events', { file: parts }), keyTypes: { user_id: 'string' } }])
  expect(found).toHaveLength(1)
  expect(found[0]).toMatchObject({ isNote: true })
  expect(await rows('SELECT user_id, v FROM events ORDER BY 1')).toEqual([
    ['1', 18446744073709551615n],
    ['2', 1],
  ])
  await write('part-2.jsonl', '{"user_id":2.0,"v":1}\n{"user_id":2.5,"v":1}\n')
  expect((await load(parts, { user_id: 'string' }))?.message).toContain(
    'part-2.jsonl, row 2: column "user_id": "2.5" is not a whole number',
  )
  await write('part-2.jsonl', '{"user_id":2.0,"v":1e400}\n')
  expect((await load(parts, { user_id: 'string' }))?.message).toContain('part-2.jsonl, row 1: column "v": 1e400 is larger')
  await write('part-2.jsonl', '{"user_id":2.0,"V":1}\n{"user_id":2.0,"v":1}\n')
  expect((await load(parts, { user_id: 'string' }))?.message).toContain('part-2.jsonl, row 2: two columns are called "V" and "v"')
  await write('part-2.jsonl', '{"user_id":2.0,"v":0.5}\n')
  expect((await load(parts, { user_id: 'string' }))?.message).toContain('18446744073709551615')
  await Bun.write(join(dir, 'ids.csv.gz'), Bun.gzipSync(Buffer.from('user_id,v\n1.0,1\n2.0,2\n')))
  expect(await load(join(dir, 'ids.csv.gz'), { user_id: 'int' })).toMatchObject({ isNote: true })
  expect((await rows('SELECT user_id FROM events ORDER BY 1')).flat()).toEqual([1, 2])
})

describe('numbers in JSON lines', () => {
  test('that no 64 bits hold stay whole', async () => {
    const text =
      '{"a":18446744073709551615,"b":123456789012345678901234567890,"c":-170141183460469231731687303715884105727}\n{"a":1,"b":null}\n'
    expect(await loadText('e.jsonl', text)).toBeUndefined()
    expect(await rows('SELECT a, b, c FROM events ORDER BY a DESC')).toEqual([
      [18446744073709551615n, 123456789012345678901234567890n, -170141183460469231731687303715884105727n],
      [1, null, null],
    ])
  })

  test('that would be rounded are refused with their row and column', async () => {
    const refused = async (text: string, facts: Partial<Source> = {}) => (await loadText('e.jsonl', text, {}, facts))?.message ?? ''
    expect(await refused('{"v":0.5}\n{"v":9007199254740993}\n')).toContain('row 2: column "v": 9007199254740993 would be rounded')
    expect(await refused('{"v":1}\n{"v":1e400}\n')).toContain('row 2: column "v": 1e400 is larger than any number can be')
    expect(await refused(`{"v":${'9'.repeat(45)}}\n`)).toContain('row 1: column "v"')
    expect(await refused('{"v":{"a":[1.5]}}\n{"v":{"a":[1.5,9007199254740993]}}\n')).toContain('row 2: column "v.a[1]": 9007199254740993')
    expect(await refused('{"v":[2.5]}\n{"v":[-1e999]}\n')).toContain('row 2: column "v[0]"')
    expect(await refused('{"v":0.5}\n{"v":9007199254740993}\n', { columns: { v: 'DOUBLE' } })).toBe('')
    expect(await refused('{"v":0.5}\n{"v":9007199254740993}\n', { columns: { v: 'VARCHAR' } })).toBe('')
    expect((await rows('SELECT v FROM events ORDER BY 1')).flat()).toEqual(['0.5', '9007199254740993'])
  })

  test('that floats hold are floats, and whole numbers beside fractions in one structure keep their own type', async () => {
    expect(await loadText('e.jsonl', '{"v":0.5,"s":{"id":9007199254740993,"x":0.25}}\n{"v":1e20,"s":{"id":1,"x":null}}\n')).toBeUndefined()
    expect(await rows('SELECT v, s.id, s.x FROM events ORDER BY v')).toEqual([
      [0.5, 9007199254740993n, 0.25],
      [1e20, 1, null],
    ])
  })

  test('of a later row decide the type too', async () => {
    const lines = Array.from({ length: 25_000 }, (_, i) => `{"v":${i}}\n`).join('')
    expect(await loadText('e.jsonl', `${lines}{"v":0.5}\n`)).toBeUndefined()
    expect(await rows('SELECT count(*) FROM events WHERE v = 0.5')).toEqual([[1]])
  })
})

test('numbers in CSV that no 64 bits hold keep all their digits, whatever stands beside them', async () => {
  const long = '9'.repeat(45)
  const text = `a,b,c,d,e\n18446744073709551615,9007199254740993,123456789012345678901234567890,${long},1\n18446744073709551614,0.5,1,2,-9223372036854775809\n`
  expect(await loadText('e.csv', text)).toBeUndefined()
  const columns = ['a', 'b', 'c', 'd', 'e'].map((name) => `CAST(${name} AS VARCHAR)`)
  expect(await rows(`SELECT ${columns.join(', ')} FROM events ORDER BY a DESC`)).toEqual([
    ['18446744073709551615', '9007199254740993.0', '123456789012345678901234567890', long, '1'],
    ['18446744073709551614', '0.5', '1', '2', '-9223372036854775809'],
  ])
  expect(await rows('SELECT typeof(a), typeof(b), typeof(d), typeof(e) FROM events LIMIT 1')).toEqual([
    ['HUGEINT', 'DECIMAL(38,1)', 'VARCHAR', 'HUGEINT'],
  ])
})

describe('a column that is to be whole numbers', () => {
  test.each([
    ['e.csv', 'v\n1.0\n-3\n1.5\n', 'line 4: column "v": "1.5" is not BIGINT.'],
    ['e.jsonl', '{"v":1.0}\n{"v":null}\n{"v":"2"}\n{"v":1.5}\n', 'row 4: column "v": "1.5" is not BIGINT.'],
  ])('holds no rounded fractions of %s', async (name, text, says) => {
    const facts = { columns: { v: 'BIGINT' } }
    expect((await loadText(name, text, {}, facts))?.message).toContain(says)
    expect(await loadText(name, text.replaceAll('1.5', '9007199254740993'), {}, facts)).toBeUndefined()
    expect(await rows('SELECT v FROM events WHERE v > 5')).toEqual([[9007199254740993n]])
  })

  test('or of Parquet', async () => {
    const ofFloats = await loadSql('SELECT 1.5::DOUBLE AS v', {}, { columns: { v: 'INTEGER' } })
    expect(ofFloats?.message).toContain('row 1: column "v": "1.5" is not INTEGER.')
    expect(await loadSql('SELECT 2::DOUBLE AS v', {}, { columns: { v: 'INTEGER' } })).toBeUndefined()
  })
})

test('a row of JSON with hundreds of columns is a row', async () => {
  const row = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`c${i}`, i + 0.5]))
  expect(await loadText('e.jsonl', `${JSON.stringify(row)}\n${JSON.stringify({ ...row, c299: 9 })}\n`)).toBeUndefined()
  expect(await rows('SELECT c7, c299 FROM events ORDER BY c299')).toEqual([
    [7.5, 9],
    [7.5, 299.5],
  ])
})

describe('keys of JSON that are one name', () => {
  test.each([
    ['in two rows', '{"amount":1}\n{"Amount":2}\n', 'row 2: two columns are called "amount" and "Amount", which are one name.'],
    ['in one row', '{"amount":1,"AMOUNT":2}\n', 'row 1: two columns are called'],
    ['beside a third', '{"x_1":1,"X":2}\n{"x":3}\n', 'row 2: two columns are called "X" and "x", which are one name.'],
    [
      'inside of an object',
      '{"m":{"a":1}}\n{"m":{"A":2}}\n',
      'row 2: an object has a key "A" beside one that differs from it only in case',
    ],
    ['inside of a list', '{"m":[{"a":1,"A":2}]}\n', 'row 1: an object has a key "A"'],
    ['the same twice', '{"amount":1,"amount":2}\n', 'line 1: the key "amount" is there twice.'],
  ])('%s are refused', async (_where, text, says) => {
    const problem = await loadText('e.jsonl', text)
    expect(problem?.message).toContain(says)
    expect(problem?.message).toContain('e.jsonl')
  })

  test('and names that only look so are not', async () => {
    expect(await loadText('e.jsonl', '{"amount":1,"amount_1":2}\n{"amount":3}\n')).toBeUndefined()
    expect(await rows('SELECT amount, amount_1 FROM events ORDER BY 1')).toEqual([
      [1, 2],
      [3, null],
    ])
  })
})
