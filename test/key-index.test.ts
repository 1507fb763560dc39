import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { KeyIndex } from '../src/collections/key-index.ts'

test('finds what a map would find, whatever was added and dropped before', () => {
  const step = fc.record({ key: fc.string({ maxLength: 3 }), drop: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const texts: string[] = []
      const index = new KeyIndex((row) => texts[row])
      const plain = new Map<string, number>()
      for (const { key, drop } of steps) {
        expect(index.of(key)).toBe(plain.get(key))
        if (drop) {
          expect(index.drop(key)).toBe(plain.get(key))
          plain.delete(key)
        } else if (!plain.has(key)) {
          texts.push(key)
          index.add(key, texts.length - 1)
          plain.set(key, texts.length - 1)
        }
        expect(index.size).toBe(plain.size)
      }
      for (const [key, row] of plain) expect(index.of(key)).toBe(row)
    }),
  )
})

// So many that some of them share a hash.
test('holds hundreds of thousands of keys, and each is found as itself', () => {
  const texts = Array.from({ length: 300_000 }, () => crypto.randomUUID())
  const index = new KeyIndex((row) => texts[row])
  for (const [row, text] of texts.entries()) index.add(text, row)
  for (const [row, text] of texts.entries()) if (row % 3 === 0 && index.drop(text) !== row) throw new Error(`${text} is not in row ${row}.`)
  const found = texts.map((text) => index.of(text))
  expect(found).toEqual(texts.map((_, row) => (row % 3 === 0 ? undefined : row)))
  expect(index.size).toBe(200_000)
})
