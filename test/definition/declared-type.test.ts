import { describe, expect, test } from 'bun:test'
import { declaredType, readDeclaredType } from '../../src/definition/declared-type.ts'
import { encodeValue } from '../../src/definition/value.ts'
import { readFeature } from '../support/declared-feature.ts'

describe('types of lists and dicts', () => {
  test('say what they hold, in either language, and are kept in one spelling', () => {
    const kept = [
      'list',
      'list[string]',
      'list[str]',
      'dict[str, float]',
      'dict[string,list[ int ]]',
      'list[datetime]',
      'list[Any]',
      'dict[str, Optional[list[Optional[int]]]]',
    ].map((text) => readDeclaredType(text))
    expect(kept).toEqual([
      'list',
      'list[string]',
      'list[string]',
      'dict[string, float]',
      'dict[string, list[int]]',
      'list[timestamp]',
      'list[json]',
      'dict[string, list[int]]',
    ])
  })

  test.each([
    'str',
    'list[]',
    'list[',
    'list[text]',
    'dict[int, string]',
    'dict[string]',
    'list<string>',
    'List[int]',
    7,
    null,
    `${'list['.repeat(20)}int`,
  ])('%p is none', (given) => {
    expect(readDeclaredType(given)).toBeNull()
  })

  test('hold every value to what they say', () => {
    expect(encodeValue('list[int]', [1, null, 2n ** 63n - 1n])).toBe('[1,null,9223372036854775807]')
    expect(encodeValue('list[timestamp]', [new Date(0), '2026-01-01T01:00:00+01:00'])).toBe(
      '["1970-01-01T00:00:00Z","2026-01-01T00:00:00Z"]',
    )
    expect(encodeValue('dict[string, list[float]]', new Map([['é"', [0.1, -0]]]))).toBe('{"é\\"":[0.1,-0]}')
    expect(encodeValue('list[string]', null)).toBe('null')
    expect(encodeValue('list[dict]', [{ a: [1] }])).toBe('[{"a":[1]}]')
  })

  test.each([
    ['list[string]', ['a', 1], 'expected list[string], at [1] expected string, got the number 1.'],
    ['list[string]', { a: 'b' }, 'expected list[string], got an object.'],
    ['dict[string, int]', { a: 1.5 }, 'expected dict[string, int], at "a" expected int, got 1.5.'],
    ['list[list[int]]', [[1], [true]], 'expected list[list[int]], at [1] expected list[int], at [0] expected int, got the bool true.'],
    ['list[int]', new Array(3), 'holes'],
    ['dict[string, int]', new Map([[1, 1]]), 'a key that is no text'],
  ] as const)('%s refuses %p', (type, value, message) => {
    expect(() => encodeValue(type, value)).toThrow(message)
  })

  test('a feature declares them for its value, its columns and its inputs', () => {
    const feature = readFeature({
      columns: { tags: 'list[str]', n: 'int' },
      inputs: { seen: 'list[string]' },
      default: { tags: ['a'], n: 1 },
    })
    expect(feature.columns.map(declaredType)).toEqual(['list[string]', 'int'])
    expect(feature.columns[0]).toMatchObject({ type: 'list' })
    expect(feature.inputs).toEqual({ seen: 'list[string]' })
    expect(readFeature({ type: 'list[text]' }).complaints).toEqual([
      { message: 'type "list[text]" is not known.', hint: 'Write "list[string]" or "dict[string, float]"; keys of dicts are strings.' },
    ])
    expect(readFeature({ type: 'list[int]', default: ['a'] }).complaints[0]?.message).toContain('at [0] expected int')
  })
})
