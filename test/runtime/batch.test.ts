/** Functions that take many keys at once: what they are given, and what becomes of what they give. */
import { expect, test } from 'bun:test'
import { AS_OF, bench, HEAD } from './project.ts'

const FEATURES = `${HEAD}
export const sizes = feature({ entity: User, refresh: '5m', type: 'json', batch: 3 }, (ids) => ids.map((id) => [id, ids.length]))
export const picky = feature({ entity: User, refresh: '5m', type: 'int', batch: true }, async (ids) =>
  ids.map((id) => (id === 'bad' ? 'x' : id === 'gone' ? undefined : id === 'failed' ? new Error('no such user') : id === 'null' ? null : id.length)))
export const short = feature({ entity: User, refresh: '5m', type: 'int', batch: 10 }, (ids) => ids.slice(1).map(() => 1))
export const single = feature({ entity: User, refresh: '5m', type: 'int', batch: 10 }, () => 1)
export const down = feature({ entity: User, refresh: '5m', type: 'int', batch: 10 }, () => { throw new Error('the model is away') })
export const parts = feature({ entity: User, refresh: '5m', type: 'int', batch: 10 }, async (ids, { get }) => [await get(sizes)])
export const priced = feature({ entity: User, refresh: 0, inputs: { amount: 'float' }, type: 'float', batch: 10 }, (ids, { inputs }) =>
  inputs.map(({ amount }) => amount * ids.length))
export const spread = feature({ entity: User, refresh: '5m', columns: { low: 'float', high: 'float' }, nan: 'null', batch: 10 }, (ids) =>
  ids.map((id) => ({ low: Number.NaN, high: id.length })))
export const slow = feature({ entity: User, refresh: '5m', type: 'int', batch: 2, timeout: '5s' }, (ids) =>
  ids.includes('hangs') ? new Promise(() => {}) : ids.map(() => 1))
`

test('a function with batch gets lists of keys and answers for each', async () => {
  await using on = await bench({ 'features.ts': FEATURES })
  const texts = async (feature: string, keys: readonly string[], options = {}) =>
    (
      await on.askMany(
        feature,
        keys.map((key) => [key]),
        options,
      )
    ).map((one) => (one.kind === 'value' ? one.texts.join() : one.kind === 'error' ? one.error.message : one.kind))

  // Chunks of three, each in the order of its keys; one key is a list of one.
  expect(await texts('sizes', ['a', 'b', 'c', 'd'])).toEqual(['["a",3]', '["b",3]', '["c",3]', '["d",1]'])
  expect(await texts('sizes', ['z'])).toEqual(['["z",1]'])

  // One that is wrong or has failed harms none beside it.
  expect(await texts('picky', ['a', 'bad', 'bb', 'gone', 'ccc', 'failed', 'null'])).toEqual([
    '1',
    'feature "picky" for key "bad": expected int, got the string "x".',
    '2',
    'feature "picky" for key "gone": the list that the function returned has nothing in its place.',
    '3',
    'feature "picky" failed for key "failed".',
    'null',
  ])
  expect(on.lines.find(({ fields }) => fields['key'] === 'failed')?.fields['error']).toContain('no such user')

  // A call that fails as a whole fails for all its keys.
  expect(await texts('short', ['a', 'b'])).toEqual(
    ['a', 'b'].map((key) => `feature "short" for key "${key}": the function returned 1 values for 2 keys.`),
  )
  expect(await texts('single', ['a', 'b'])).toEqual(
    ['a', 'b'].map((key) => `feature "single" for key "${key}": the function returned a number for 2 keys.`),
  )
  expect(await texts('down', ['a', 'b'])).toEqual(['a', 'b'].map((key) => `feature "down" failed for key "${key}".`))
  expect((await texts('parts', ['a', 'b']))[0]).toBe('feature "parts" failed for key "a".')
  expect(on.lines.find(({ fields }) => fields['feature'] === 'parts')?.fields['error']).toContain(
    'get("sizes") cannot be used by a function that takes many keys',
  )

  // Inputs stand beside the keys, columns in every element, and NaN is null where that was chosen.
  expect(await texts('priced', ['a', 'b'], { inputs: { amount: 2.5 } })).toEqual(['5', '5'])
  expect(await texts('spread', ['a', 'bb'])).toEqual(['null,1', 'null,2'])

  // Each list has its own deadline.
  expect(await texts('slow', ['a', 'hangs', 'c', 'd'])).toEqual([
    'feature "slow" did not answer within 5000 ms for key "a".',
    'feature "slow" did not answer within 5000 ms for key "hangs".',
    '1',
    '1',
  ])
}, 180_000)

test('rows of one as-of time go together', async () => {
  await using on = await bench({ 'features.ts': FEATURES })
  const asOfs = [AS_OF, AS_OF + 1_000_000, AS_OF, AS_OF + 1_000_000]
  const answers = await on.askMany('sizes', [['a'], ['b'], ['c'], ['d']], { mode: 'past', asOfs })
  expect(answers.map((one) => (one.kind === 'value' ? one.texts[0] : one.kind))).toEqual(['["a",2]', '["b",2]', '["c",2]', '["d",2]'])
}, 180_000)
