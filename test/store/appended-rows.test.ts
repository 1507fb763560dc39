import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KeyType, Registry, Source } from '../../src/definition/model.ts'
import { createAppender } from '../../src/ingest/append.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { createSourceFileReader } from '../../src/store/duckdb/sources/source-file-reader.ts'
import { createDuckdbSourceRows } from '../../src/store/duckdb/sources/source-rows.ts'
import type { SourceRows } from '../../src/store/ports/source-rows.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createSourceFiles } from '../../src/store/postgres/sources/source-files.ts'
import { createPostgresSourceRows } from '../../src/store/postgres/sources/source-rows.ts'
import { loadTables } from '../../src/store/postgres/sources/source-tables.ts'
import { soon } from '../conformance/source-store-suite.ts'
import { emptied } from '../support/emptied.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { source } from '../support/stored-definitions.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

interface Engine {
  load(source: Source, keyTypes: Record<string, KeyType>): Promise<readonly { readonly message: string; readonly hint: string }[]>
  readonly rows: SourceRows
  /** Everything as texts. */
  texts(query: string): Promise<(string | null)[][]>
  /** Nothing was ever loaded or appended. */
  empty(): Promise<void>
  close(): Promise<void>
}

let server: TestServer
let postgres: Postgres
beforeAll(async () => {
  server = await startPostgres()
  postgres = openPostgres({ url: server.url })
  await migrate(postgres)
})
afterAll(async () => {
  await postgres.close()
  await server[Symbol.asyncDispose]()
})

async function onDuckdb(dir: string): Promise<Engine> {
  const database = await openDatabase({ file: join(dir, 'data', 'fabra.duckdb') })
  const store = createDuckdbSourceEngine(database)
  return {
    load: (one, keyTypes) => store.load([{ source: one, keyTypes }]),
    rows: createDuckdbSourceRows(database),
    texts: async (query) =>
      (await store.query(query, [], soon())).rows.map((row) => row.map((value) => (value === null ? null : String(value)))),
    empty: () => emptied(database),
    close: () => store.close(),
  }
}

async function onPostgres(): Promise<Engine> {
  const loadFile = createSourceFiles({ owner: postgres, reader: createSourceFileReader(), onLoaded: () => undefined })
  return {
    load: (one, keyTypes) => loadTables({ owner: postgres, loadFile }, postgres, [{ source: one, keyTypes }]),
    rows: createPostgresSourceRows({ postgres, writer: 'a' }),
    texts: async (query) => (await postgres.run(query, [], soon())).rows.map((row) => [...row]),
    empty: async () => {
      await postgres.run('DROP TABLE IF EXISTS events', [], soon())
      await postgres.run('TRUNCATE fabra.source_files, fabra.source_rows', [], soon())
    },
    close: async () => undefined,
  }
}

describe.each(['DuckDB', 'PostgreSQL'])('on %s what was appended is exact for ever', (name) => {
  let dir: string
  let engine: Engine
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'fabra-test-'))
    engine = name === 'DuckDB' ? await onDuckdb(dir) : await onPostgres()
  })
  beforeEach(() => engine.empty())
  afterAll(async () => {
    await engine.close()
    await rm(dir, { recursive: true, force: true })
  })

  const events = (facts: Partial<Source> = {}) => source('events', { file: join(dir, 'events.csv'), ...facts })
  async function load(text: string, facts: Partial<Source> = {}, keyTypes: Record<string, KeyType> = {}) {
    const one = events(facts)
    await writeFile(String(one.file), text)
    return (await engine.load(one, keyTypes))[0]
  }
  async function append(row: Record<string, unknown>, facts: Partial<Source> = {}) {
    const registry = { entities: new Map() } as unknown as Registry
    const appender = createAppender({
      sourceRows: engine.rows,
      clock: { now: () => Date.parse('2026-06-01T00:00:00Z') * 1000 },
      registry: () => registry,
      onAppended: () => undefined,
      checkRoom: () => undefined,
    })
    await appender.append(events(facts), [row], null)
  }

  test('in columns that another file would make smaller', async () => {
    expect(await load('id,v,zip,t2\nf1,1.5,abc,x\n')).toBeUndefined()
    await append({ id: 'a1', v: 2.75, zip: '00501', t2: '2026-01-05T23:45:00Z' })
    const before = await engine.texts("SELECT * FROM events WHERE id = 'a1'")
    expect(before).toEqual([['a1', '2.75', '00501', '2026-01-05T23:45:00Z']])
    expect(await load('id,v,zip,t2\nf2,1,12134,2026-01-01\n')).toBeUndefined()
    expect(await engine.texts("SELECT * FROM events WHERE id = 'a1'")).toEqual(before)
    expect(await engine.texts("SELECT zip, t2 FROM events WHERE id = 'f2'")).toEqual([['12134', '2026-01-01']])
    expect(await load('id,v,zip,t2\nf2,1,12134,2026-01-01\nf3,2,2,\n')).toBeUndefined()
    expect(await engine.texts("SELECT * FROM events WHERE id = 'a1'")).toEqual(before)
    expect(await engine.texts('SELECT COUNT(*) FROM events')).toEqual([['3']])
  })

  test.each<[what: string, first: string, sent: unknown, second: string, then: string]>([
    ['a text that looks like a number', 'abc', '5', '7', '5'],
    ['a text with zeros before it', 'abc', '007', '7', '007'],
    ['a text with an exponent', 'abc', '1e5', '7', '1e5'],
    ['a text that looks like a day', 'abc', '2026-01-05', '2026-01-01', '2026-01-05'],
    ['a text with odd signs', 'abc', 'é"\\\n\t😀', '1', 'é"\\\n\t😀'],
    ['a word', 'abc', 'true', 'false', 'true'],
    ['an empty text', 'abc', '', '1', ''],
    ['a fraction', '1.5', 0.1, '7', '0.1'],
    ['a float beyond whole numbers', '1.5', 1e300, '7', '1e+300'],
    ['a large whole number', '18446744073709551615', 18446744073709551614n, '7', '18446744073709551614'],
    ['a number where texts come', '5', 7, 'abc', '7'],
  ])('%s', async (_, first, sent, second, then) => {
    expect(await load(`id,x\nf1,${first}\n`)).toBeUndefined()
    await append({ id: 'a1', x: sent })
    expect(await load(`id,x\nf2,${second}\n`)).toBeUndefined()
    expect(await engine.texts("SELECT CAST(x AS VARCHAR) FROM events WHERE id = 'a1'")).toEqual([[then]])
    expect(await engine.texts('SELECT COUNT(*) FROM events')).toEqual([['2']])
  })

  test.each<[what: string, type: string, sent: unknown, then: string]>([
    ['a fraction', 'DOUBLE', 2.75, 'BIGINT'],
    ['a text with zeros before it', 'VARCHAR', '00501', 'BIGINT'],
    ['a decimal', 'DECIMAL(18,4)', '1.2345', 'DECIMAL(18,2)'],
    ['a whole number', 'BIGINT', 9007199254740993n, 'DOUBLE'],
    ['a time', 'VARCHAR', '2026-01-05T23:45:00Z', 'DATE'],
    ['nanoseconds', 'VARCHAR', '2026-01-05T23:45:00.123456789Z', 'TIMESTAMPTZ'],
    ['a time with an offset', 'VARCHAR', '2026-01-05T23:45:00+02:00', 'TIMESTAMP'],
    ['a time without a zone', 'text', '2026-01-05T23:45:00', 'timestamptz'],
    ['a time of day', 'text', '2026-01-05 23:45:00', 'date'],
    ['another fraction', 'double', 2.75, 'int'],
    ['a number', 'BIGINT', 2, 'BOOLEAN'],
    ['a word', 'VARCHAR', 'TRUE', 'BOOLEAN'],
  ])('%s: a type that does not hold it is refused, and the table stays', async (_, type, sent, then) => {
    expect(await load('id,x\nf1,\n', { columns: { x: type } })).toBeUndefined()
    await append({ id: 'a1', x: sent }, { columns: { x: type } })
    const before = await engine.texts('SELECT * FROM events ORDER BY id')
    const problem = await load('id,x\nf1,\nf2,\n', { columns: { x: then } })
    expect(problem?.message).toStartWith('Rows that were appended to "events" do not fit its columns any more: column "x" would be ')
    expect(problem?.message).toContain(typeof sent === 'string' ? sent : String(sent))
    expect(problem?.hint).toContain('columns: { x:')
    expect(await engine.texts('SELECT * FROM events ORDER BY id')).toEqual(before)
    expect(await load('id,x\nf1,\nf2,\n', { columns: { x: type } })).toBeUndefined()
    expect((await engine.texts('SELECT * FROM events ORDER BY id'))[0]).toEqual(before[0] ?? [])
  })

  test.each<[type: string, sent: unknown, text: string]>([
    ['TIMESTAMP', '2026-01-05T23:45:00.5+02:00', '2026-01-05 21:45:00.5'],
    ['DECIMAL(30,20)', '0.12345678901234567891', '0.12345678901234567891'],
    ['DECIMAL(18,2)', '2.5', '2.50'],
    ['HUGEINT', 123456789012345678901234567890n, '123456789012345678901234567890'],
    ['TIME', '10:30', '10:30:00'],
    ['DATE', '2026-01-05', '2026-01-05'],
    ['UUID', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['REAL', 0.1, '0.1'],
  ])('of the same type, %s, however often the file changes', async (type, sent, text) => {
    const facts = { columns: { x: type } }
    expect(await load('id,x\nf1,\n', facts)).toBeUndefined()
    await append({ id: 'a1', x: sent }, facts)
    const read = () => engine.texts("SELECT CAST(x AS VARCHAR) FROM events WHERE id = 'a1'")
    expect(await read()).toEqual([[text]])
    for (const more of ['f2,\n', 'f2,\nf3,\n']) {
      expect(await load(`id,x\nf1,\n${more}`, facts)).toBeUndefined()
      expect(await read()).toEqual([[text]])
    }
  })

  test('though the file spells a column otherwise, or has it no more for a while', async () => {
    expect(await load('id,Amount\nf1,1.5\n')).toBeUndefined()
    await append({ id: 'a1', Amount: 2.5 })
    expect(await load('id,amount,more\nf1,1.5,x\n')).toBeUndefined()
    await append({ id: 'a2', amount: 3.5, more: null })
    expect(await engine.texts('SELECT id, amount, more FROM events ORDER BY id')).toEqual([
      ['a1', '2.5', null],
      ['a2', '3.5', null],
      ['f1', '1.5', 'x'],
    ])
    expect(await load('id,price\nf1,1.5\n')).toBeUndefined()
    expect(await engine.texts('SELECT id, price FROM events ORDER BY id')).toEqual([
      ['a1', null],
      ['a2', null],
      ['f1', '1.5'],
    ])
    expect(await load('id,amount\nf1,1.5\n')).toBeUndefined()
    expect((await engine.texts('SELECT id, amount FROM events ORDER BY id'))[0]).toEqual(['a1', '2.5'])
  })

  test('in JSON lines, where the engine sees only whole numbers', async () => {
    const facts = { file: join(dir, 'events.jsonl') }
    expect(await load('{"id":"f1","v":1.5,"l":["a"],"s":"x"}\n', facts)).toBeUndefined()
    await append({ id: 'a1', v: 2.75, l: ['a\nb', '"é"'], s: '2026-01-05' }, facts)
    expect(await load('{"id":"f2","v":1,"l":["b"],"s":"2026-01-01T00:00:00Z"}\n', facts)).toBeUndefined()
    const [[v, l, s] = []] = await engine.texts(
      `SELECT CAST(v AS VARCHAR), CAST(${name === 'DuckDB' ? 'to_json(l)' : 'array_to_json(l)'} AS VARCHAR), s FROM events WHERE id = 'a1'`,
    )
    expect([v, s]).toEqual(['2.75', '2026-01-05'])
    expect(JSON.parse(l ?? '')).toEqual(['a\nb', '"é"'])
  })

  test('and what a column cannot hold exactly is not taken', async () => {
    const facts = { columns: { d: 'DATE', f: 'DOUBLE', t: 'TIME' } }
    expect(await load('id,d,f,t\nf1,,,\n', facts)).toBeUndefined()
    await expect(append({ id: 'a1', d: '2026-01-05T23:45:00Z' }, facts)).rejects.toThrow('column "d"')
    await expect(append({ id: 'a1', d: '01/02/2026' }, facts)).rejects.toThrow('column "d"')
    await expect(append({ id: 'a1', f: 9007199254740993n }, facts)).rejects.toThrow('column "f"')
    await expect(append({ id: 'a1', t: '10:30:00.1234567' }, facts)).rejects.toThrow('column "t"')
    await append({ id: 'a1', d: '2026-01-05', f: 9007199254740992n, t: '10:30:00.123456' }, facts)
    expect(await engine.texts("SELECT CAST(d AS VARCHAR), CAST(t AS VARCHAR) FROM events WHERE id = 'a1'")).toEqual([
      ['2026-01-05', '10:30:00.123456'],
    ])
  })
})
