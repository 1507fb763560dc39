import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseDistinct, parseExact, stringifyExact } from '../../src/definition/exact-json.ts'
import { faultSentence, jsonFault } from '../../src/definition/json-fault.ts'

test.each([
  ['{"rows":[{"v":1},\n {"v":-Infinity}]}', '-Infinity is no JSON, at line 2, column 7 (rows[1].v).'],
  ['{"a":"NaN", "b c":[nan]}', 'nan is no JSON, at line 1, column 20 (["b c"][0]).'],
  ['{"a":[1, 2e9999]}', '2e9999 is larger than any number can be, at line 1, column 10 (a[1]).'],
  [`[${'9'.repeat(1200)}]`, 'A number of 1200 characters is larger than any number can be, at line 1, column 2 ([0]).'],
  ["{'a':1}", `"'a':1}" stands where a name in double quotes must, at line 1, column 2.`],
  ['{"a" 1}', 'A colon is missing after "a" , at line 1, column 6.'],
  ['[1 2]', 'A comma is missing before "2]", at line 1, column 4.'],
  ['{"a":1}}', 'After the JSON stands "}", at line 1, column 8.'],
  ['{"a":', 'The JSON ends too early, at line 1, column 6 (a).'],
  ['{"a":"\n"}', 'A text is not closed, or holds what JSON wants escaped, at line 1, column 6 (a).'],
])('%s: %s', (text, says) => {
  expect(() => parseExact(text)).toThrow(SyntaxError)
  const fault = jsonFault(text)
  expect(fault && faultSentence(fault)).toBe(says)
})

test.each([
  ['{"rows":[{"v":1,"w":{},"v":2}]}', 'The key "v" is there twice, at line 1, column 24 (rows[0]).'],
  ['{"a":{"b":1,\n"\\u0062" :2}}', 'The key "\\u0062" is there twice, at line 2, column 1 (a).'],
])('%s: %s where all is to be kept', (text, says) => {
  expect(() => parseDistinct(text)).toThrow(SyntaxError)
  const fault = jsonFault(text, true)
  expect(fault && faultSentence(fault)).toBe(says)
  expect(parseExact(text)).toBeObject()
})

test('what holds no key twice is read as ever', () => {
  for (const text of [
    '{"a":"\\"b\\": 1","b\\\\":[{"a":"c\\n:"},{"a":{"a":":"}}],"":{"__proto__":1}}',
    '[]',
    '"a:"',
    '12345678901234567890',
  ]) {
    expect(parseDistinct(text)).toEqual(parseExact(text))
  }
  fc.assert(
    fc.property(fc.json(), (text) => expect(parseDistinct(text)).toEqual(parseExact(text))),
    { numRuns: 1_000 },
  )
})

test('a text has a fault where it is refused, and only there', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    ' ',
    '\n',
    '1',
    '-',
    '.5',
    'e5',
    '1e400',
    '01',
    'NaN',
    'true',
    'null',
    '\\u00e9',
    '\\x',
    'é',
  )
  const broken = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''))
  const cut = fc.tuple(fc.json(), fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1)))
  fc.assert(
    fc.property(fc.oneof(broken, cut, fc.json()), (text) => {
      let refused = false
      try {
        parseExact(text)
      } catch {
        refused = true
      }
      expect(jsonFault(text) !== undefined).toBe(refused)
    }),
    { numRuns: 5_000 },
  )
})

test('a large float is written so that it is read back as the float it was', () => {
  for (const value of [2 ** 53, -(2 ** 60), 123_456_789_012_345_680_000, 1e300, 0.1, -5]) {
    expect(parseExact(stringifyExact({ value }))).toEqual({ value })
  }
  expect(parseExact(stringifyExact([2n ** 60n]))).toEqual([2n ** 60n])
})
