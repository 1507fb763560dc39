import { expect, test } from 'bun:test'
import { createDecodedRows } from '../../src/store/redis/decoded-rows.ts'
import { layoutOf } from '../../src/store/redis/layout.ts'
import { bucketOf, recordBody, recordHead } from '../../src/store/redis/record.ts'

const FIELDS = ['a@1', 'b@1', 'c@1', 'd@1']
const layout = layoutOf(FIELDS)

/** What Redis answers when each field holds this value. */
function texts(value: string): Buffer[] {
  const record = (field: string) =>
    recordHead(field) + recordBody({ texts: [value], eventAt: 7, availableAt: 8, token: 9, origin: 'pushed', oldestInputAt: null })
  const inBucket = (bucket: string) => FIELDS.filter((field) => bucketOf(field) === bucket).map(record)
  return layout.buckets.map((bucket) => Buffer.from(inBucket(bucket).join('')))
}

/** A key is kept when it is read again. */
const readTwice = (decoded: ReturnType<typeof createDecodedRows>, hash: string) => {
  decoded(layout, hash, texts('1'))
  return decoded(layout, hash, texts('1'))
}

const served = (row: ReturnType<ReturnType<typeof createDecodedRows>>) => row.map((value) => value?.texts?.[0])

test('a key that has not changed since it was read twice is not decoded again, one that has is decoded anew', () => {
  const decoded = createDecodedRows()
  const first = readTwice(decoded, 'k')
  expect(served(first)).toEqual(['1', '1', '1', '1'])
  expect(decoded(layout, 'k', texts('1'))).toBe(first)
  expect(served(decoded(layout, 'k', texts('2')))).toEqual(['2', '2', '2', '2'])
  expect(served(decoded(layout, 'k', texts('1')))).toEqual(['1', '1', '1', '1'])
  // A reader who still holds the old row goes on seeing it.
  expect(served(first)).toEqual(['1', '1', '1', '1'])
  expect(
    decoded(
      layout,
      'k',
      layout.buckets.map(() => null),
    ),
  ).toEqual([undefined, undefined, undefined, undefined])
})

test('keys and feature lists are not taken for each other', () => {
  const decoded = createDecodedRows()
  const other = layoutOf([...FIELDS].reverse())
  expect(readTwice(decoded, 'l')).not.toBe(readTwice(decoded, 'k'))
  const one = layout.buckets.map((_, i) => texts('1')[i] as Buffer)
  expect(
    decoded(
      other,
      'k',
      other.buckets.map((bucket) => one[layout.buckets.indexOf(bucket)] as Buffer),
    ),
  ).not.toBe(decoded(layout, 'k', one))
})

test('keys that nobody reads are let go, those in use stay', () => {
  const decoded = createDecodedRows(8 * FIELDS.length)
  const used = readTwice(decoded, 'used')
  const unused = readTwice(decoded, 'unused')
  for (let i = 0; i < 20; i++) {
    readTwice(decoded, `k${i}`)
    expect(decoded(layout, 'used', texts('1'))).toBe(used)
  }
  expect(decoded(layout, 'unused', texts('1'))).not.toBe(unused)
})

test('more keys than can be kept are decoded each time, and take no place', () => {
  const decoded = createDecodedRows(8 * FIELDS.length)
  const used = readTwice(decoded, 'used')
  for (let round = 0; round < 3; round++)
    for (let i = 0; i < 100; i++) expect(served(decoded(layout, `k${i}`, texts('1')))).toEqual(['1', '1', '1', '1'])
  expect(decoded(layout, 'used', texts('1'))).toBe(used)
})
