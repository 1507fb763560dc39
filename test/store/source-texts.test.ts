import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KeyType, Source } from '../../src/definition/model.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { readTableFile } from '../../src/store/duckdb/sources/table-file.ts'
import { type SourceEngine, SqlTimestamp } from '../../src/store/ports/source-engine.ts'
import { soon } from '../conformance/source-store-suite.ts'
import { emptied } from '../support/emptied.ts'
import { source } from '../support/stored-definitions.ts'

let dir: string
let database: Database
let store: SourceEngine
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fabra-test-'))
  database = await openDatabase({ file: join(dir, 'data', 'fabra.duckdb') })
  store = createDuckdbSourceEngine(database)
})
beforeEach(() => emptied(database))
afterAll(async () => {
  await store.close()
  await rm(dir, { recursive: true, force: true })
})

async function loadText(name: string, text: string | Uint8Array, facts: Partial<Source> = {}, keyTypes: Record<string, KeyType> = {}) {
  await writeFile(join(dir, name), text)
  return (await store.load([{ source: source('events', { file: join(dir, name), ...facts }), keyTypes }]))[0]
}
const rows = async (text = 'SELECT * FROM events') => (await store.query(text, [], soon())).rows
const at = (text: string) => new SqlTimestamp(Date.parse(text) * 1000)
const typesOf = async () => (await store.tables()).find(({ name }) => name === 'events')?.columns.map(({ type }) => type)

describe('a column of texts has a type only where its values are written back the same', () => {
  test.each<[what: string, texts: readonly string[]]>([
    ['versions', ['4.2.10', '4.2.9']],
    ['versions of two parts', ['3.9', '3.10', '3.11']],
    ['days with dots', ['04.02.2026', '31.12.2026']],
    ['zip codes', ['00501', '12134']],
    ['a zip code far behind whole numbers', [...Array.from({ length: 5_000 }, (_, i) => String(i + 10_000)), '00501']],
    ['ids that look like floats', ['1e5', '2E7', '12e3']],
    ['signs', ['+5', '+6']],
    ['phone numbers', ['+49 30 1234', '0049301234']],
    ['numbers with blanks', [' 5', '6 ']],
    ['numbers with marks', ['1_000', '2_000']],
    ['thousands', ['1.000,50', '2.000,75']],
    ['hexadecimal', ['0x10', '0xff']],
    ['words', ['TRUE', 'FALSE']],
    ['capitalised words', ['True', 'False']],
    ['yes and no', ['yes', 'no', 't', 'f']],
    ['times of day', ['10:30', '23:59']],
    ['times of day with seconds', ['10:30:00', '23:59:59']],
    ['compact dates', ['0260102', '0260103']],
    ['dates with one digit', ['2026-1-2', '2026-11-12']],
    ['dates of Americans', ['01/02/2026', '12/31/2026']],
    ['years of two digits', ['01-02-03', '26-01-02']],
    ['days that are none', ['2026-02-30', '2026-01-02']],
    ['nanoseconds', ['2026-01-02 03:04:05.123456789', '2026-01-02 03:04:05.123456780']],
    ['times with an offset', ['2026-01-02T03:04:05+02:00', '2026-01-02T03:04:05+03:00']],
    ['times with a zone', ['2026-01-02 03:04:05 Europe/Berlin']],
    ['dates among times', ['2026-01-02', '2026-01-02 03:04:05']],
    ['no numbers', ['nan', 'inf', 'Infinity', '-inf']],
    ['a word among numbers', ['1', 'N/A', '3']],
    ['points without digits', ['.5', '5.', '-.5']],
    ['more digits than a float has', ['0.1234567890123456789', '0.5']],
    ['uuids in capitals', ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11']],
    ['other digits', ['١٢٣', '４５']],
    ['a number with a sign of its own', ['−5', '−6']],
  ])('%s stay texts', async (_, texts) => {
    const csv = `n,x\n${texts.map((text, i) => `${i},"${text}"`).join('\n')}\n`
    expect(await loadText('e.csv', csv)).toBeUndefined()
    expect((await rows('SELECT x FROM events ORDER BY n')).flat()).toEqual([...texts])
  })

  test.each<[what: string, type: string, texts: readonly string[]]>([
    ['whole numbers', 'BIGINT', ['1', '-2', '0', '9223372036854775807', '']],
    ['larger ones', 'HUGEINT', ['18446744073709551615', '18446744073709551614', '9007199254740993']],
    ['floats', 'DOUBLE', ['1.5', '2', '3.0', '-0.25']],
    ['floats of a few digits', 'DOUBLE', ['12.50', '3.00', '7.25']],
    ['floats of a few digits and whole numbers', 'DOUBLE', ['12.50', '3', '7.25']],
    ['whole numbers with a float far behind', 'DOUBLE', [...Array.from({ length: 3_000 }, (_, i) => String(i)), '12.50']],
    ['floats of all digits', 'DOUBLE', ['0.10000000000000001', '0.2', '1e-07']],
    ['floats with exponents', 'DOUBLE', ['1.5e-07', '1E+20', '1.0E10', '1e-5', '1.000000000000000000e+00']],
    ['amounts of more digits than a float has', 'DECIMAL(38,2)', ['12345678901234567.89', '0.50']],
    ['words', 'BOOLEAN', ['true', 'false', '']],
    ['days', 'DATE', ['2026-01-02', '', '1999-12-31']],
    ['times', 'TIMESTAMP', ['2026-01-02 03:04:05', '2026-01-02T03:04:05.5', '2026-01-02 03:04:05.120000']],
    ['instants', 'TIMESTAMP WITH TIME ZONE', ['2026-01-02T03:04:05Z', '2026-01-02 03:04:05.123456+00']],
    ['nothing', 'VARCHAR', ['', '']],
  ])('%s are %s', async (_, type, texts) => {
    const csv = `n,x\n${texts.map((text, i) => `${i},${text}`).join('\n')}\n`
    expect(await loadText('e.csv', csv)).toBeUndefined()
    expect(await typesOf()).toEqual(['BIGINT', type])
  })

  test('numbers keep every digit', async () => {
    await loadText('e.csv', 'a,b,c\n18446744073709551615,0.1,12345678901234567.89\n9007199254740993,2.50,0.10\n')
    expect(await rows('SELECT a::VARCHAR, b::VARCHAR, c::VARCHAR FROM events')).toEqual([
      ['18446744073709551615', '0.1', '12345678901234567.89'],
      ['9007199254740993', '2.50', '0.10'],
    ])
  })

  test('strings of JSON stay texts, in structures too', async () => {
    const row = {
      v: '4.2.10',
      zip: '00501',
      n: '5',
      h: '10:30:00',
      u: 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
      t: '2026-01-05T23:45:00+02:00',
      deep: { d: '2026-01-05', DATE: '2026-01-05', list: ['10:30:00'] },
    }
    expect(await loadText('e.jsonl', `${JSON.stringify(row)}\n`)).toBeUndefined()
    const [[deep, ...texts] = []] = await rows('SELECT CAST(to_json(deep) AS VARCHAR), v, zip, n, h, u, t FROM events')
    expect(texts).toEqual([row.v, row.zip, row.n, row.h, row.u, row.t])
    expect(JSON.parse(String(deep))).toEqual(row.deep)
    expect(await loadText('e.jsonl', '{"d":"2026-01-05","t":"2026-01-05T23:45:00Z"}\n')).toBeUndefined()
    expect(await typesOf()).toEqual(['DATE', 'TIMESTAMP WITH TIME ZONE'])
  })
})

describe('nobody guesses which is the day and which the month', () => {
  const load = (time: string, facts: Partial<Source> = {}, name = 'e.csv') => {
    const text = name.endsWith('csv') ? `t\n2026-01-02\n"${time}"\n` : `{"t":"2026-01-02"}\n${JSON.stringify({ t: time })}\n`
    return loadText(name, text, { timestamp: 't', ...facts })
  }

  test.each(['e.csv', 'e.jsonl'])('in %s both readings are shown', async (name) => {
    const problem = await load('01/02/2026', {}, name)
    expect(problem?.message).toContain(name === 'e.csv' ? 'e.csv, line 3' : 'e.jsonl, row 2')
    expect(problem?.message).toContain(
      '"01/02/2026" can be read in two ways, as 1 February (format: "%d/%m/%Y") or as 2 January (format: "%m/%d/%Y")',
    )
    expect(problem?.hint).toContain('format: "%d/%m/%Y"')
    expect(await store.tables()).toEqual([])
  })

  test.each<[string, string]>([
    ['13/02/2026', 'it reads as 13 February (format: "%d/%m/%Y")'],
    ['02/13/2026 10:20', 'it reads as 13 February (format: "%m/%d/%Y %H:%M")'],
    ['1.2.26', '1 February (format: "%d.%m.%y") or as 2 January (format: "%m.%d.%y")'],
    ['01-02-03', '1 February (format: "%d-%m-%y")'],
    ['01/02/2026 03:04:05 PM', '(format: "%d/%m/%Y %I:%M:%S %p")'],
    ['01/02/2026 03:04:05.123', '(format: "%d/%m/%Y %H:%M:%S.%f")'],
    ['Jan 2 2026', 'is not a time (timestamp of the source)'],
    ['1767323045', 'is not a time (timestamp of the source)'],
    ['10:30', 'is not a time (timestamp of the source)'],
  ])('%s is refused', async (time, words) => {
    const problem = await load(time)
    expect(problem?.message).toContain(words)
    expect(problem?.hint).toContain('format')
  })

  test.each<[format: string, text: string, at: string]>([
    ['%d/%m/%Y', '01/02/2026', '2026-02-01T00:00:00Z'],
    ['%m/%d/%Y %I:%M %p', '1/2/2026 3:04 PM', '2026-01-02T15:04:00Z'],
    ['%d.%m.%y %H:%M:%S.%f', '01.02.26 03:04:05.123456', '2026-02-01T03:04:05.123Z'],
    ['%d %b %Y %z', '2 Jan 2026 +0200', '2026-01-01T22:00:00Z'],
    ['epoch_s', '1767323045', '2026-01-02T03:04:05Z'],
    ['epoch_s', '1767323045.5', '2026-01-02T03:04:05.500Z'],
    ['epoch_ms', '1767323045500', '2026-01-02T03:04:05.500Z'],
    ['epoch_us', '1767323045500000', '2026-01-02T03:04:05.500Z'],
  ])('unless the source says %s', async (format, text, time) => {
    expect(await loadText('e.csv', `t\n"${text}"\n`, { timestamp: 't', format })).toBeUndefined()
    const [[found] = []] = await rows()
    expect(Math.floor(Number((found as SqlTimestamp).micros) / 1000)).toBe(Date.parse(time))
    expect(
      await loadText('e.jsonl', `${JSON.stringify({ t: /^[0-9.]+$/.test(text) && format.startsWith('epoch') ? Number(text) : text })}\n`, {
        timestamp: 't',
        format,
      }),
    ).toBeUndefined()
    expect((await rows())[0]).toEqual([found ?? null])
  })

  test('a format holds for every row, in the zone of the source, by column where it is said so', async () => {
    const facts = { timestamp: 't', until: 'u', timezone: 'Europe/Berlin', format: { t: '%d/%m/%Y %H:%M' } }
    expect(await loadText('e.csv', 't,u\n02/07/2026 12:00,2026-07-03 12:00:00\n', facts)).toBeUndefined()
    expect(await rows()).toEqual([[at('2026-07-02T10:00:00Z'), at('2026-07-03T10:00:00Z')]])
    const problem = await loadText('e.csv', 't,u\n02/07/2026 12:00,\n2026-07-02 12:00,\n', facts)
    expect(problem?.message).toContain(
      'line 3: column "t": "2026-07-02 12:00" is not written as the source\'s format says, "%d/%m/%Y %H:%M"',
    )
    expect((await loadText('e.csv', 't\n1\n', { timestamp: 't', format: '%Q' }))?.message).toContain('The format "%Q" cannot be read')
  })

  test('what is written in another format is read again', async () => {
    await loadText('e.csv', 't\n01/02/2026\n', { timestamp: 't', format: '%d/%m/%Y' })
    await store.load([{ source: source('events', { file: join(dir, 'e.csv'), timestamp: 't', format: '%m/%d/%Y' }), keyTypes: {} }])
    expect(await rows()).toEqual([[at('2026-01-02T00:00:00Z')]])
  })
})

describe('CSV as it comes', () => {
  const long = 'u1,1\n'.repeat(200_000)

  test.each<[what: string, text: string, count: number]>([
    ['line feeds, then both', 'k,v\nu1,1\r\nu2,2\n', 2],
    ['both, then line feeds', 'k,v\r\nu1,1\nu2,2\r\n', 2],
    ['one odd line far behind', `k,v\n${long}u2,2\r\nu3,3`, 200_002],
    ['an odd header', `k,v\r\n${long}`, 200_000],
    ['carriage returns alone', 'k,v\ru1,1\ru2,2\r', 2],
    ['a mark at the beginning', '\uFEFF"k","v"\r\nu1,1\nu2,2\n', 2],
    ['blank lines', 'k,v\r\n\nu1,1\n\r\n\nu2,2\n\n', 2],
    ['no end', 'k,v\r\nu1,1\nu2,2', 2],
  ])('%s: every row is read', async (_, text, count) => {
    expect(await loadText('e.csv', text)).toBeUndefined()
    expect(await rows('SELECT COUNT(*), COUNT(k), COUNT(v), SUM(CAST(v = CAST(substr(k, 2) AS INT) AS INT)) FROM events')).toEqual([
      [count, count, count, count],
    ])
    expect(await readdir(join(dir, 'data', 'load'))).toEqual([])
  })

  test('what is in quotes stays byte by byte', async () => {
    expect(await loadText('e.csv', 'k,v\n1,"a\r\nb"\r\n2,"c\nd"\n3, "e\rf""g"\n4,h"i\n')).toBeUndefined()
    expect(await rows()).toEqual([
      [1, 'a\r\nb'],
      [2, 'c\nd'],
      [3, 'e\rf"g'],
      [4, 'h"i'],
    ])
  })

  const utf16 = (text: string, bigEndian = false) => {
    const bytes = Buffer.from(text, 'utf16le')
    return bigEndian ? bytes.swap16() : bytes
  }
  test.each<[what: string, text: string | Uint8Array, words: readonly string[]]>([
    ['UTF-16', utf16('\uFEFFk,v\n1,2\n'), ['is text in UTF-16', 'iconv -f UTF-16 -t UTF-8']],
    ['UTF-16, the other way round', utf16('\uFEFFk,v\n1,2\n', true), ['is text in UTF-16']],
    ['UTF-16 without a mark', utf16('k,v\n1,2\n'), ['is text in UTF-16', 'iconv -f UTF-16LE']],
    ['UTF-16 without a mark, the other way round', utf16('k,v\n1,2\n', true), ['is text in UTF-16', 'iconv -f UTF-16BE']],
    ['a NUL', 'k,v\n1,2\n3,a\0b\n', ['line 3', 'NUL']],
    ['a NUL in quotes', 'k,v\n1,"2\n\n\0"\n', ['line 4', 'NUL']],
    ['Latin-1', Buffer.from('k,v\n1,2\n2,café\n', 'latin1'), ['line 3: it is not in UTF-8', 'Save the file as UTF-8']],
    ['Latin-1 at the very end', Buffer.from('k,v\n1,2\n2,é', 'latin1'), ['line 3: it is not in UTF-8']],
    ['Latin-1 in the header', Buffer.from('k,café\n1,2\n', 'latin1'), ['line 1', 'not in UTF-8']],
    ['a quote that does not close', 'k,v\n1,2\r\n2,"3\n4,5\n', ['line 3']],
    ['a quote in the middle', 'k,v\n1,"2"3\n', ['line 2']],
    ['too many values after odd line ends', 'k,v\r\n1,2\n"a\r\nb",2\n3,4,5\n', ['line 5', 'it has 3 values, the header names 2 columns']],
    ['too few values after odd line ends', 'k,v\r\n1,2\n3\n', ['line 3', 'it has 1 value']],
    ['a carriage return among line feeds', 'k,v\n1,2\n3,x\ry\n', ['line 3', 'a carriage return alone', 'line feed']],
    ['two carriage returns', 'k,v\r\r\n1,2\r\r\n', ['line 1', 'a carriage return alone']],
    ['an end of file as DOS wrote it', 'k,v\n1,2\n\x1a', ['line 3']],
    ['gzip', Bun.gzipSync(Buffer.from('k,v\n1,2\n')), ['is compressed (gzip)', '.gz']],
    ['Excel', 'PK\x03\x04xxxx', ['is a zip or Excel file']],
    ['Parquet', 'PAR1xxxx', ['is a Parquet file']],
  ])('%s is told with its place', async (_, text, words) => {
    const problem = await loadText('e.csv', text)
    const explained = `${problem?.message} ${problem?.hint}`
    for (const part of ['e.csv', ...words]) expect(explained).toContain(part)
    expect(explained).not.toContain('state machine')
    expect(explained).not.toContain(join(dir, 'data'))
  })

  test.each<[what: string, text: string | Uint8Array, words: string]>([
    ['Latin-1', Buffer.from('{"k":1}\n{"k":"café"}\n', 'latin1'), 'e.jsonl, line 2: it is not in UTF-8'],
    ['no number', '{"k":1}\n{"k":.2}\n{"k":3}\n', 'e.jsonl, line 2: '],
    ['half an object', '{"k":1}\n{"k":3}\n{"k":2\n', 'e.jsonl, line 3: '],
    ['a list with no number', '[{"k":1},\n{"k":.2}]\n', 'e.jsonl, row 2: '],
  ])('%s in JSON is told with its place', async (_, text, words) => {
    expect((await loadText('e.jsonl', text))?.message).toContain(words)
  })

  test('characters that lie across the pieces in which a file is read are whole', async () => {
    const text = `k,v\n${'é€😀'.repeat(130_000)},2\n`
    for (const shift of ['', 'a', 'ab', 'abc']) expect(await loadText('e.csv', text.replace('\n', `\n${shift}`))).toBeUndefined()
  })

  test('a row is found behind quotes in the middle of values, blank lines and odd line ends', async () => {
    const problem = await loadText('e.csv', 'k,t\r\n5" wide,2026-01-02\n\n"a\n""b",2026-01-02\r\nx,soon\n', { timestamp: 't' })
    expect(problem?.message).toContain('line 6: column "t": "soon" is not a time')
    expect((await loadText('e.csv', 'n\n1\n\n2\nx\n', {}, { n: 'int' }))?.message).toContain('line 5')
  })

  test('pushes are read like sources', async () => {
    const read = async (text: string | Uint8Array) => {
      await writeFile(join(dir, 'p.csv'), text)
      const found: Record<string, unknown>[] = []
      for await (const some of readTableFile({ path: join(dir, 'p.csv'), name: 'p.csv', format: 'csv', time: null })) found.push(...some)
      return found.map((row) => ({ ...row }))
    }
    expect(await read('k,value\r\nu1,1\n"u\r\n2",2\r\n')).toEqual([
      { k: 'u1', value: '1' },
      { k: 'u\r\n2', value: '2' },
    ])
    await expect(read(utf16('\uFEFFk,v\n1,2\n'))).rejects.toThrow('p.csv is text in UTF-16')
    await expect(read('k,v\n1,\0\n')).rejects.toThrow('p.csv, line 2')
    await expect(read('k,v\r\n"a\r\nb",1\n2\n')).rejects.toThrow('p.csv, line 4')
  })
})
