import { expect, test } from 'bun:test'
import { KeyRows, NumberColumns, ValueColumn } from '../src/columns.ts'

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

test('names another key each time, the oldest first', () => {
  const rows = new KeyRows()
  expect(rows.any()).toBeUndefined()
  for (const key of ['a', 'b', 'c']) rows.add(key)
  rows.drop('b')
  expect([rows.any(), rows.any(), rows.any()]).toEqual(['a', 'c', 'a'])
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
