import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { fromHistoryText, toHistoryText } from '../../src/store/recording/history-text.ts'
import { feature } from '../support/stored-definitions.ts'

const spend = feature({
  columns: [
    { name: 'total', type: 'float' },
    { name: 'a"b', type: 'json' },
  ],
})

test('numbers beyond 2^53 and odd texts come back to the letter', () => {
  const texts = ['9007199254740993.000', '{"a":[1,{"b":"}\\"]"}],"c":null}']
  expect(toHistoryText(spend, texts)).toBe('{"total":9007199254740993.000,"a\\"b":{"a":[1,{"b":"}\\"]"}],"c":null}}')
  expect(fromHistoryText(spend, toHistoryText(spend, texts))).toEqual(texts)
  expect(fromHistoryText(feature(), toHistoryText(feature(), ['12345678901234567890']))).toEqual(['12345678901234567890'])
})

test('a tombstone stays one, and is not null', () => {
  for (const of of [spend, feature()]) {
    expect(fromHistoryText(of, toHistoryText(of, null))).toBeNull()
  }
  expect(fromHistoryText(feature(), 'null')).toEqual(['null'])
})

test('texts that were written otherwise are read all the same', () => {
  const flat = feature({
    columns: [
      { name: 'a', type: 'string' },
      { name: 'b', type: 'json' },
    ],
  })
  for (const [text, texts] of [
    ['{"a":"x,\\"b\\":1","b":"\\\\"}', ['"x,\\"b\\":1"', '"\\\\"']],
    ['{"a":1,"x":"y","b":2}', ['1', '2']],
    ['{"a":"v","x":"y","b":2}', ['"v"', '2']],
    ['{"a":"v","b":2,"x":"y"}', ['"v"', '2']],
    ['{"a":1 ,"b":2 }', ['1', '2']],
    ['{"a":{"c":1,"b":3},"b":2}', ['{"c":1,"b":3}', '2']],
    ['{"a":"","b":[{"b":3}]}', ['""', '[{"b":3}]']],
    ['{"a":1}', ['1', 'null']],
    ['{"b":1,"a":2}', ['2', '1']],
    ['{}', ['null', 'null']],
  ] as const)
    expect([text, fromHistoryText(flat, text)]).toEqual([text, [...texts]])
})

test('any two JSON values survive', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const texts = [JSON.stringify(a), JSON.stringify(b)]
      expect(fromHistoryText(spend, toHistoryText(spend, texts))).toEqual(texts)
      expect(fromHistoryText(spend, ` { "a\\"b" : ${texts[1]} , "total":${texts[0]}\n}`)).toEqual(texts)
    }),
  )
})
