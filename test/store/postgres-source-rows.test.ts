import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Source } from '../../src/definition/model.ts'
import { FabraError } from '../../src/errors.ts'
import { SqlDecimal, SqlTimestamp, type SqlValue } from '../../src/store/ports/source-engine.ts'
import type { AppendRequest, SourceRows } from '../../src/store/ports/source-rows.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createPostgresSourceRows } from '../../src/store/postgres/sources/source-rows.ts'
import { startPgBouncer, startPostgres, type TestServer } from '../support/servers.ts'
import { source } from '../support/stored-definitions.ts'
import { until } from '../support/until.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

const LONG = { timeoutMs: 30_000 }
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5) * 1000 + 123_456

let server: TestServer
let bouncer: TestServer
let postgres: Postgres
let pooled: Postgres
beforeAll(async () => {
  server = await startPostgres()
  bouncer = await startPgBouncer(server)
  postgres = openPostgres({ url: server.url })
  pooled = openPostgres({ url: bouncer.url })
  await migrate(postgres)
})
afterAll(async () => {
  await Promise.all([postgres.close(), pooled.close()])
  await bouncer[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const rowsOn = (client: Postgres, writer = 'a') => createPostgresSourceRows({ postgres: client, writer })
const run = async (text: string) => (await postgres.run(text, [], LONG)).rows
const make = async (...statements: string[]) => {
  for (const statement of statements) await run(statement)
}

/** A request for a table as `table()` tells it. */
async function request(rows: SourceRows, source: Source, values: readonly (readonly SqlValue[])[], facts: Partial<AppendRequest> = {}) {
  const table = await rows.table(source)
  if (!table) throw new Error(`no table ${source.name}`)
  const at = table.columns.findIndex(({ name }) => name === source.id)
  return {
    source,
    columns: table.columns,
    rows: values,
    texts: values.map(() => '{}'),
    ids: values.map((row) => (at < 0 || row[at] === null ? null : String(row[at]))),
    idempotency: null,
    arrivedAt: NOW,
    visibleAt: [NOW],
    ...facts,
  }
}

describe('rows appended to a table of the user', () => {
  test('the table is told with the types that rows must fit', async () => {
    await make(
      `CREATE TABLE every (i2 smallint, i4 int, i8 bigint, f4 real, f8 float8, yes bool, t text, v varchar, v3 varchar(3), n numeric, d numeric(10,2),
        at timestamptz, naive timestamp, j jsonb, u uuid, day date, list int[], made int GENERATED ALWAYS AS (1) STORED)`,
    )
    const table = await rowsOn(postgres).table(source('every'))
    expect(table?.kind).toBe('table')
    expect(table?.columns.map(({ type }) => type)).toEqual([
      'SMALLINT',
      'INTEGER',
      'BIGINT',
      'FLOAT',
      'DOUBLE',
      'BOOLEAN',
      'VARCHAR',
      'VARCHAR',
      'character varying(3)',
      'numeric',
      'DECIMAL(10,2)',
      'TIMESTAMP WITH TIME ZONE',
      'TIMESTAMP',
      'JSON',
      'UUID',
      'date',
      'integer[]',
    ])
  })

  test('values arrive exactly; naive times in the zone of the source', async () => {
    await make(
      `CREATE TABLE exact (big bigint, n numeric, d numeric(30,10), at timestamptz, naive timestamp, other timestamp, j jsonb, t text, list bigint[], none int)`,
    )
    const rows = rowsOn(pooled)
    const berlin = source('exact', { timestamp: 'naive', timezone: 'Europe/Berlin' })
    const values = [
      9007199254740993n,
      '12345678901234567890.000000001',
      new SqlDecimal('0.1000000000'),
      new SqlTimestamp(NOW),
      new SqlTimestamp(NOW),
      new SqlTimestamp(NOW),
      '{"a":[1,"é"]}',
      'it\'s "é😀\\',
      '[1,9007199254740993]',
      null,
    ]
    expect(await rows.append([await request(rows, berlin, [values])])).toEqual([{ kind: 'appended', repeats: [false] }])
    expect(await run('SELECT * FROM exact')).toEqual([
      [
        '9007199254740993',
        '12345678901234567890.000000001',
        '0.1000000000',
        '2026-01-02 03:04:05.123456+00',
        '2026-01-02 04:04:05.123456',
        '2026-01-02 03:04:05.123456',
        '{"a": [1, "é"]}',
        'it\'s "é😀\\',
        '{1,9007199254740993}',
        null,
      ],
    ])
  })

  test('a column with a default is left to the table where rows say nothing of it', async () => {
    await make("CREATE TABLE filled (id bigserial PRIMARY KEY, who text, note text NOT NULL DEFAULT 'none')")
    const rows = rowsOn(postgres)
    const values = [
      [null, 'a', null],
      [7, 'b', 'said'],
      [null, 'c', null],
    ]
    await rows.append([await request(rows, source('filled'), values)])
    expect(await run('SELECT who, note FROM filled ORDER BY who')).toEqual([
      ['a', 'none'],
      ['b', 'said'],
      ['c', 'none'],
    ])
  })

  test('of an id that is known are dropped, by however many processes they come', async () => {
    await make('CREATE TABLE ids (id uuid, x int)')
    const events = source('ids', { id: 'id' })
    const id = (n: number) => `00000000-0000-0000-0000-00000000000${n}`
    const all = [rowsOn(postgres, 'a'), rowsOn(pooled, 'b'), rowsOn(postgres, 'c'), rowsOn(pooled, 'd')]
    const outcomes = await Promise.all(
      all.map(async (rows) =>
        rows.append([
          await request(rows, events, [
            [id(1), 1],
            [id(2), 1],
            [id(2), 2],
            [null, 3],
          ]),
        ]),
      ), // prettier
    )
    const fresh = outcomes.flat().flatMap(({ repeats }) => repeats.filter((repeat) => !repeat))
    expect(fresh.length).toBe(2 + all.length)
    expect(await run('SELECT count(*), count(DISTINCT id) FROM ids WHERE id IS NOT NULL')).toEqual([['2', '2']])
  })

  test('of an id that another process is just writing are dropped when it is done', async () => {
    await make('CREATE TABLE racing (id text, x int)')
    const racing = source('racing', { id: 'id' })
    const [first, second] = [rowsOn(postgres, 'a'), rowsOn(pooled, 'b')]
    const requests = [await request(first, racing, [['e', 1]]), await request(second, racing, [['e', 2]])] as const
    const waiting = (count: number) =>
      until(`${count} to wait`, 10_000, async () => {
        const [row] = await run('SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted')
        return Number(row?.[0]) >= count || undefined
      })
    const appends = await postgres.transaction(LONG, async (holder) => {
      // The first has its row in, and waits with its end.
      await holder.run('LOCK TABLE fabra.source_arrivals IN EXCLUSIVE MODE')
      const one = first.append([requests[0]])
      await waiting(1)
      const other = second.append([requests[1]])
      await waiting(2)
      return { one, other }
    })
    const outcomes = await Promise.all([appends.one, appends.other])
    expect(outcomes.flat().map(({ repeats }) => repeats)).toEqual([[false], [true]])
    expect(await run('SELECT x FROM racing')).toEqual([['1']])
  })

  test('with an idempotency key are written once, by however many processes, and the key stands for one content', async () => {
    await make('CREATE TABLE once (x int)')
    const key = { idempotency: { key: 'k', contentHash: 'h' } }
    const all = [rowsOn(postgres), rowsOn(pooled), rowsOn(postgres), rowsOn(pooled)]
    const outcomes = await Promise.all(all.map(async (rows) => rows.append([await request(rows, source('once'), [[1]], key)])))
    expect(outcomes.map(([outcome]) => outcome?.kind).toSorted()).toEqual(['appended', 'replayed', 'replayed', 'replayed'])
    const [rows] = all as [SourceRows]
    const other = await request(rows, source('once'), [[2]], { idempotency: { key: 'k', contentHash: 'other' } })
    const twice = await request(rows, source('once'), [[3]], { idempotency: { key: 'k2', contentHash: 'h' } })
    expect((await rows.append([other, twice, { ...twice }])).map(({ kind }) => kind)).toEqual(['conflict', 'appended', 'replayed'])
    expect(await run('SELECT x FROM once ORDER BY x')).toEqual([['1'], ['3']])
  })

  test('that a constraint refuses are refused with its words, and their neighbours are written', async () => {
    await make('CREATE TABLE strict (x int NOT NULL CHECK (x > 0), t varchar(3))')
    const rows = rowsOn(postgres)
    const strict = source('strict')
    const requests = await Promise.all([
      request(rows, strict, [[1, 'a']]),
      request(rows, strict, [
        [2, 'b'],
        [-1, 'c'],
      ]), // prettier
      request(rows, strict, [[3, 'long']], { idempotency: { key: 'k', contentHash: 'h' } }),
      request(rows, strict, [[4, 'a\0']]),
      request(rows, strict, [[5, 'd']]),
    ])
    const outcomes = await rows.append(requests)
    expect(outcomes.map(({ kind }) => kind)).toEqual(['appended', 'refused', 'refused', 'refused', 'appended'])
    expect(outcomes.map((outcome) => (outcome.kind === 'refused' ? outcome.why : ''))[1]).toContain('violates check constraint')
    expect(await run('SELECT x FROM strict ORDER BY x')).toEqual([['1'], ['5']])
    // What was refused was not remembered either.
    const mended = await request(rows, strict, [[3, 'ok']], { idempotency: { key: 'k', contentHash: 'h2' } })
    expect((await rows.append([mended]))[0]?.kind).toBe('appended')
  })

  test('a view takes none, a table that may not be written is told as such, and what is not there is not there', async () => {
    await make('CREATE TABLE closed (x int)', 'CREATE VIEW seen AS SELECT * FROM closed', 'CREATE ROLE guest LOGIN')
    await make('GRANT USAGE ON SCHEMA fabra TO guest', 'GRANT ALL ON ALL TABLES IN SCHEMA fabra TO guest')
    const guest = openPostgres({ url: server.url.replace('fabra@', 'guest@') })
    const rows = rowsOn(guest)
    expect((await rows.table(source('closed')))?.kind).toBe('forbidden')
    expect((await rows.table(source('public.seen')))?.kind).toBe('view')
    expect(await rows.table(source('nothing'))).toBeUndefined()
    expect(await rows.table(source('other.closed'))).toBeUndefined()
    await make('GRANT INSERT ON closed TO guest')
    const allowed = await request(rows, source('closed'), [[1]])
    await make('REVOKE INSERT ON closed FROM guest')
    const error = await rows.append([allowed]).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(FabraError)
    expect(error).toMatchObject({ code: 'not_appendable' })
    await guest.close()
  })

  test('texts that do not convert are found', async () => {
    const rows = rowsOn(pooled)
    const texts = Array.from({ length: 100 }, (_, i): string | null =>
      i % 7 === 0 ? null : `2026-01-${String((i % 28) + 1).padStart(2, '0')}`,
    )
    expect(await rows.firstUnfit('date', texts)).toBeUndefined()
    expect(await rows.firstUnfit('date', texts.with(40, 'x').with(77, 'x'))).toBe(40)
    expect(await rows.firstUnfit('character varying(3)', ['abc', null, 'abcd'])).toBe(2)
    expect(await rows.firstUnfit('integer[]', ['[1,2]', '{3}', '["x"]'])).toBe(2)
    expect(await rows.firstUnfit('numeric', ['1e400', '0.1', ''])).toBe(2)
  })

  test('what values must still be up with is kept until it is settled; a process settles its own and what it found', async () => {
    await make('CREATE TABLE arriving (x int)', 'TRUNCATE fabra.source_arrivals')
    const arriving = source('arriving')
    const gone = rowsOn(postgres, 'gone')
    await gone.append([await request(gone, arriving, [[1]], { visibleAt: [NOW, NOW + 5_000_000] })])
    const heir = rowsOn(postgres, 'heir')
    const living = rowsOn(pooled, 'living')
    expect((await heir.arrivals()).toSorted((a, b) => a.visibleAt - b.visibleAt)).toEqual([
      { source: 'arriving', visibleAt: NOW },
      { source: 'arriving', visibleAt: NOW + 5_000_000 },
    ])
    await living.append([await request(living, arriving, [[2]], { visibleAt: [NOW + 1] })])
    await heir.settle(NOW + 2)
    expect((await living.arrivals()).map(({ visibleAt }) => visibleAt).toSorted()).toEqual([NOW + 1, NOW + 5_000_000])
    await living.settle(NOW + 10_000_000)
    expect(await living.arrivals()).toEqual([])
  })
})
