import { expect, test } from 'bun:test'
import { parseExact } from '../../src/definition/value.ts'
import { createListReader } from '../../src/http/feature-lists.ts'

const outcome = (parse: (text: string) => unknown, text: string) => {
  try {
    return parse(text)
  } catch (error) {
    return (error as Error).name
  }
}

test.each([
  '{"features":["a","b"],"rows":[{"user_id":"u1"}]}',
  '{"features": ["a", "b"], "rows": [{"user_id": 9007199254740993}]}',
  '{"features":["a"],"rows":[],"max_age":"1h"}',
  '{"features":["a"]}',
  '{"features":["a"],}',
  '{"features":["a"],,"rows":[]}',
  '{"features":["a"],]',
  '{"features":["a"]]',
  '{"features":["a"],"rows":[}',
  '{"features":["a"],"rows":[]',
  '{"features":["a"],"rows":[]} []',
  '{"features":["a"],"features":["b"],"rows":[]}',
  '{"features":["a"],"rows":[],"features":7}',
  '{"features":["a"],"__proto__":{"rows":[]}}',
  '{"features":["a]b"],"rows":[]}',
  '{"features":["a\\"]","b"],"rows":[]}',
  '{"features":[["a"],"b"],"rows":[]}',
  '{"features":[1,null],"rows":[]}',
  '{"features":[],"rows":[]}',
  '{"features":["a"}],"rows":[]}',
  '{"features":["a"],\n "rows":[]}',
  '{"rows":[],"features":["a"]}',
  '{"features":"a","rows":[]}',
  '{"features":[',
  '[]',
  '',
])('a body is read as what it says, the first time and again: %s', (text) => {
  const { read } = createListReader()
  for (let time = 0; time < 3; time++) expect(outcome(read, text)).toEqual(outcome(parseExact, text))
})

test('the same list is given for the same text, and no other is known', () => {
  const { read, isKnown } = createListReader()
  const features = (text: string) => (read(text) as { readonly features: readonly string[] }).features
  const list = features('{"features":["a","b"],"rows":[{"user_id":"u1"}]}')
  expect(features('{"features":["a","b"],"rows":[{"user_id":"u2"}]}')).toBe(list)
  expect(features('{"features":["b","a"],"rows":[]}')).toEqual(['b', 'a'])
  expect(list).toEqual(['a', 'b'])
  expect([list, features('{"rows":[],"features":["a","b"]}'), undefined].map(isKnown)).toEqual([true, false, false])
})
