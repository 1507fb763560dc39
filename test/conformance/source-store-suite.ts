import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  type RowList,
  type RunOptions,
  type SourceEngine,
  SqlDecimal,
  SqlError,
  SqlOther,
  SqlTimestamp,
  type SqlValue,
} from '../../src/store/ports/source-engine.ts'
import { source } from '../support/stored-definitions.ts'

/** What every source store promises of users' SQL. Statements are in the common part of the dialects. */
export function sourceStoreSuite(name: string, factory: () => Promise<SourceEngine>): void {
  describe(`source store: ${name}`, () => {
    let store: SourceEngine
    beforeAll(async () => {
      store = await factory()
      await store.load([
        {
          source: source('events', {
            timestamp: 'created_at',
            columns: { user_id: 'VARCHAR', amount: 'DECIMAL(18,2)', created_at: 'TIMESTAMPTZ' },
          }),
          keyTypes: {},
        },
      ])
    })
    afterAll(() => store.close())
    const over = async (text: string, list: RowList) => {
      const all: (readonly SqlValue[])[] = []
      await store.queryOver((rows) => void all.push(...rows), text, list, soon())
      return all
    }
    const one = async (text: string, parameters: SqlValue[] = []) => (await store.query(text, parameters, soon())).rows[0]?.[0]

    test.each<[string, SqlValue]>([
      ['NULL', null],
      ['TRUE', true],
      ['42', 42],
      ['CAST(9007199254740991 AS BIGINT)', 9007199254740991],
      ['CAST(9007199254740993 AS BIGINT)', 9007199254740993n],
      ['CAST(-9223372036854775807 AS BIGINT)', -9223372036854775807n],
      ['CAST(0.1 AS DOUBLE PRECISION)', 0.1],
      ["CAST('NaN' AS DOUBLE PRECISION)", Number.NaN],
      ['CAST(12345678901234567890.0123456789 AS DECIMAL(38,10))', new SqlDecimal('12345678901234567890.0123456789')],
      ['CAST(-0.05 AS DECIMAL(4,2))', new SqlDecimal('-0.05')],
      ["'é''s'", "é's"],
      ["TIMESTAMPTZ '2026-01-02 03:04:05.123456+01'", new SqlTimestamp(1767319445123456)],
      ["TIMESTAMP '2026-01-02 03:04:05.123456'", new SqlTimestamp(1767323045123456)],
      ["TIMESTAMP '1931-05-06 00:00:00.000001'", new SqlTimestamp(-1219967999999999)],
      ["DATE '2026-01-02'", new SqlOther('DATE', '2026-01-02')],
    ])('%s is exact', async (text, expected) => {
      expect(await one(`SELECT ${text} AS value`)).toEqual(expected)
    })

    test('parameters are bound, never read as SQL, and keep their kind', async () => {
      expect(await one('SELECT CAST($1 AS VARCHAR)', ["x'; DROP TABLE events; --"])).toBe("x'; DROP TABLE events; --")
      expect(await one('SELECT CAST($1 AS BIGINT) + 1', [9007199254740993n])).toBe(9007199254740994n)
      expect(await one('SELECT CAST($1 AS TIMESTAMPTZ)', [new SqlTimestamp(1767319445123456)])).toEqual(new SqlTimestamp(1767319445123456))
      expect(await one('SELECT CAST($1 AS DECIMAL(10,3))', [new SqlDecimal('-1.250')])).toEqual(new SqlDecimal('-1.250'))
      expect(await one('SELECT CAST($1 AS VARCHAR) IS NULL', [null])).toBe(true)
      expect(await one('SELECT $1 OR FALSE', [true])).toBe(true)
    })

    test('too few and too many parameters are refused', async () => {
      expect(await kindOf(store.query('SELECT CAST($1 AS VARCHAR)', [], soon()))).toBe('binding')
      expect(await kindOf(store.query('SELECT 1', ['x'], soon()))).toBe('binding')
    })

    test('a list where one value is expected is refused, not compared as the text that it is written as', async () => {
      const error = await errorOf(
        store.query("SELECT COUNT(*) FROM (SELECT CAST('{x}' AS VARCHAR) AS t) AS one WHERE t = $1", [['x']], soon()),
      )
      expect(['binding', 'runtime']).toContain(error.kind)
    })

    test.each<[string, SqlError['kind'], string | null]>([
      ['SELEC 1', 'syntax', 'SELEC'],
      ['SELECT 1; SELECT 2', 'syntax', null],
      ['', 'syntax', null],
      ['-- nothing', 'syntax', null],
      [' /* a */ -- b\n; ', 'syntax', null],
      ['DELETE FROM events', 'syntax', null],
      ['CREATE TABLE x (a INT)', 'syntax', null],
      ["SELECT 'é😀', missing FROM events", 'binding', 'missing'],
      ['SELECT * FROM nowhere', 'binding', 'nowhere'],
      ['SELECT no_such_function(1)', 'binding', 'no_such_function'],
    ])('%p is refused as a mistake of the text, at its place', async (text, kind, at) => {
      const error = await errorOf(store.query(text, [], soon()))
      expect(error.kind).toBe(kind)
      if (at !== null) expect(error.position).toBe(text.indexOf(at))
      expect((await errorOf(store.prepare(text))).kind).toBe(kind)
      expect(await one('SELECT COUNT(*) FROM events')).toBe(0)
    })

    test('a value that does not convert is a failure of the run', async () => {
      await store.load([{ source: source('words', { columns: { word: 'VARCHAR' } }), keyTypes: {} }])
      expect(await kindOf(store.query("SELECT CAST(concat('a', COUNT(*)) AS INTEGER) FROM words", [], soon()))).toBe('runtime')
    })

    test('prepare tells the columns without running', async () => {
      const { columns } = await store.prepare(
        'SELECT COUNT(*) AS n, SUM(amount) AS total, MAX(created_at) AS newest FROM events WHERE user_id = CAST($1 AS VARCHAR)',
      )
      expect(columns.map((column) => column.name)).toEqual(['n', 'total', 'newest'])
      expect(columns[0]?.type).toBe('BIGINT')
    })

    test('a statement ends at its deadline, and the store answers on', async () => {
      expect(await kindOf(store.query(ENDLESS, [], { signal: new AbortController().signal, timeoutMs: 100 }))).toBe('timeout')
      expect(await one('SELECT 1')).toBe(1)
    })

    test('a statement whose caller gives up is stopped', async () => {
      const abort = new AbortController()
      const running = kindOf(store.query(ENDLESS, [], { signal: abort.signal, timeoutMs: 60_000 }))
      setImmediate(() => abort.abort())
      expect(await running).toBe('interrupted')
      expect(await kindOf(store.query('SELECT 1', [], { signal: abort.signal, timeoutMs: 60_000 }))).toBe('interrupted')
      expect(await kindOf(store.query('SELECT 1', [], { signal: new AbortController().signal, timeoutMs: 0 }))).toBe('timeout')
    })

    test('more statements at once than connections all answer, each with its own rows', async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => over(ROWS, rowList(3, i))))
      for (const [i, answer] of answers.entries()) expect(answer.map((row) => row[1])).toEqual([`k${i}`, `k${i + 1}`, `k${i + 2}`])
    })

    test.each([0, 1, 2, 32, 33, 2048, 2049, 5000])('a list of %p rows arrives whole, in order, typed', async (count) => {
      const list: RowList = {
        types: ['VARCHAR', 'BIGINT', 'UUID'],
        keys: [
          Array.from({ length: count }, (_, i) => `é'${i}`),
          Array.from({ length: count }, (_, i) => String(-9223372036854775808n + BigInt(i))),
          Array.from({ length: count }, (_, i) => `ffffffff-0000-4000-8000-${String(i).padStart(12, '0')}`),
        ],
        asOf: Array.from({ length: count }, (_, i) => 1767319445123456 + i),
      }
      const rows = await over(
        'SELECT __fabra_ord, __fabra_k0, __fabra_k1, CAST(__fabra_k2 AS VARCHAR), __fabra_as_of FROM __fabra_row ORDER BY __fabra_ord',
        list,
      )
      const expected = list.asOf.map((asOf, i) => [
        i,
        list.keys[0]?.at(i),
        BigInt(list.keys[1]?.at(i) ?? 0),
        list.keys[2]?.at(i),
        new SqlTimestamp(asOf),
      ])
      expect(rows).toEqual(expected as SqlValue[][])
    })

    test('the order a statement asks for is the order of its rows', async () => {
      const rows = await over('SELECT __fabra_ord FROM __fabra_row ORDER BY __fabra_ord DESC', rowList(3000))
      expect(rows.map((row) => row[0])).toEqual(Array.from({ length: 3000 }, (_, i) => 2999 - i))
    })

    test('parse gives one tree, or the place of the mistake', async () => {
      expect(await store.parse('SELECT COUNT(*) FROM events')).toHaveProperty(store.dialect === 'duckdb' ? 'statements' : 'stmts')
      const text = "SELECT 'é😀' FROM FROM"
      const error = await errorOf(store.parse(text))
      expect([error.kind, error.position]).toEqual(['syntax', text.lastIndexOf('FROM')])
      expect(await kindOf(store.parse('DROP TABLE events'))).toBe('syntax')
    })

    test('the catalogue names users’ tables and no others', async () => {
      const tables = await store.tables()
      const events = tables.find((table) => table.name === 'events')
      expect(events?.kind).toBe('table')
      expect(events?.columns.map((column) => column.name)).toEqual(['user_id', 'amount', 'created_at'])
      expect(tables.filter((table) => table.schema === 'fabra' || table.name.startsWith('__fabra'))).toEqual([])
    })

    test('functions are told with what they depend on', async () => {
      const functions = await store.functions(['random', 'now', 'lower'])
      const named = (wanted: string) => functions.find((one) => one.name === wanted)
      expect(named('random')?.stability).toBe('volatile')
      expect(named('now')?.stability).toBe('within_query')
      expect(named('lower')).toBeUndefined()
    })
  })
}

const ENDLESS = 'SELECT COUNT(*) FROM generate_series(1, 1000000000) a(x), generate_series(1, 1000) b(y)'
const ROWS = 'SELECT __fabra_ord, __fabra_k0 FROM __fabra_row ORDER BY 1'

export function soon(): RunOptions {
  return { signal: new AbortController().signal, timeoutMs: 20_000 }
}

export function rowList(count: number, from = 0): RowList {
  return {
    types: ['VARCHAR'],
    keys: [Array.from({ length: count }, (_, i) => `k${from + i}`)],
    asOf: Array.from({ length: count }, (_, i) => i),
  }
}

async function errorOf(promise: Promise<unknown>): Promise<SqlError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  if (error instanceof SqlError) return error
  throw error
}

async function kindOf(promise: Promise<unknown>): Promise<SqlError['kind']> {
  return (await errorOf(promise)).kind
}
