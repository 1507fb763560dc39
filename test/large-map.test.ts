import { expect, test } from 'bun:test'
import { ShardedMap } from '../src/collections/sharded-map.ts'

const KEYS = 20_000

test.each([
  ['numbered', (i: number) => `u${i}`],
  ['numbered with an end in common', (i: number) => `user-${i}-eu`],
  ['uuids', (i: number) => `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`],
  ['odd', (i: number) => (i === 0 ? '' : `é\u{1f600}${i}`)],
])('holds many keys as a plain map does: %s', (_, keyOf) => {
  const large = new ShardedMap<number>()
  const plain = new Map<string, number>()
  for (let i = 0; i < KEYS; i++) {
    large.set(keyOf(i), i)
    plain.set(keyOf(i), i)
    if (i % 3 === 0) expect(large.delete(keyOf(i - 1))).toBe(plain.delete(keyOf(i - 1)))
    if (i % 5 === 0) plain.set(keyOf(i), -i) && large.set(keyOf(i), -i)
  }
  expect(large.size).toBe(plain.size)
  expect(Object.fromEntries([...large])).toEqual(Object.fromEntries([...plain]))
  for (let i = 0; i < KEYS; i++) expect([large.get(keyOf(i)), large.has(keyOf(i))]).toEqual([plain.get(keyOf(i)), plain.has(keyOf(i))])
  expect([...large.keys()].length).toBe([...large.values()].length)
  large.clear()
  expect([large.size, large.get(keyOf(1)), [...large]]).toEqual([0, undefined, []])
})

test('gives few keys in the order they came', () => {
  const map = new ShardedMap<number>()
  for (const key of ['b', 'a', 'c']) map.set(key, 1)
  expect([...map.keys()]).toEqual(['b', 'a', 'c'])
})

test('every key can be taken out while all are looked at', () => {
  const map = new ShardedMap<number>()
  for (let i = 0; i < KEYS; i++) map.set(`u${i}`, i)
  for (const [key, value] of map) if (value % 4 === 0) map.delete(key)
  map.forEach((value, key) => {
    if (value % 4 === 2) map.delete(key)
  })
  expect(map.size).toBe(KEYS / 2)
  expect([...map.values()].every((value) => value % 2 === 1)).toBe(true)
})
