/** What comes from another language is read by the host as it is declared, whatever the wire brings. */
import { expect, test } from 'bun:test'
import type { ValueType } from '../../src/definition/model.ts'
import { encodeValue } from '../../src/definition/value.ts'
import { readForeign } from '../../src/runtime/foreign-values.ts'
import type { ResultFrame } from '../../src/runtime/frames.ts'
import { buildDefinitions, type PoolDefinitions } from '../../src/runtime/host-definitions.ts'

function read(type: ValueType, frame: unknown) {
  const columns = [{ name: null, type }]
  const fn = { feature: 'f', definition: 1, key: [], columns, inputs: {}, batch: null, nan: 'error' } as const
  const definitions: PoolDefinitions = {
    frame: { t: 'define', functions: [fn], names: [] },
    fingerprints: new Map(),
    function: () => fn,
    forWorker: () => definitions,
  }
  return readForeign(definitions, 'f', { t: 'result', id: 1, ...(frame as object) } as ResultFrame)
}

test('a text of Python becomes the text that TypeScript writes', () => {
  const texts = (type: ValueType, text: string) => read(type, { texts: [text] }).texts?.[0]
  expect(texts('float', '1.0')).toBe('1')
  expect(texts('float', '1e-05')).toBe('0.00001')
  expect(texts('float', '1e+16')).toBe(encodeValue('float', 1e16))
  expect(texts('float', '-0.0')).toBe('-0')
  for (const int of ['9223372036854775807', '0', '7', '-12', '999999999999999', '-1000000000000000']) expect(texts('int', int)).toBe(int)
  for (const odd of ['-0', ' 7', '7.0', '1e3']) expect(texts('int', odd)).toBe(encodeValue('int', JSON.parse(odd)))
  expect(texts('timestamp', '"2026-01-02T05:04:05.000000+02:00"')).toBe('"2026-01-02T03:04:05Z"')
  expect(texts('dict', '{"b": 1.0, "a": [1e-05, 12345678901234567890]}')).toBe('{"b":1,"a":[0.00001,12345678901234567890]}')
  expect(texts('float', 'null')).toBe('null')
})

test('what is not of its type, or no answer at all, is an error of that value alone', () => {
  const error = (frame: unknown, type: ValueType = 'int') => read(type, frame).error?.code
  for (const text of ['1.5', '07', '+7', '7 7', '']) expect(error({ texts: [text] })).toBe('wrong_type')
  expect(error({ texts: ['9223372036854775808'] })).toBe('wrong_type')
  for (const frame of [{ texts: ['{'] }, { texts: [] }, { texts: 5 }, {}, { texts: null, elements: 3 }]) {
    const { texts, error: found } = read('int', frame)
    expect([texts ?? null, found?.code ?? null]).toEqual([null, 'elements' in frame ? null : 'wrong_type'])
  }
  const { elements } = read('int', { texts: null, elements: [{ texts: ['1'] }, null, { texts: ['"x"'] }, { texts: null }] })
  expect(elements?.map(({ texts, error: found }) => texts?.[0] ?? found?.code ?? null)).toEqual(['1', 'wrong_type', 'wrong_type', null])
})

test('what is no definition is a problem of the file', () => {
  const drafts = [{ id: 1, kind: 'spell', function: null, args: [], options: {} }]
  const { problems } = buildDefinitions(
    ['/shop/features.py'],
    [{ t: 'loaded', drafts: drafts as never, exported: null, problems: [], files: ['/shop/features.py'] }],
  )
  expect(problems).toMatchObject([
    { subject: 'file "features.py"', message: expect.stringContaining('what was sent as its definitions cannot be read') },
  ])
})
