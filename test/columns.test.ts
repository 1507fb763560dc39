import { expect, test } from 'bun:test'
import { JsonColumn, KeyRows, NumberColumns, ValueColumn } from '../src/collections/column-store.ts'

const KEYS = 20_000

test('keeps what was set of each key, whatever was dropped and added meanwhile', () => {
  const rows = new KeyRows()
  const numbers = new NumberColumns(2)
  const texts = new ValueColumn<string>()
  const plain = new Map<string, { first: number; second: number; text: string | undefined }>()
  for (let i = 0; i < KEYS; i++) {
    const row = rows.add(`u${i}`)
    const record = { first: i, second: -i, text: i % 3 === 0 ? undefined : `t${i}` }
    numbers.set(row, 0, record.first)
    numbers.set(row, 1, record.second)
    texts.set(row, record.text)
    plain.set(`u${i}`, record)
    if (i % 7 !== 6) continue
    const gone = `u${i - 3}`
    expect(rows.drop(gone)).toBeDefined()
    plain.delete(gone)
  }
  expect(rows.size).toBe(plain.size)
  expect([...plain.keys()].every((key) => rows.of(key) !== undefined)).toBe(true)
  expect(rows.of('u3')).toBeUndefined()
  for (const [key, record] of plain) {
    const row = rows.of(key) ?? Number.NaN
    expect({ first: numbers.get(row, 0), second: numbers.get(row, 1), text: texts.get(row) }).toEqual(record)
  }
})

test('gives the row of a dropped key to the next one', () => {
  const rows = new KeyRows()
  const first = rows.add('a')
  rows.add('b')
  expect([rows.drop('a'), rows.drop('a'), rows.of('a')]).toEqual([first, undefined, undefined])
  expect(rows.add('c')).toBe(first)
})

test('names the key of a row as long as it has it', () => {
  const rows = new KeyRows()
  expect([rows.end, rows.keyOf(0)]).toEqual([0, undefined])
  for (const key of ['a', 'b', 'c']) rows.add(key)
  rows.drop('b')
  expect([rows.end, rows.keyOf(0), rows.keyOf(1), rows.keyOf(2)]).toEqual([3, 'a', undefined, 'c'])
})

test.each([
  '0',
  '-0',
  '1',
  '-1.5',
  '1e21',
  '1e+21',
  '1E2',
  '01',
  '0.10',
  '12345678901234567890',
  '9007199254740993',
  '-',
  '',
  '""',
  '"1"',
  'true',
  'null',
  '[1]',
  '{"a":1}',
  'NaN',
  'Infinity',
  ' 1',
  '1 ',
])('gives back the text %p just as it was set', (text) => {
  const column = new JsonColumn()
  column.set(70, text)
  column.set(71, '"other"')
  expect([column.get(69), column.get(70), column.get(71), column.get(72)]).toEqual([null, text, '"other"', null])
  for (const next of ['4', '"four"', null, text]) {
    column.set(70, next)
    expect(column.get(70)).toBe(next)
  }
})

test.each([0, 63, 64, 4_095, 4_096, 100_000])('row %d may be the first that is set', (row) => {
  const numbers = new NumberColumns(3)
  const texts = new ValueColumn<string | null>()
  expect([numbers.get(row, 1), texts.get(row)]).toEqual([Number.NaN, undefined])
  numbers.set(row, 1, 5)
  texts.set(row, null)
  expect([numbers.get(row, 0), numbers.get(row, 1), texts.get(row)]).toEqual([Number.NaN, 5, null])
  expect([numbers.get(row + 1, 1), texts.get(row + 1)]).toEqual([Number.NaN, undefined])
})
