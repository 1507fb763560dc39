import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { ValueType } from '../../src/definition/model.ts'
import { encodeValue, MAX_VALUE_BYTES, MAX_VALUE_DEPTH, parseExact } from '../../src/definition/value.ts'
import { FabraError } from '../../src/errors.ts'

const cycle: { self?: unknown } = {}
cycle.self = cycle
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
const sparse = [1, 2, 3]
delete sparse[1]
class Money {
  amount = 3
}

const KEPT: [ValueType, unknown, string][] = [
  ['int', 0, '0'],
  ['int', -0, '0'],
  ['int', 3.0, '3'],
  ['int', -7, '-7'],
  ['int', Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ['int', 9007199254740993n, '9007199254740993'],
  ['int', 2n ** 63n - 1n, '9223372036854775807'],
  ['int', -(2n ** 63n), '-9223372036854775808'],
  ['int', null, 'null'],
  ['float', 1.5, '1.5'],
  ['float', 3, '3'],
  ['float', -0, '-0'],
  ['float', 1e21, '1e+21'],
  ['float', 5e-324, '5e-324'],
  ['float', 0.1 + 0.2, '0.30000000000000004'],
  ['float', Number.MAX_VALUE, '1.7976931348623157e+308'],
  ['float', 5n, '5'],
  ['float', 2n ** 60n, '1.152921504606847e+18'],
  ['float', 2 ** 53, '9.007199254740992e+15'],
  ['string', '', '""'],
  ['string', 'é"\\\n\u0000', '"é\\"\\\\\\n\\u0000"'],
  ['string', '😀', '"😀"'],
  ['string', '007', '"007"'],
  ['bool', true, 'true'],
  ['bool', false, 'false'],
  ['timestamp', '2026-01-02T03:04:05.123456Z', '"2026-01-02T03:04:05.123456Z"'],
  ['timestamp', '2026-01-02t05:04:05.5+02:00', '"2026-01-02T03:04:05.500000Z"'],
  ['timestamp', new Date('2026-01-02T03:04:05.120Z'), '"2026-01-02T03:04:05.120000Z"'],
  ['timestamp', null, 'null'],
  ['list', [], '[]'],
  ['list', [1, 'a', null, [true], { b: 2n ** 70n }], '[1,"a",null,[true],{"b":1180591620717411303424}]'],
  ['dict', {}, '{}'],
  ['dict', { a: 1, b: { c: [] } }, '{"a":1,"b":{"c":[]}}'],
  ['dict', JSON.parse('{"__proto__":{"x":1},"constructor":2}'), '{"__proto__":{"x":1},"constructor":2}'],
  ['dict', Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
  [
    'dict',
    new Map([
      ['z', 1],
      ['a', 2],
    ]),
    '{"z":1,"a":2}',
  ],
  ['dict', new Map([['a', new Map([['b', 1]])]]), '{"a":{"b":1}}'],
  ['json', 'x', '"x"'],
  ['json', 12345678901234567890n, '12345678901234567890'],
  ['json', [null, false, -0], '[null,false,-0]'],
  ['json', nested(MAX_VALUE_DEPTH), `${'['.repeat(MAX_VALUE_DEPTH)}1${']'.repeat(MAX_VALUE_DEPTH)}`],
  ['json', [cycle.self === cycle, { a: sparse.length }, { a: sparse.length }], '[true,{"a":3},{"a":3}]'],
  ['string', 'x'.repeat(MAX_VALUE_BYTES - 2), `"${'x'.repeat(MAX_VALUE_BYTES - 2)}"`],
]

const REFUSED: [ValueType, unknown, string][] = [
  ['int', 1.5, 'expected int, got 1.5.'],
  ['int', '3', 'expected int, got the string "3".'],
  ['int', true, 'expected int, got the bool true.'],
  ['int', 2 ** 53, 'expected int, got 9007199254740992, which is not exact'],
  ['int', 2n ** 63n, 'expected int, got 9223372036854775808, which is outside 64 bits.'],
  ['int', Number.NaN, 'expected int, got NaN.'],
  ['int', undefined, 'expected int, got undefined.'],
  ['int', [1], 'expected int, got a list.'],
  ['int', new Number(3), 'expected int, got a Number.'],
  ['float', Number.NaN, 'expected float, got the number NaN.'],
  ['float', Number.POSITIVE_INFINITY, 'expected float, got the number Infinity.'],
  ['float', Number.NEGATIVE_INFINITY, 'expected float, got the number -Infinity.'],
  ['float', '1.5', 'expected float, got the string "1.5".'],
  ['float', 9007199254740993n, 'expected float, got 9007199254740993, which is not exact as a float.'],
  ['float', 10n ** 400n, 'expected float, got 1000'],
  ['string', 3, 'expected string, got the number 3.'],
  ['string', 'a\ud800', 'expected valid Unicode, got a string with a lone surrogate.'],
  ['string', ['a'], 'expected string, got a list.'],
  ['string', new String('a'), 'expected string, got a String.'],
  ['string', Symbol('a'), 'expected string, got a symbol.'],
  ['bool', 1, 'expected bool, got the number 1.'],
  ['bool', 'true', 'expected bool, got the string "true".'],
  ['timestamp', '2026-01-02T03:04:05', 'expected timestamp, got "2026-01-02T03:04:05". "2026-01-02T03:04:05" has no time zone.'],
  ['timestamp', 1767323045, 'expected timestamp, got the number 1767323045.'],
  ['timestamp', new Date(Number.NaN), 'expected timestamp, got an invalid Date.'],
  ['timestamp', new Date('9999-01-01T00:00:00Z'), 'expected timestamp, got an invalid Date.'],
  ['list', { a: 1 }, 'expected list, got an object.'],
  ['list', 'abc', 'expected list, got the string "abc".'],
  ['list', new Set([1]), 'expected list, got a Set.'],
  ['list', new Float32Array(2), 'expected list, got a Float32Array.'],
  ['list', sparse, 'expected JSON, got a list with a hole at [1].'],
  ['list', [1, undefined], 'expected JSON, got undefined at [1].'],
  ['list', Object.assign([1], { name: 2 }), 'expected a list, got a list with named properties.'],
  ['list', [new Map()], 'expected JSON, got a Map at [0].'],
  ['dict', [], 'expected dict, got a list.'],
  ['dict', 'x', 'expected dict, got the string "x".'],
  ['dict', new Money(), 'expected dict, got a Money.'],
  ['dict', new Map([[1, 2]]), 'expected text keys, got the number 1 as a key.'],
  ['dict', { a: { b: Number.NaN } }, 'expected JSON, got NaN at a.b.'],
  ['dict', { a: [1, { b: 2 }], c: [0, [Number.NaN]] }, 'expected JSON, got NaN at c[1][0].'],
  ['dict', { a: undefined }, 'expected JSON, got undefined at a.'],
  ['dict', { [Symbol('s')]: 1 }, 'expected text keys, got a symbol as a key.'],
  ['dict', { toJSON: () => 1 }, 'expected JSON, got a function at toJSON.'],
  ['dict', { 'a\ud800': 1 }, 'expected valid Unicode'],
  ['dict', cycle, 'expected JSON, got an object that contains itself at self.'],
  ['json', undefined, 'expected JSON, got undefined.'],
  ['json', () => 1, 'expected JSON, got a function.'],
  ['json', Promise.resolve(1), 'expected JSON, got a promise that was not awaited.'],
  ['json', new Date(0), 'expected JSON, got a Date.'],
  ['json', { a: [new Date(0)] }, 'expected JSON, got a Date at a[0].'],
  ['json', new Map(), 'expected JSON, got a Map.'],
  ['json', /x/, 'expected JSON, got a RegExp.'],
  ['json', new Error('x'), 'expected JSON, got an Error.'],
  ['json', Number.POSITIVE_INFINITY, 'expected JSON, got Infinity.'],
  ['json', nested(MAX_VALUE_DEPTH + 1), 'expected at most 32 levels of nesting, got more.'],
]

describe('a value is stored exactly or not at all', () => {
  for (const [type, value, text] of KEPT) {
    test(`${type} ${label(value)} is kept`, () => {
      expect(encodeValue(type, value)).toBe(text)
    })
  }
  for (const [type, value, message] of REFUSED) {
    test(`${type} ${label(value)} is refused`, () => {
      const error = errorOf(() => encodeValue(type, value))
      expect(error.code).toBe('wrong_type')
      expect(error.message).toStartWith(message)
      expect(error.hint).not.toBeEmpty()
    })
  }
})

test('64 KiB of JSON is the most a value takes, counted in bytes', () => {
  for (const value of ['x'.repeat(MAX_VALUE_BYTES - 1), 'é'.repeat(MAX_VALUE_BYTES / 2)]) {
    const error = errorOf(() => encodeValue('string', value))
    expect(error.code).toBe('value_too_large')
    expect(error.message).toStartWith('expected at most 65536 bytes of JSON, got 655')
  }
  expect(encodeValue('string', 'é'.repeat(MAX_VALUE_BYTES / 2 - 1))).toHaveLength(MAX_VALUE_BYTES / 2 + 1)
})

test('an object that shares its parts until it is endless on paper is refused soon', () => {
  let value: unknown = 'x'.repeat(10)
  for (let i = 0; i < 30; i++) value = [value, value]
  expect(errorOf(() => encodeValue('json', value)).code).toBe('value_too_large')
})

test('a value of any JSON comes back as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = encodeValue('json', value)
      expect(parseExact(text)).toEqual(value)
      expect(encodeValue('json', parseExact(text))).toBe(text)
    }),
  )
})

test('any value at all is kept as valid JSON within the limit or refused with a reason', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withBoxedValues: true,
    withTypedArray: true,
    withSparseArray: true,
  })
  const types = fc.constantFrom<ValueType>('int', 'float', 'string', 'bool', 'timestamp', 'list', 'dict', 'json')
  fc.assert(
    fc.property(types, anything, (type, value) => {
      let text: string
      try {
        text = encodeValue(type, value)
      } catch (error) {
        if (!(error instanceof FabraError)) throw error
        expect(['wrong_type', 'value_too_large']).toContain(error.code)
        return
      }
      JSON.parse(text)
      // Exact: what is read back is written the same way, once its keys are in the order that objects have (a Map has its own).
      const again = encodeValue(type, parseExact(text))
      expect(encodeValue(type, parseExact(again))).toBe(again)
      expect(again.length).toBe(text.length)
    }),
    { numRuns: 2000 },
  )
})

test('whole numbers of any size come back exactly', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const back = parseExact(encodeValue('int', value))
      expect(BigInt(back as number | bigint)).toBe(value)
      expect(typeof back).toBe(value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? 'number' : 'bigint')
    }),
  )
})

test('reading JSON keeps long whole numbers exact and all else as it is', () => {
  expect(parseExact('{"a":9007199254740993,"b":[-12345678901234567890],"c":0.12345678901234566,"d":"9007199254740993","e":1e30}')).toEqual({
    a: 9007199254740993n,
    b: [-12345678901234567890n],
    c: 0.12345678901234566,
    d: '9007199254740993',
    e: 1e30,
  })
  expect(Object.keys(parseExact('{"__proto__":9007199254740993}') as object)).toEqual(['__proto__'])
  // Wherever a number may begin.
  const long = 1234567890123456789n
  for (const [before, after] of [
    ['', ''],
    ['[', ']'],
    ['[1,', ']'],
    ['[ ', ']'],
    ['[\n', ']'],
    ['[\t', ']'],
    ['[\r', ']'],
    ['[-', ']'],
  ] as const)
    expect([parseExact(`${before}${long}${after}`)].flat().at(-1)).toBe(before.endsWith('-') ? -long : long)
  expect(() => parseExact('{"a":}')).toThrow(SyntaxError)
  expect(() => parseExact(`[${'9'.repeat(100_000)}]`)).toThrow('too long')
})

function errorOf(run: () => unknown): FabraError {
  try {
    run()
  } catch (error) {
    if (error instanceof FabraError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

function label(value: unknown): string {
  return Bun.inspect(value, { compact: true }).replaceAll('\n', ' ').slice(0, 40)
}
