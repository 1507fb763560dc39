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

const served = (row: ReturnType<ReturnType<typeof createDecodedRows>>) => row.map((value) => value?.texts?.[0])

test('a key that has not changed is decoded once, one that has is decoded anew', () => {
  const decoded = createDecodedRows()
  const first = decoded(layout, 'k', texts('1'))
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
  expect(served(decoded(layout, 'k', texts('1')))).toEqual(['1', '1', '1', '1'])
  expect(decoded(layout, 'l', texts('1'))).not.toBe(decoded(layout, 'k', texts('1')))
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
  const used = decoded(layout, 'used', texts('1'))
  const unused = decoded(layout, 'unused', texts('1'))
  for (let i = 0; i < 20; i++) {
    decoded(layout, `k${i}`, texts('1'))
    expect(decoded(layout, 'used', texts('1'))).toBe(used)
  }
  expect(decoded(layout, 'unused', texts('1'))).not.toBe(unused)
})
