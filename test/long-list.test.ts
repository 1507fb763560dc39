import { expect, test } from 'bun:test'
import { ChunkedList, mapped } from '../src/collections/chunked-list.ts'

test.each([0, 1, 4_095, 4_096, 4_097, 20_000])('a list of %d items is like an array', (length) => {
  const list = new ChunkedList<number>()
  const plain: number[] = []
  for (let i = 0; i < length; i++) {
    list.push(i)
    plain.push(i)
  }
  for (let i = 0; i < length; i += 1_000) {
    list.set(i, -i)
    plain[i] = -i
  }
  expect(list.length).toBe(length)
  expect([...list]).toEqual(plain)
  expect([list.at(0), list.at(length - 1), list.at(length)]).toEqual([plain[0], plain[length - 1], undefined])
})

test.each([0, 1, 4_096, 4_097])('%d items may be the same at first', (length) => {
  const list = ChunkedList.filled<string>(length, 'a')
  expect([...list]).toEqual(new Array(length).fill('a'))
  list.push('b')
  expect([list.length, list.at(length)]).toEqual([length + 1, 'b'])
})

test('items made of others are there as often as somebody asks', () => {
  const list = new ChunkedList<number>()
  for (let i = 0; i < 5_000; i++) list.push(i)
  const texts = mapped(list, (i) => `u${i}`)
  expect([texts.length, texts.at(0), texts.at(4_999), texts.at(5_000), texts.at(-1)]).toEqual([5_000, 'u0', 'u4999', undefined, undefined])
  expect([...texts]).toEqual(Array.from({ length: 5_000 }, (_, i) => `u${i}`))
})
