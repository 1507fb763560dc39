import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Reply, RespReader } from '../../src/store/redis/socket/resp-reader.ts'

type RawReply = (string | null)[] | { readonly word: string } | { readonly error: string }

const bulk = (text: string | null) => (text === null ? '$-1\r\n' : `$${Buffer.byteLength(text)}\r\n${text}\r\n`)
const wire = (raw: RawReply) => {
  if (Array.isArray(raw)) return `*${raw.length}\r\n${raw.map(bulk).join('')}`
  return 'word' in raw ? `+${raw.word}\r\n` : `-${raw.error}\r\n`
}
/** What is handed on: of a row all that comes behind the number of its texts. */
const handedOn = (one: RawReply) => {
  if (Array.isArray(one)) return Buffer.from(one.map(bulk).join(''))
  return 'word' in one ? one.word : new Error(one.error)
}
/** Read from bytes that come in pieces of the given sizes, again and again. */
function read(bytes: Buffer, sizes: readonly number[]): Reply[] {
  const found: Reply[] = []
  const reader = new RespReader((reply) => found.push(reply))
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number
    reader.take(bytes.subarray(at, at + size))
    at += size
  }
  return found
}

const word = fc.stringMatching(/^[A-Z ]{1,12}$/)
const rawReply: fc.Arbitrary<RawReply> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(fc.option(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('', '\r\n', '$-1\r\n', '*1\r\n')))),
  },
  { weight: 1, arbitrary: word.map((text) => ({ word: text })) },
  { weight: 1, arbitrary: word.map((text) => ({ error: text })) },
)

describe('replies', () => {
  test('are read as they were written, wherever they are cut', () => {
    fc.assert(
      fc.property(
        fc.array(rawReply, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
        (all, sizes) => {
          expect(read(Buffer.from(all.map(wire).join('')), sizes)).toEqual(all.map(handedOn))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('of many pieces are put together once', () => {
    const large = 'x'.repeat(20_000_000)
    const bytes = Buffer.from(wire([large, null, 'after']))
    expect(read(bytes, [16_384])).toEqual([handedOn([large, null, 'after'])])
  })

  test('of another kind, and bytes that are none, are refused', () => {
    for (const bytes of [':1\r\n', '$1\r\nx\r\n', '%0\r\n', '*1\r\n:1\r\n', '*1\r\n*0\r\n', 'x']) {
      expect(() => read(Buffer.from(bytes), [1])).toThrow('Redis answered')
    }
  })
})
