import { describe, expect, test } from 'bun:test'
import { createOutageValues } from '../../src/serving/outage-values.ts'
import type { StoredValue } from '../../src/store/ports/online-store.ts'

const computed = (text: string, eventAt: number, availableAt = eventAt): StoredValue => ({
  texts: [text],
  eventAt,
  availableAt,
  seq: 0,
  origin: 'computed',
  oldestInputAt: null,
})

describe('a value computed while the online store is away', () => {
  test('is kept where a computation that began earlier ends later', () => {
    const copies = createOutageValues()
    copies.keep('u1', 'score@1', computed('new', 2))
    copies.keep('u1', 'score@1', computed('old', 1))
    expect(copies.find('u1', 'score@1')).toEqual(computed('new', 2))
  })

  test('is kept where an older correction of the same event time comes later', () => {
    const copies = createOutageValues()
    copies.keep('u1', 'score@1', computed('corrected', 1, 3))
    copies.keep('u1', 'score@1', computed('first', 1, 2))
    expect(copies.find('u1', 'score@1')).toEqual(computed('corrected', 1, 3))
  })

  test('is kept over an older one though it is of the older half of all', () => {
    const copies = createOutageValues(4)
    copies.keep('u1', 'score@1', computed('new', 2))
    copies.keep('u2', 'score@1', computed('other', 1))
    copies.keep('u1', 'score@1', computed('old', 1))
    expect(copies.find('u1', 'score@1')).toEqual(computed('new', 2))
  })

  test('gives way to one that is newer, and to one of the same moment that came later', () => {
    const copies = createOutageValues()
    copies.keep('u1', 'score@1', computed('first', 1))
    copies.keep('u1', 'score@1', computed('second', 1))
    expect(copies.find('u1', 'score@1')).toEqual(computed('second', 1))
    copies.keep('u1', 'score@1', computed('third', 2))
    expect(copies.find('u1', 'score@1')).toEqual(computed('third', 2))
  })
})
