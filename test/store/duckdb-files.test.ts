import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { KeyType, Source } from '../../src/definition/model.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { type SourceEngine, SqlDecimal, SqlTimestamp } from '../../src/store/ports/source-engine.ts'
import { soon } from '../conformance/source-store-suite.ts'
import { emptied } from '../support/emptied.ts'
import { source } from '../support/stored-definitions.ts'

const FLIGHTS = join(import.meta.dir, '../../node_modules/vega-datasets/data/flights-3m.parquet')

let dir: string
let database: Database
let store: SourceEngine
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fabra-test-'))
  database = await openDatabase({ file: join(folder, 'fabra.duckdb') })
  store = createDuckdbSourceEngine(database)
})
beforeEach(async () => {
  await emptied(database)
  dir = await mkdtemp(join(tmpdir(), 'fabra-test-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))
afterAll(async () => {
  await store.close()
  await rm(folder, { recursive: true, force: true })
})

async function load(name: string, facts: Partial<Source> = {}, keyTypes: Record<string, KeyType> = {}) {
  return (await store.load([{ source: source('events', { file: join(dir, name), ...facts }), keyTypes }]))[0]
}
async function loadText(name: string, text: string, facts: Partial<Source> = {}, keyTypes: Record<string, KeyType> = {}) {
  await writeFile(join(dir, name), text)
  return load(name, facts, keyTypes)
}
const rows = async (text = 'SELECT * FROM events') => (await store.query(text, [], soon())).rows
const at = (text: string) => new SqlTimestamp(Date.parse(text) * 1000)

describe('what a file holds is what the table holds', () => {
  test('ids keep their zeros, quotes and line breaks; times are instants', async () => {
    const text = '\uFEFFuser_id,amount,created_at\r\n007,1.5,2026-01-02T03:04:05Z\r\n"a,""b""\nc",,2026-01-02 04:04:05.5+01:00\r\n'
    expect(await loadText('e.csv', text, { timestamp: 'created_at' }, { user_id: 'string' })).toBeUndefined()
    expect(await rows('SELECT * FROM events ORDER BY created_at')).toEqual([
      ['007', 1.5, at('2026-01-02T03:04:05Z')],
      ['a,"b"\nc', null, at('2026-01-02T03:04:05.500Z')],
    ])
  })

  test.each([
    ['e.tsv', 'user_id\tcreated_at\n1\t2026-01-02\n'],
    ['e.csv', 'user_id;created_at\n1;2026-01-02\n'],
    ['e.jsonl', '{"user_id":1,"created_at":"2026-01-02"}\n'],
    ['e.json', '[{"user_id":"1","created_at":"2026-01-02T00:00:00Z"}]'],
  ])('%s is read by its kind', async (name, text) => {
    expect(await loadText(name, text, { timestamp: 'created_at' }, { user_id: 'string' })).toBeUndefined()
    expect(await rows()).toEqual([['1', at('2026-01-02T00:00:00Z')]])
  })

  test('keys have the type of their entity', async () => {
    const text = 'a,b,c\n+007,00007,A0EEBC999C0B4EF8BB6D6BB9BD380A11\n9223372036854775807,x,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12\n'
    expect(await loadText('e.csv', text, {}, { a: 'int', b: 'string', c: 'uuid' })).toBeUndefined()
    expect(await rows('SELECT a, b, c::VARCHAR FROM events ORDER BY a')).toEqual([
      [7, '00007', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      [9223372036854775807n, 'x', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'],
    ])
  })

  test('times without a zone are read in the source’s zone, times with one in their own', async () => {
    const text = 'created_at\n2026-07-02 12:00:00\n2026-07-02\n2026-07-02T12:00:00Z\n2026-07-02 12:00:00.5-03\n'
    expect(await loadText('e.csv', text, { timestamp: 'created_at', timezone: 'Europe/Berlin' })).toBeUndefined()
    expect((await rows()).flat()).toEqual(
      ['2026-07-01T22:00:00Z', '2026-07-02T10:00:00Z', '2026-07-02T12:00:00Z', '2026-07-02T15:00:00.500Z'].map(at),
    )
  })

  test('a file behind a symbolic link is read, and stays as it was', async () => {
    await mkdir(join(dir, 'elsewhere'))
    await writeFile(join(dir, 'elsewhere', 'real.csv'), 'a\n1\n')
    await symlink(join('elsewhere', 'real.csv'), join(dir, 'e.csv'))
    expect(await load('e.csv')).toBeUndefined()
    expect(await rows()).toEqual([[1]])
    expect(await readFile(join(dir, 'elsewhere', 'real.csv'), 'utf8')).toBe('a\n1\n')
  })

  test('once loaded, no file is left where SQL may read', async () => {
    expect(await loadText('e.csv', 'a\n1\n')).toBeUndefined()
    expect(await loadText('e.csv', 'a,b\n1\n')).toBeDefined()
    expect(await readdir(database.loadDir)).toEqual([])
    expect(store.query(`SELECT * FROM read_csv('${join(dir, 'e.csv')}')`, [], soon())).rejects.toThrow('disabled by configuration')
  })

  test('a Parquet file may have columns with the names that the engine gives', async () => {
    const made = join(database.loadDir, 'e.parquet')
    const instance = await DuckDBInstance.create(':memory:')
    const connection = await instance.connect()
    await connection.run(`COPY (SELECT 9 - i AS file_row_number, 'u' AS user_id FROM range(3) r(i)) TO '${made}' (FORMAT parquet)`)
    connection.closeSync()
    instance.closeSync()
    await rename(made, join(dir, 'e.parquet'))
    expect(await load('e.parquet', {}, { user_id: 'string' })).toBeUndefined()
    expect(await rows()).toEqual([
      [9, 'u'],
      [8, 'u'],
      [7, 'u'],
    ])
  })

  test('an end that never comes is no end', async () => {
    expect(await loadText('e.csv', 'id,valid_to\n1,infinity\n2,\n3,2026-01-02\n', { until: 'valid_to' })).toBeUndefined()
    expect(await rows('SELECT valid_to FROM events ORDER BY id')).toEqual([[null], [null], [at('2026-01-02T00:00:00Z')]])
    expect((await loadText('e.csv', 'id,t\n1,infinity\n', { timestamp: 't' }))?.message).toContain('"infinity" is not a time')
  })

  test('a column without a name is numbered, and names know no case', async () => {
    expect(await loadText('e.csv', ',User_ID\n0,007\n', {}, { user_id: 'string' })).toBeUndefined()
    expect(await rows('SELECT column0, user_id FROM events')).toEqual([[0, '007']])
    expect((await loadText('e.csv', 'id,ID\n1,2\n'))?.message).toContain('two columns are called "ID"')
  })

  test('columns overrides what a column seems to be', async () => {
    expect(await loadText('e.csv', 'zip,price\n01234,1.10\n', { columns: { zip: 'VARCHAR', price: 'DECIMAL(10,2)' } })).toBeUndefined()
    expect(await rows()).toEqual([['01234', new SqlDecimal('1.10')]])
  })

  test('a file with a header alone is an empty table', async () => {
    expect(await loadText('e.csv', 'user_id,created_at\n', { timestamp: 'created_at' }, { user_id: 'int' })).toBeUndefined()
    expect(await rows()).toEqual([])
    expect((await store.tables())[0]?.columns.map((column) => column.type)).toEqual(['BIGINT', 'TIMESTAMP WITH TIME ZONE'])
  })

  test('three million real flights', async () => {
    const flights = source('flights', { timestamp: 'date', file: FLIGHTS })
    expect(await store.load([{ source: flights, keyTypes: { origin: 'string' } }])).toEqual([])
    expect(await rows('SELECT COUNT(*), COUNT(DISTINCT origin), MIN(date) FROM flights')).toEqual([
      [3_000_000, 229, at('2001-01-01T00:01:00Z')],
    ])
  }, 180_000)
})

describe('a file is loaded again when it changes, and only then', () => {
  const TEXT = 'user_id\nu1\n'
  /** Marks the table, so that a reload shows. */
  const loadedAgain = async () => (await rows('SELECT loaded_at FROM fabra.source_files')).flat()[0]

  test('not when nothing changed, nor when only its date did', async () => {
    await loadText('e.csv', TEXT)
    const before = await rows("SELECT estimated_size, table_oid FROM duckdb_tables() WHERE table_name = 'events'")
    await load('e.csv')
    await utimes(join(dir, 'e.csv'), 1, 1)
    expect(await load('e.csv')).toBeUndefined()
    expect(await rows("SELECT estimated_size, table_oid FROM duckdb_tables() WHERE table_name = 'events'")).toEqual(before)
    expect(await loadedAgain()).toBeInstanceOf(SqlTimestamp)
  })

  test('when its content changed at equal size', async () => {
    await loadText('e.csv', TEXT)
    await loadText('e.csv', 'user_id\nu2\n')
    expect(await rows()).toEqual([['u2']])
  })

  test('statements prepared before see the new columns', async () => {
    const text = 'SELECT * FROM events WHERE CAST($1 AS VARCHAR) IS NOT NULL'
    const ask = async () => (await store.query(text, ['x'], soon())).rows
    await loadText('e.csv', 'user_id,n\nu1,1\n')
    // More often than there are connections, so that each of them has the statement.
    await Promise.all(Array.from({ length: 20 }, ask))
    await loadText('e.csv', 'n,user_id,x\n1.5,u1,true\n')
    for (let i = 0; i < 20; i++) expect(await ask()).toEqual([[1.5, 'u1', true]])
    await loadText('e.csv', 'user_id,n\n7,1\n')
    for (const rows of await Promise.all(Array.from({ length: 20 }, ask))) expect(rows).toEqual([[7, 1]])
  })

  test('when a key has another type', async () => {
    await loadText('e.csv', 'user_id\n007\n', {}, { user_id: 'string' })
    await load('e.csv', {}, { user_id: 'int' })
    expect(await rows()).toEqual([[7]])
  })

  test('a broken new version leaves the last good table', async () => {
    await loadText('e.csv', TEXT)
    expect((await loadText('e.csv', 'user_id\nu1,x\n'))?.message).toContain('line 2')
    expect(await rows()).toEqual([['u1']])
  })
})

describe('what is wrong with a file is told with its place', () => {
  test.each<[string, string, Partial<Source>, Record<string, KeyType>, string[]]>([
    ['too many fields', 'a,b\n1,2\n1,2,3\n', {}, {}, ['line 3', 'it has 3 values, the header names 2 columns', '1,2,3']],
    ['too few fields', 'a,b\n1,2\n\n1\n', {}, {}, ['line 4', 'it has 1 value, the header names 2 columns']],
    ['a quote that does not close', 'a,b\n1,2\n1,"2\n', {}, {}, ['line 3']],
    ['a time that is none', 'a,t\n"x\ny",2026-01-02\n2,soon\n', { timestamp: 't' }, {}, ['line 4', '"t"', '"soon" is not a time']],
    ['a row of several lines', 'a,t\n"x\n\ny",soon\n', { timestamp: 't' }, {}, ['line 2', '"soon" is not a time']],
    ['a key that does not convert', 'a,b\n1,2\n1.5,2\n', {}, { a: 'int' }, ['line 3', '"1.5" is not a 64-bit int']],
    ['a key beyond 64 bits', 'a\n9223372036854775808\n', {}, { a: 'int' }, ['line 2', '9223372036854775808']],
    ['a value that columns rules out', 'a,b\n1,2\n1,x\n', { columns: { b: 'INTEGER' } }, {}, ['line 3', '"x" is not INTEGER']],
    [
      'no timestamp column',
      'a,created\n1,2026-01-02\n',
      { timestamp: 'created_at' },
      {},
      ['no column "created_at"', 'Did you mean "created"?'],
    ],
    ['no id column', 'a\n1\n', { id: 'event_id' }, {}, ['no column "event_id" (id']],
    [
      'a column of columns that is not there',
      'amount\n1\n',
      { columns: { amuont: 'INT' } },
      {},
      ['no column "amuont"', 'Did you mean "amount"?'],
    ],
    ['a type that does not exist', 'a\n1\n', { columns: { a: 'MONEYS' } }, {}, ['MONEYS']],
    ['two columns of one name', 'a,a\n1,2\n', {}, {}, ['line 1', 'two columns are called "a"']],
    ['an empty file', '', {}, {}, ['is empty']],
    [
      'a zone that does not exist',
      't\n2026-01-02\n',
      { timestamp: 't', timezone: 'Europe/Atlantis' },
      {},
      ['"Europe/Atlantis" is not known'],
    ],
  ])('%s', async (_, text, facts, keyTypes, expected) => {
    const problem = await loadText('e.csv', text, facts, keyTypes)
    for (const part of expected) expect(`${problem?.message} ${problem?.hint}`).toContain(part)
    expect(await store.tables()).toEqual([])
  })

  test('a line that is no JSON', async () => {
    expect((await loadText('e.jsonl', '{"a":1}\n{"a":\n'))?.message).toContain('line')
  })

  test('a file that is not there, with a likely name', async () => {
    await writeFile(join(dir, 'transactions.csv'), 'a\n1\n')
    const problem = await load('transaction.csv')
    expect(problem?.message).toContain(join(dir, 'transaction.csv'))
    expect(problem?.hint).toContain('Did you mean "transactions.csv"?')
  })

  test('a file of a kind that is not read, a folder, a Parquet file that is none', async () => {
    expect((await loadText('e.xlsx', 'x'))?.hint).toContain('.parquet')
    expect((await load('.'))?.message).toContain('not a file')
    expect((await loadText('e.parquet', 'a,b\n1,2\n'))?.message).toContain('e.parquet cannot be read')
  })

  test('a timestamp column that is a number', async () => {
    const [problem] = await store.load([{ source: source('flights', { timestamp: 'delay', file: FLIGHTS }), keyTypes: {} }])
    expect(problem?.message).toContain('"delay" (timestamp of the source) is BIGINT, not a time')
  })
})

describe('a source without a file', () => {
  test('is made from its columns once, and kept', async () => {
    const events = source('events', { timestamp: 'created_at', columns: { user_id: 'VARCHAR', created_at: 'TIMESTAMP' } })
    expect(await store.load([{ source: events, keyTypes: {} }])).toEqual([])
    expect(await store.load([{ source: events, keyTypes: {} }])).toEqual([])
    expect((await store.tables())[0]?.columns.map((column) => column.type)).toEqual(['VARCHAR', 'TIMESTAMP WITH TIME ZONE'])
  })

  test('and without columns must exist', async () => {
    await loadText('e.csv', 'a\n1\n')
    const [problem] = await store.load([{ source: source('event'), keyTypes: {} }])
    expect(problem?.message).toBe('There is no table "event".')
    expect(problem?.hint).toContain('Did you mean "events"?')
  })
})
