import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { utimesSync } from 'node:fs'
import { join } from 'node:path'
import type { KeyType, Source } from '../../src/definition/model.ts'
import { createSourceFileReader } from '../../src/store/duckdb/sources/source-file-reader.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createSourceFiles } from '../../src/store/postgres/sources/source-files.ts'
import { createPostgresSourceRows } from '../../src/store/postgres/sources/source-rows.ts'
import { loadTables } from '../../src/store/postgres/sources/source-tables.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'
import { source } from '../support/stored-definitions.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const LONG = { timeoutMs: 30_000 }
const CSV = 'id,user_id,amount,created_at\ne1,7,1.5,2026-01-01T00:00:00.123456+01:00\ne2,8,,2026-01-01T00:00:00Z\n'

let server: TestServer
let postgres: Postgres
let folder: ProjectFolder
beforeAll(async () => {
  server = await startPostgres()
  postgres = openPostgres({ url: server.url })
  await migrate(postgres)
  folder = projectFolder({})
})
afterAll(async () => {
  folder[Symbol.dispose]()
  await postgres.close()
  await server[Symbol.asyncDispose]()
})

let loaded: [source: string, rows: number][] = []
beforeEach(async () => {
  loaded = []
  await run('DROP TABLE IF EXISTS events, public.other CASCADE')
  await run('TRUNCATE fabra.source_files, fabra.source_rows')
})

const events = (facts: Partial<Source> = {}) =>
  source('events', { timestamp: 'created_at', id: 'id', file: join(folder.path, 'events.csv'), ...facts })
const run = async (text: string) => (await postgres.run(text, [], LONG)).rows
const load = (facts: Partial<Source> = {}, keyTypes: Readonly<Record<string, KeyType>> = { user_id: 'int' }) => {
  const loadFile = createSourceFiles({
    owner: postgres,
    reader: createSourceFileReader(),
    onLoaded: (source, _file, rows) => loaded.push([source, rows]),
  })
  return loadTables({ owner: postgres, loadFile }, postgres, [{ source: events(facts), keyTypes }])
}

describe('a source with a file, in PostgreSQL', () => {
  test('is a table with the types, times and keys that the file has on a laptop', async () => {
    folder.write({ 'events.csv': CSV })
    expect(await load()).toEqual([])
    expect(await run('SELECT id, user_id, amount, created_at, pg_typeof(user_id), pg_typeof(created_at) FROM events ORDER BY id')).toEqual([
      ['e1', '7', '1.5', '2025-12-31 23:00:00.123456+00', 'bigint', 'timestamp with time zone'],
      ['e2', '8', null, '2026-01-01 00:00:00+00', 'bigint', 'timestamp with time zone'],
    ])
    const indexes = (await run("SELECT indexdef FROM pg_indexes WHERE tablename = 'events'")).map(([text]) => String(text))
    expect(indexes.some((text) => text.endsWith('(user_id, created_at)'))).toBe(true)
    expect(indexes.some((text) => text.endsWith('(id)'))).toBe(true)
  })

  test('holds lists, structures, bytes and odd texts as PostgreSQL has them', async () => {
    const rows = [
      {
        id: 'a',
        user_id: 1,
        created_at: '2026-01-01T00:00:00Z',
        list: [1, 2],
        deep: { a: [1, 'é'] },
        text: 'it\'s "é😀"\\,\n{}',
        big: 0,
      },
      { id: 'b', user_id: 2, created_at: '2026-01-01T00:00:00Z', list: [], deep: null, text: '', big: -1 },
    ]
    folder.write({
      'events.jsonl': rows
        .map((row) => JSON.stringify(row))
        .join('\n')
        .replace('"big":0', '"big":9007199254740993'),
    })
    expect(await load({ file: join(folder.path, 'events.jsonl') })).toEqual([])
    expect(await run('SELECT list, deep, text, big FROM events ORDER BY id')).toEqual([
      ['{1,2}', '{"a": [1, "é"]}', rows[0]?.text ?? '', '9007199254740993'],
      ['{}', null, '', '-1'],
    ])
  })

  test('is loaded once per content, wherever the file lies and whenever it was written', async () => {
    folder.write({ 'events.csv': CSV, 'copy/events.csv': CSV })
    await load()
    await load()
    utimesSync(join(folder.path, 'events.csv'), 1, 1)
    await load()
    await load({ file: join(folder.path, 'copy/events.csv') })
    expect(loaded).toEqual([['events', 2]])
    folder.write({ 'events.csv': `${CSV}e3,9,2,2026-01-01T00:00:00Z\n` })
    await load()
    await load({ columns: { amount: 'VARCHAR' } })
    expect(loaded).toEqual([
      ['events', 2],
      ['events', 3],
      ['events', 3],
    ])
    expect(await run('SELECT count(*), pg_typeof(min(amount)) FROM events')).toEqual([['3', 'text']])
  })

  test('that several processes open at once is loaded by one of them', async () => {
    folder.write({ 'events.csv': CSV })
    expect((await Promise.all([1, 2, 3, 4].map(() => load()))).flat()).toEqual([])
    expect(loaded).toEqual([['events', 2]])
    expect(await run('SELECT count(*) FROM events')).toEqual([['2']])
  })

  test("never goes over a user's own table, also not over one that took its place", async () => {
    folder.write({ 'events.csv': CSV })
    await run('CREATE TABLE events (id text, user_id int, amount int, created_at timestamptz)')
    expect(await load()).toEqual([])
    expect(await run('SELECT count(*) FROM events')).toEqual([['0']])
    await run('DROP TABLE events')
    await load()
    await run('DROP TABLE events')
    await run('CREATE TABLE events (id text, user_id int, created_at timestamptz)')
    folder.write({ 'events.csv': `${CSV}e3,9,2,2026-01-01T00:00:00Z\n` })
    expect(await load()).toEqual([])
    expect(await run('SELECT count(*) FROM events')).toEqual([['0']])
    // The table is the source, so it is the table that must fit.
    expect((await load({ timestamp: 'at' }))[0]?.message).toContain('has no column "at"')
  })

  test('keeps rows that came by request when the file changes, in columns of other types too', async () => {
    folder.write({ 'events.csv': CSV })
    await load()
    const rows = createPostgresSourceRows({ postgres, writer: 'a' })
    const table = await rows.table(events())
    const row = { id: 'e9', user_id: 9, amount: 2.5, created_at: '2026-01-03T00:00:00+02:00' }
    const values = ['e9', 9, 2.5, '2026-01-02T22:00:00Z']
    await rows.append([
      {
        source: events(),
        columns: table?.columns ?? [],
        rows: [values],
        texts: [JSON.stringify(row)],
        ids: ['e9'],
        idempotency: null,
        arrivedAt: 0,
        visibleAt: [],
      },
    ])
    folder.write({ 'events.csv': CSV.replace('1.5', 'a lot') })
    expect(await load()).toEqual([])
    expect(await run('SELECT id, user_id, amount, created_at FROM events ORDER BY id')).toEqual([
      ['e1', '7', 'a lot', '2025-12-31 23:00:00.123456+00'],
      ['e2', '8', null, '2026-01-01 00:00:00+00'],
      ['e9', '9', '2.5', '2026-01-02 22:00:00+00'],
    ])
  })

  test('with a broken row is refused with its line, and the table stays as it was', async () => {
    folder.write({ 'events.csv': CSV })
    await load()
    folder.write({ 'events.csv': CSV.replace('2026-01-01T00:00:00Z', 'soon') })
    const [problem] = await load()
    expect(problem?.message).toContain('events.csv, line 3')
    expect(problem?.message).toContain('"soon"')
    expect(await run('SELECT count(*) FROM events')).toEqual([['2']])
    const [missing] = await load({ file: join(folder.path, 'event.csv') })
    expect(missing?.message).toContain('does not exist')
    expect(missing?.hint).toContain('events.csv')
  })

  test('with a text that PostgreSQL does not take is refused in its words, and what follows goes on', async () => {
    folder.write({ 'events.csv': CSV })
    await load()
    folder.write({ 'events.jsonl': '{"id":"e\\u0000","user_id":1,"created_at":"2026-01-01T00:00:00Z"}\n' })
    const [problem] = await load({ file: join(folder.path, 'events.jsonl') })
    expect(problem?.message).toContain('holds what PostgreSQL does not take: invalid byte sequence for encoding "UTF8": 0x00')
    expect(await run('SELECT count(*) FROM events')).toEqual([['2']])
    const id = 'a\tb\\N\n\r"\'ü'
    folder.write({ 'events.jsonl': `${JSON.stringify({ id, user_id: 1, created_at: '2026-01-01T00:00:00Z' })}\n` })
    expect(await load({ file: join(folder.path, 'events.jsonl') })).toEqual([])
    expect(await run('SELECT id FROM events')).toEqual([[id]])
  })

  test('in a schema of its own, with a name that needs quotes', async () => {
    folder.write({ 'events.csv': CSV })
    expect(await load({ name: 'Lake.Odd "events"' })).toEqual([])
    expect(await load({ name: 'Lake.Odd "events"' })).toEqual([])
    expect(await run('SELECT count(*) FROM "Lake"."Odd ""events"""')).toEqual([['2']])
    expect(loaded.length).toBe(1)
  })
})
