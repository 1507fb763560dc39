import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { StoredValue } from '../../src/store/ports/online-store.ts'
import { bucketOf, recordBody, recordHead } from '../../src/store/redis/format/record.ts'
import { RowCache } from '../../src/store/redis/format/row-cache.ts'
import { type Layout, layoutOf, type Row, readRow } from '../../src/store/redis/format/row-layout.ts'

const FIELDS = ['a@1', 'b@1', 'c@1', 'd@1']
const layout = layoutOf(FIELDS)
const valued = (text: string, eventAt = 7): StoredValue => ({
  texts: [text],
  eventAt,
  availableAt: 8,
  seq: 9,
  origin: 'pushed',
  oldestInputAt: null,
})

/** What Redis answers for a layout when its fields hold these values, in the order given. */
function answer({ buckets }: Layout, held: readonly (readonly [field: string, value: StoredValue])[]): Buffer {
  const text = (bucket: string) =>
    held.flatMap(([field, value]) => (bucketOf(field) === bucket ? [recordHead(field) + recordBody(value)] : [])).join('')
  const bulk = (one: string) => (one === '' ? '$-1\r\n' : `$${Buffer.byteLength(one)}\r\n${one}\r\n`)
  return Buffer.from(buckets.map((bucket) => bulk(text(bucket))).join(''))
}
const texts = (value: string, of = layout) =>
  answer(
    of,
    FIELDS.map((field) => [field, valued(value)] as const),
  )
const served = (row: Row) => row.map((value) => value?.texts?.[0])
/** A key is kept decoded when it is read again. */
const readTwice = (known: RowCache, hash: string) => {
  known.take(layout, hash, texts('1'))
  return known.take(layout, hash, texts('1'))
}

const found = (known: RowCache, hash: string, field: string) => known.find(layoutOf([field]), hash)[0]

describe('a row', () => {
  const micros = fc.integer({ min: -(2 ** 50), max: 2 ** 50 })
  const value: fc.Arbitrary<StoredValue> = fc.record({
    texts: fc.option(fc.array(fc.json({ maxDepth: 1 }), { minLength: 1, maxLength: 3 })),
    eventAt: micros,
    availableAt: micros,
    seq: fc.nat(),
    origin: fc.constantFrom('computed', 'pushed', 'backfill'),
    oldestInputAt: fc.option(micros),
  })
  const field = fc.nat(30).map((n) => `feature_${n}@1`)

  test('is read as it was written, in whatever order and among whatever else', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(field, value), { selector: ([name]) => name, maxLength: 20 }),
        fc.array(field, { minLength: 1, maxLength: 20 }),
        (held, asked) => {
          const row = readRow(layoutOf(asked), answer(layoutOf(asked), held).toString())
          expect(row).toEqual(asked.map((name) => held.find(([other]) => other === name)?.[1]))
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

describe('a packed row', () => {
  const plain = (row: Row) =>
    row.map(
      (value) =>
        value && {
          texts: value.texts,
          eventAt: value.eventAt,
          availableAt: value.availableAt,
          seq: value.seq,
          origin: value.origin,
          oldestInputAt: value.oldestInputAt,
        },
    )
  const micros = fc.constantFrom(-3, 0, 7, 70, 71, 1_800_000_000_000_000)
  const text = fc.oneof(fc.json({ maxDepth: 1 }), fc.constant(JSON.stringify('ü'.repeat(50))))
  const value: fc.Arbitrary<StoredValue> = fc.record({
    texts: fc.oneof<fc.WeightedArbitrary<readonly string[] | null>[]>(
      { weight: 8, arbitrary: fc.tuple(text) },
      { weight: 1, arbitrary: fc.option(fc.array(text, { minLength: 2, maxLength: 3 })) },
    ),
    eventAt: micros,
    availableAt: micros,
    seq: fc.nat(),
    origin: fc.constantFrom('computed', 'pushed', 'backfill'),
    oldestInputAt: fc.option(micros, { freq: 2 }),
  })
  const fields = ['a@1', 'aa@1', 'b@1', 'c@1', 'c@2']
  const held = fc
    .tuple(fc.shuffledSubarray(fields, { minLength: 3 }), fc.array(value, { minLength: fields.length, maxLength: fields.length }))
    .map(([names, values]) => names.map((name, i) => [name, values[i] as StoredValue] as const))

  test('says what the values say, whatever the rows before it were like', () => {
    let packed = 0
    fc.assert(
      fc.property(fc.array(held, { minLength: 1, maxLength: 8 }), fc.array(fc.constantFrom(...fields), { minLength: 2 }), (rows, asked) => {
        const known = new RowCache()
        const of = layoutOf(asked)
        for (const [r, one] of rows.entries())
          for (const _ of [1, 2, 3]) {
            const row = known.take(of, `k${r}`, answer(of, one))
            const expected = asked.map((name) => one.find(([other]) => other === name)?.[1])
            expect(plain(row)).toEqual(expected)
            const eventAts = expected.map((found) => (found?.texts?.length === 1 ? found.eventAt : undefined))
            if (eventAts.includes(undefined)) {
              expect(row.packed).toBeUndefined()
              continue
            }
            packed++
            expect(row.packed?.json).toBe(expected.map((found) => found?.texts?.[0]).join(','))
            expect(row.packed?.times).toEqual({ eventAts: eventAts as number[], oldestAt: Math.min(...(eventAts as number[])) })
          }
      }),
      { numRuns: 1_000 },
    )
    expect(packed).toBeGreaterThan(100)
  })

  test('shares its times with the row before it where they are the same', () => {
    const known = new RowCache()
    const timesOf = (hash: string, eventAt: number) => {
      const held = FIELDS.map((field) => [field, valued(hash, eventAt)] as const)
      return known.take(layout, hash, answer(layout, held)).packed?.times
    }
    const first = timesOf('k1', 5)
    expect(first).toEqual({ eventAts: [5, 5, 5, 5], oldestAt: 5 })
    expect(timesOf('k2', 5)).toBe(first)
    expect(timesOf('k3', 6)).toEqual({ eventAts: [6, 6, 6, 6], oldestAt: 6 })
  })

  test('of a beginning that is cut off no more is made than of any other', () => {
    for (const end of ['', '7', '7\x1f', '7\x1f1\x1f2', '7\x1f1\x1f2\x1fp', '7\x1f1\x1f2\x1fp\x1f'])
      expect(new RowCache().take(layout, 'k', Buffer.from(FIELDS.map((field) => recordHead(field) + end).join(''))).packed).toBeUndefined()
  })
})

describe('known rows', () => {
  test('a key that has not changed since it was read twice is not decoded again, one that has is decoded anew', () => {
    const known = new RowCache()
    const first = readTwice(known, 'k')
    expect(served(first)).toEqual(['1', '1', '1', '1'])
    expect(known.take(layout, 'k', texts('1'))).toBe(first)
    expect(served(known.take(layout, 'k', texts('2')))).toEqual(['2', '2', '2', '2'])
    expect(served(known.take(layout, 'k', texts('1')))).toEqual(['1', '1', '1', '1'])
    // A reader who still holds the old row goes on seeing it.
    expect(served(first)).toEqual(['1', '1', '1', '1'])
    expect(known.take(layout, 'k', answer(layout, []))).toEqual([undefined, undefined, undefined, undefined])
  })

  test('keys and feature lists are not taken for each other', () => {
    const known = new RowCache()
    const other = layoutOf([...FIELDS].reverse())
    expect(readTwice(known, 'l')).not.toBe(readTwice(known, 'k'))
    known.take(other, 'k', texts('1', other))
    expect(known.take(other, 'k', texts('1', other))).not.toBe(known.take(layout, 'k', texts('1')))
  })

  test('rows that nobody reads are let go, those in use stay', () => {
    const known = new RowCache({ bytes: 1e9, decoded: 8 * FIELDS.length })
    const used = readTwice(known, 'used')
    const unused = readTwice(known, 'unused')
    for (let i = 0; i < 20; i++) {
      readTwice(known, `k${i}`)
      expect(known.take(layout, 'used', texts('1'))).toBe(used)
    }
    expect(known.take(layout, 'unused', texts('1'))).not.toBe(unused)
  })

  test('more keys than can be kept are decoded each time, and take no place', () => {
    const known = new RowCache({ bytes: 1e9, decoded: 8 * FIELDS.length })
    const used = readTwice(known, 'used')
    for (let round = 0; round < 3; round++)
      for (let i = 0; i < 100; i++) expect(served(known.take(layout, `k${i}`, texts('1')))).toEqual(['1', '1', '1', '1'])
    expect(known.take(layout, 'used', texts('1'))).toBe(used)
  })

  test('the newest value that was told of is found, whichever list it came in', () => {
    const known = new RowCache()
    const single = layoutOf(['b@1'])
    expect(found(known, 'k', 'b@1')).toBeUndefined()
    known.take(layout, 'k', answer(layout, [['b@1', valued('old', 5)]]))
    known.take(single, 'k', answer(single, [['b@1', valued('new', 6)]]))
    known.take(layout, 'other', answer(layout, [['b@1', valued('of another key', 9)]]))
    expect(found(known, 'k', 'b@1')).toEqual(valued('new', 6))
    known.take(layout, 'k', answer(layout, [['b@1', valued('newest', 7)]]))
    expect(known.find(layoutOf(['z@1', 'b@1', 'a@1', 'b@1']), 'k')).toEqual([
      undefined,
      valued('newest', 7),
      undefined,
      valued('newest', 7),
    ])
  })

  test.each([
    ['available later', { availableAt: 9 }],
    ['accepted later', { seq: 10 }],
  ])('of two values with one event time the one %s is found, whichever list it came in', (_, later) => {
    const single = layoutOf(['b@1'])
    const first = valued('first')
    const corrected = { ...valued('corrected'), ...later }
    for (const list of [layout, single]) {
      const known = new RowCache()
      for (const one of [layout, single]) known.take(one, 'k', answer(one, [['b@1', first]]))
      known.take(list, 'k', answer(list, [['b@1', corrected]]))
      expect(found(known, 'k', 'b@1')).toEqual(corrected)
    }
  })

  test('texts of keys that nobody reads are let go, those in use stay', () => {
    const known = new RowCache({ bytes: 20_000, decoded: 1e9 })
    const isKnown = (hash: string) => found(known, hash, 'a@1') !== undefined
    known.take(layout, 'unused', texts('1'))
    for (let i = 0; i < 200; i++) {
      known.take(layout, 'used', texts('1'))
      known.take(layout, `k${i}`, texts('1'))
    }
    expect([isKnown('used'), isKnown('k199'), isKnown('unused'), isKnown('k0')]).toEqual([true, true, false, false])
  })

  test('few lists of one key are kept: those that came last', () => {
    const known = new RowCache()
    const lists = FIELDS.concat('e@1').map((field) => [field])
    for (const list of lists) known.take(layoutOf(list), 'k', answer(layoutOf(list), [[list[0] as string, valued('1')]]))
    expect(lists.map(([field]) => found(known, 'k', field as string) !== undefined)).toEqual([false, true, true, true, true])
  })
})
