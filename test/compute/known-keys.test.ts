/** Whether a source has any of the keys that labels name. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { hasAnyKey } from '../../src/compute/sql/known-keys.ts'
import { type ComputeBench, openComputeBench } from '../support/compute-bench.ts'

let bench: ComputeBench
beforeAll(async () => {
  bench = await openComputeBench(1)
  await bench.execute('CREATE TABLE ev (user_id VARCHAR); INSERT INTO ev SELECT * FROM range(1, 1001)')
})
afterAll(() => bench.store.close())

test('lists of any length are looked for with a few texts, and what is in one of them is found', async () => {
  const texts = new Set<string>()
  const store: typeof bench.store = {
    ...bench.store,
    query: (text, ...rest) => {
      texts.add(text)
      return bench.store.query(text, ...rest)
    },
  }
  const place = { source: 'ev', column: 'user_id' }
  const strangers = (count: number) => Array.from({ length: count }, (_, i) => `x${i}`)
  for (const count of [1, 2, 3, 5, 17, 19, 20, 31, 999, 1_000]) {
    expect(await hasAnyKey(store, place, strangers(count))).toBe(false)
    expect(await hasAnyKey(store, place, [...strangers(count - 1), '7'])).toBe(true)
  }
  expect(texts.size).toBeLessThanOrEqual(6)
  expect(await hasAnyKey(store, place, [])).toBeNull()
  expect(await hasAnyKey(store, { ...place, column: 'nowhere' }, ['1'])).toBeNull()
})
