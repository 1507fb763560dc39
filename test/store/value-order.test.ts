import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { isNewer, replaces, type ValueOrder } from '../../src/store/ports/value-order.ts'

/** Few different numbers, so that ties are frequent. */
const few = fc.nat(2)
const order: fc.Arbitrary<ValueOrder> = fc.record({ eventAt: few, availableAt: few, seq: few })
const columns = ({ eventAt, availableAt, seq }: ValueOrder) => eventAt * 100 + availableAt * 10 + seq

test('values are ordered by event time, then by available time, then by sequence', () => {
  fc.assert(
    fc.property(order, order, (one, other) => isNewer(one, other) === columns(one) > columns(other)),
    { numRuns: 1_000 },
  )
})

test('of two values one replaces the other, whichever comes first; of equals the one that comes last', () => {
  fc.assert(
    fc.property(order, order, (one, other) => {
      const isEqual = columns(one) === columns(other)
      expect([replaces(one, other), replaces(other, one)]).toEqual(isEqual ? [true, true] : [isNewer(one, other), isNewer(other, one)])
    }),
    { numRuns: 1_000 },
  )
})
