import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { KeyType, Source } from '../../src/definition/model.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { createSourceFileReader } from '../../src/store/duckdb/sources/source-file-reader.ts'
import { foldersOf, listFiles } from '../../src/store/ports/source-file-list.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createSourceFiles } from '../../src/store/postgres/sources/source-files.ts'
import { loadTables } from '../../src/store/postgres/sources/source-tables.ts'
import { soon } from '../conformance/source-store-suite.ts'
import { emptied } from '../support/emptied.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { source } from '../support/stored-definitions.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

interface Engine {
  load(source: Source, keyTypes: Record<string, KeyType>): Promise<readonly { readonly message: string; readonly hint: string }[]>
  /** Everything as texts. */
  texts(query: string): Promise<(string | null)[][]>
  /** Nothing was ever loaded. */
  empty(): Promise<void>
  /** Where a database takes files from while it reads them; null: another has them. */
  readonly loadDir: string | null
  close(): Promise<void>
}

let server: TestServer
let postgres: Postgres
let dir: string
let loads = 0
beforeAll(async () => {
  server = await startPostgres()
  postgres = openPostgres({ url: server.url })
  await migrate(postgres)
})
afterAll(async () => {
  await postgres.close()
  await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fabra-test-'))
  loads = 0
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function onDuckdb(): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), 'fabra-test-'))
  const database = await openDatabase({ file: join(folder, 'fabra.duckdb') })
  const store = createDuckdbSourceEngine(database)
  return {
    empty: () => emptied(database),
    loadDir: database.loadDir,
    load: (one, keyTypes) => store.load([{ source: one, keyTypes }]),
    texts: async (query) =>
      (await store.query(query, [], soon())).rows.map((row) => row.map((value) => (value === null ? null : String(value)))),
    async close() {
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function onPostgres(): Promise<Engine> {
  const loadFile = createSourceFiles({ owner: postgres, reader: createSourceFileReader(), onLoaded: () => loads++ })
  return {
    load: (one, keyTypes) => loadTables({ owner: postgres, loadFile }, postgres, [{ source: one, keyTypes }]),
    empty: async () => {
      await postgres.run('DROP TABLE IF EXISTS events', [], soon())
      await postgres.run('TRUNCATE fabra.source_files, fabra.source_rows', [], soon())
    },
    texts: async (query) => (await postgres.run(query, [], soon())).rows.map((row) => [...row]),
    loadDir: null,
    close: async () => undefined,
  }
}

function write(files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  }
}

async function parquet(name: string, select: string): Promise<void> {
  mkdirSync(dirname(join(dir, name)), { recursive: true })
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${select}) TO '${join(dir, name)}' (FORMAT parquet)`)
  instance.closeSync()
}

const gz = (text: string) => Bun.gzipSync(Buffer.from(text))

describe.each(['DuckDB', 'PostgreSQL'])('on %s a source has the rows of', (name) => {
  let engine: Engine
  beforeAll(async () => {
    engine = name === 'DuckDB' ? await onDuckdb() : await onPostgres()
  })
  beforeEach(() => engine.empty())
  afterAll(() => engine.close())

  const path = (file: string | readonly string[]) => (typeof file === 'string' ? join(dir, file) : file.map((one) => join(dir, one)))
  const load = async (file: string | readonly string[], facts: Partial<Source> = {}, keyTypes: Record<string, KeyType> = {}) =>
    (await engine.load(source('events', { file: path(file), ...facts }), keyTypes))[0]
  const ids = async () => (await engine.texts('SELECT id FROM events ORDER BY id')).flat().join(' ')

  test('a folder with all below it, and nothing else that lies there', async () => {
    write({
      'data/a.csv': 'id,v\na1,1\n',
      'data/deep/er/b.csv': 'id,v\nb1,2\nb2,3\n',
      'data/README.md': '# no data',
      'data/_SUCCESS': '',
      'data/_temporary/x.csv': 'broken',
      'data/.a.csv.swp': 'broken',
      'data/.hidden/x.csv': 'broken',
    })
    expect(await load('data')).toBeUndefined()
    expect(await ids()).toBe('a1 b1 b2')
    expect(await load('data/')).toBeUndefined()
    expect(await ids()).toBe('a1 b1 b2')
  })

  test.each<[string, string]>([
    ['data/*.csv', 'a1 b1'],
    ['data/**/*.csv', 'a1 b1 c1'],
    ['data/{a,b}.csv', 'a1 b1'],
    ['data/[a].csv', 'a1'],
    ['data/?.csv', 'a1 b1'],
    ['d*/sub/*.csv', 'c1'],
    ['*/*.csv', 'a1 b1'],
  ])('the pattern %s', async (pattern, expected) => {
    write({ 'data/a.csv': 'id\na1\n', 'data/b.csv': 'id\nb1\n', 'data/sub/c.csv': 'id\nc1\n', 'data/a.txt': 'id\nno\n' })
    expect(await load(pattern)).toBeUndefined()
    expect(await ids()).toBe(expected)
  })

  test('a list, each file once, some packed', async () => {
    write({
      'a.csv': 'id,v\na1,1\n',
      'b.csv.gz': gz('id,v\nb1,2\n'),
      'c.csv.zst': Bun.zstdCompressSync(Buffer.from('id,v\nc1,3\n')),
      'more/d.csv': 'id,v\nd1,4\n',
    })
    expect(await load(['a.csv', 'a.csv', 'b.csv.gz', 'c.csv.zst', 'more'])).toBeUndefined()
    expect(await ids()).toBe('a1 b1 c1 d1')
  })

  test.each<[string, string | Uint8Array]>([
    ['e.csv.gz', gz('id,v\na1,1\r\n"a\n2",2\n')],
    ['e.CSV.GZ', Buffer.concat([gz('id,v\na1,1\n'), gz('"a\n2",2\n')])],
    ['e.jsonl.gz', gz('{"id":"a1","v":1}\n{"id":"a\\n2","v":2}\n')],
    ['e.tsv.zst', Bun.zstdCompressSync(Buffer.from('id\tv\na1\t1\n"a\n2"\t2\n'))],
  ])('one packed file, %s', async (file, bytes) => {
    write({ [file]: bytes })
    expect(await load(file)).toBeUndefined()
    expect(await engine.texts('SELECT id, CAST(v AS VARCHAR) FROM events ORDER BY v')).toEqual([
      ['a1', '1'],
      ['a\n2', '2'],
    ])
  })

  test('folders that stand for columns', async () => {
    write({
      'data/year=2026/month=01/a.csv': 'id,at\na1,2026-01-02\n',
      'data/year=2026/month=12/b.csv': 'id,at\nb1,2026-12-02\n',
      'data/year=2025/month=__HIVE_DEFAULT_PARTITION__/c.csv': 'id,at\nc1,2025-01-02\n',
      'data/year=2025/month=a%2Fb/d.csv': 'id,at\nd1,2025-01-02\n',
    })
    const read = () =>
      engine
        .texts(`SELECT id, year, month FROM events ORDER BY id`)
        .then((rows) => rows.map((row) => row.map((one) => (one === null ? null : String(one)))))
    for (const file of ['data', 'data/**/*.csv', 'data/*/*/*.csv']) {
      expect(await load(file, { timestamp: 'at' })).toBeUndefined()
      expect(await read()).toEqual([
        ['a1', '2026', '01'],
        ['b1', '2026', '12'],
        ['c1', '2025', null],
        ['d1', '2025', 'a/b'],
      ])
    }
    expect(await engine.texts('SELECT SUM(year) + 1 FROM events')).toEqual([['8103']])
    expect(await load('data/year=2026', { columns: { month: 'INTEGER', year: 'VARCHAR' } })).toBeUndefined()
    expect(await read()).toEqual([
      ['a1', '2026', '1'],
      ['b1', '2026', '12'],
    ])
    expect((await load('data', { columns: { month: 'INTEGER' } }))?.message).toContain('d.csv')
  })

  test('Parquet in folders, with a key and a day that folders stand for', async () => {
    await parquet('data/user_id=007/day=2026-01-02/a.parquet', "SELECT 'a1' AS id, 1::TINYINT AS v, 1.5::DECIMAL(4,1) AS d")
    await parquet('data/user_id=8/day=2026-01-03/b.parquet', "SELECT 'b1' AS id, 5000000000 AS v, 2.25::DECIMAL(9,2) AS d")
    expect(await load('data', { timestamp: 'day' }, { user_id: 'string' })).toBeUndefined()
    expect(await engine.texts('SELECT id, v, CAST(d AS VARCHAR), user_id, CAST(day AS VARCHAR) FROM events ORDER BY id')).toEqual(
      (name === 'DuckDB' ? ['2026-01-02 00:00:00+00', '2026-01-03 00:00:00+00'] : ['2026-01-02 00:00:00+00', '2026-01-03 00:00:00+00']).map(
        (day, i) => (i === 0 ? ['a1', '1', '1.50', '007', day] : ['b1', '5000000000', '2.25', '8', day]),
      ),
    )
  })

  test('files whose columns came later or stand otherwise, with one type for all', async () => {
    write({
      'data/1.csv': 'id,v,zip\na1,1,12134\n',
      'data/2.csv': 'zip;ID;v\n00501;b1;2.5\n',
      'data/3.csv': 'id,new\nc1,x\n',
    })
    expect(await load('data', {}, { id: 'string' })).toBeUndefined()
    expect(await engine.texts('SELECT id, CAST(v AS VARCHAR), zip, new FROM events ORDER BY id')).toEqual([
      ['a1', name === 'DuckDB' ? '1.0' : '1', '12134', null],
      ['b1', '2.5', '00501', null],
      ['c1', null, null, 'x'],
    ])
  })

  test('files as they are now: new ones, changed ones, without those that are gone', async () => {
    write({ 'data/a.csv': 'id\na1\n' })
    await load('data')
    write({ 'data/deep/b.csv': 'id\nb1\n' })
    expect(await load('data')).toBeUndefined()
    expect(await ids()).toBe('a1 b1')
    write({ 'data/a.csv': 'id\na2\n' })
    expect(await load('data')).toBeUndefined()
    expect(await ids()).toBe('a2 b1')
    renameSync(join(dir, 'data/deep/b.csv'), join(dir, 'data/.b.csv'))
    expect(await load('data')).toBeUndefined()
    expect(await ids()).toBe('a2')
    const before = loads
    utimesSync(join(dir, 'data/a.csv'), 1, 1)
    expect(await load('data')).toBeUndefined()
    expect(loads).toBe(before)
  })

  test('links to files, and no folder twice', async () => {
    write({ 'elsewhere/real.csv': 'id\nr1\n' })
    mkdirSync(join(dir, 'data'))
    symlinkSync(join(dir, 'elsewhere/real.csv'), join(dir, 'data/link.csv'))
    symlinkSync(join(dir, 'data'), join(dir, 'data/again'))
    expect(await load('data')).toBeUndefined()
    expect(await ids()).toBe('r1')
  })

  test('a file whose name looks like a pattern', async () => {
    write({ 'data/[a]*.csv': 'id\nx1\n', 'data/a.csv': 'id\na1\n' })
    expect(await load('data/[a]*.csv')).toBeUndefined()
    expect(await ids()).toBe('x1')
  })

  test.each<
    [what: string, files: Readonly<Record<string, string | Uint8Array>>, file: string | readonly string[], words: readonly string[]]
  >([
    ['a folder without data', { 'data/README.md': '' }, 'data', ['not a file', '.parquet']],
    ['a pattern that fits nothing', { 'data/a.csv': 'id\n1\n' }, 'data/*.parquet', ['No file is there for', 'data/*.parquet']],
    ['a pattern in a folder that is not there', {}, 'nowhere/*.csv', ['No file is there for']],
    ['one of a list that is not there', { 'a.csv': 'id\n1\n' }, ['a.csv', 'b.csv'], ['b.csv does not exist']],
    ['files of two kinds', { 'data/a.csv': 'id\n1\n', 'data/b.jsonl': '{"id":1}\n' }, 'data', ['b.jsonl', 'a.csv', 'different kinds']],
    ['a kind that is not read', { 'data/a.xlsx': 'x' }, 'data/*', ['a.xlsx', '".xlsx" cannot be read']],
    [
      'a broken row in one of them',
      { 'data/a.csv': 'id,v\n1,2\n', 'data/b.csv': 'id,v\n1,2\n\n3\n' },
      'data',
      ['b.csv, line 4', 'it has 1 value'],
    ],
    [
      'a time that is none',
      { 'data/a.csv': 'id,at\n1,2026-01-02\n', 'data/b.csv': 'id,at\n1,soon\n' },
      'data',
      ['b.csv, line 2', '"soon"'],
    ],
    [
      'a day or a month',
      { 'data/a.csv': 'id,at\n1,2026-01-02\n', 'data/b.csv': 'id,at\n1,01/02/2026\n' },
      'data',
      ['b.csv, line 2', 'two ways'],
    ],
    ['no time in one', { 'data/a.csv': 'id,at\n1,2026-01-02\n', 'data/b.csv': 'id\n1\n' }, 'data', ['b.csv has no column "at" (timestamp']],
    ['an empty one', { 'data/a.csv': 'id,at\n1,2026-01-02\n', 'data/b.csv': '' }, 'data', ['b.csv is empty']],
    [
      'a packed file that is cut short',
      { 'a.csv.gz': gz('id,at\n1,2026-01-02\n').slice(0, 20) },
      'a.csv.gz',
      ['a.csv.gz cannot be unpacked', 'cut short'],
    ],
    ['a packed file that is none', { 'a.csv.gz': 'id,at\n1,2026-01-02\n' }, 'a.csv.gz', ['a.csv.gz cannot be unpacked', 'gzip']],
  ])('no %s, which is told by name', async (_, files, file, words) => {
    write(files)
    const timed = JSON.stringify(files).includes('at\\n')
    const problem = await load(file, timed ? { timestamp: 'at' } : {})
    for (const part of words) expect(`${problem?.message} ${problem?.hint}`).toContain(part)
    if (engine.loadDir !== null) expect(readdirSync(engine.loadDir)).toEqual([])
  })

  test('Parquet files that do not agree, or only seem to', async () => {
    await parquet('data/a.parquet', "SELECT 'a1' AS id, 1::BIGINT AS v")
    await parquet('data/b.parquet', "SELECT 'b1' AS id, 2.5::DOUBLE AS v")
    expect(await load('data')).toBeUndefined()
    await parquet('data/a.parquet', "SELECT 'a1' AS id, 9007199254740993 AS v")
    const problem = await load('data')
    expect(problem?.message).toContain('9007199254740993')
    await parquet('data/b.parquet', "SELECT 'b1' AS id, 'x' AS v")
    const other = await load('data')
    expect(other?.message).toMatch(/Column "v" is BIGINT in .*a\.parquet and VARCHAR in .*b\.parquet/)
    expect(await load('data', { columns: { v: 'VARCHAR' } })).toBeUndefined()
    expect(await engine.texts('SELECT v FROM events ORDER BY id')).toEqual([['9007199254740993'], ['x']])
  })

  test('hundreds of files', async () => {
    for (let i = 0; i < 200; i++) write({ [`data/part=${i % 10}/${i}.csv`]: `id,v\nu${i},${i}\n` })
    expect(await load('data')).toBeUndefined()
    expect(await engine.texts('SELECT COUNT(*), SUM(v), COUNT(DISTINCT part), MAX(part) FROM events')).toEqual([
      ['200', '19900', '10', '9'],
    ])
  }, 120_000)
})

describe('the files that a source names', () => {
  test('come in one order, with names that are the same on every machine', () => {
    write({ 'data/b.csv': '', 'data/a/z.csv': '', 'data/a.csv': '' })
    expect(listFiles(join(dir, 'data')).files.map(({ name }) => name)).toEqual(['a.csv', 'a/z.csv', 'b.csv'])
  })

  test('may appear in these folders', () => {
    write({ 'data/a/z.csv': '', 'data/b/c/d/e.csv': '', 'data/_temporary/x.csv': '' })
    const folders = (file: string) => foldersOf(join(dir, file)).map((one) => one.slice(dir.length))
    expect(folders('data')).toEqual(['/data', '/data/a', '/data/b', '/data/b/c', '/data/b/c/d'])
    expect(folders('data/*.csv')).toEqual(['/data'])
    expect(folders('data/*/*.csv')).toEqual(['/data', '/data/a', '/data/b'])
    expect(folders('data/**/*.csv')).toEqual(['/data', '/data/a', '/data/b', '/data/b/c', '/data/b/c/d'])
    expect(folders('later/*.csv')).toEqual([''])
    expect(folders('data/a/z.csv')).toEqual([])
  })
})
