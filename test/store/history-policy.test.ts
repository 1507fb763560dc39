import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createHistoryPolicy, type JudgedValue } from '../../src/store/recording/history-policy.ts'
import { feature } from '../support/stored-definitions.ts'

const SECOND = 1e6
const TEXTS = ['1', '1.0', '-0', '"1"', '{"a":1}', null]
const value = (text: string | null, eventAt: number): JudgedValue => ({
  text,
  eventAt,
  availableAt: eventAt,
  origin: 'computed',
  seq: eventAt,
})

test('features of one entity remember its keys each for itself', () => {
  const step = fc.record({
    feature: fc.nat(2),
    key: fc.nat(5).map((n) => `u${n}`),
    text: fc.constantFrom(...TEXTS),
    isForgotten: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const together = createHistoryPolicy()
      const apart = createHistoryPolicy()
      for (const [i, { feature: f, key, text, isForgotten }] of steps.entries()) {
        const name = `feature_${f}`
        const judged = value(text, i * SECOND)
        if (isForgotten) for (const policy of [together, apart]) policy.forget([name], key)
        const judgement = together.of(feature({ name })).judge(key, judged)
        expect(judgement).toEqual(apart.of(feature({ name, entity: name })).judge(key, judged))
      }
    }),
  )
})

test('remembers so many keys of each feature, and of the rest what was remembered for longer goes', () => {
  const policy = createHistoryPolicy(3)
  const [few, many] = [policy.of(feature({ name: 'few' })), policy.of(feature({ name: 'many' }))]
  const isRemembered = (of: typeof few, key: string) => of.judge(key, value('1', 2 * SECOND)).rows.length === 0
  for (const key of ['a', 'b']) few.judge(key, value('1', SECOND))
  for (const key of ['a', 'b', 'c', 'd', 'e']) many.judge(key, value('1', SECOND))
  expect(['c', 'd', 'e'].map((key) => isRemembered(many, key))).toEqual([true, true, true])
  expect(['a', 'b'].map((key) => isRemembered(few, key))).toEqual([true, true])
  expect(isRemembered(many, 'a')).toBe(false)
  expect(['c', 'd', 'e'].map((key) => isRemembered(many, key)).filter((kept) => kept).length).toBeLessThan(3)
})

test('of a value left out and a late one of the same moments, history tells the one accepted last last', () => {
  const policy = createHistoryPolicy().of(feature({ name: 'score' }))
  policy.judge('u1', value('1', SECOND))
  const suppressed = { ...value('1', 2 * SECOND), seq: 9 }
  expect(policy.judge('u1', suppressed).rows).toEqual([])
  const late = { ...value('2', 2 * SECOND), seq: 8 }
  expect(policy.judge('u1', late).rows).toEqual([late, suppressed])
})

test('a value that is overtaken by one available later at the same event time does not become the newest', () => {
  const policy = createHistoryPolicy().of(feature({ name: 'score' }))
  const corrected = { ...value('2', SECOND), availableAt: 3 * SECOND, seq: 1 }
  policy.judge('u1', corrected)
  const older = { ...value('1', SECOND), availableAt: 2 * SECOND, seq: 2 }
  expect(policy.judge('u1', older).rows).toEqual([older])
  expect(policy.judge('u1', value('2', 4 * SECOND)).rows).toEqual([])
})

test('of a feature that is pushed every value is written, and none of its keys is remembered', () => {
  const policy = createHistoryPolicy().of(feature({ name: 'score', computation: { kind: 'pushed' } }))
  for (const eventAt of [SECOND, 2 * SECOND, SECOND]) {
    const pushed: JudgedValue = { ...value('1', eventAt), origin: 'pushed' }
    expect(policy.judge('u1', pushed)).toEqual({ rows: [pushed], after: undefined })
  }
})
