import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type ComputeBench, type Defined, openComputeBench, type WrittenFeature } from '../support/compute-bench.ts'

/** An SQL expression, the type it is declared (null: inferred), and the JSON text or the error it gives. */
const values: [expression: string, type: WrittenFeature['type'] | null, answer: string][] = [
  ['0::TINYINT', 'int', '=0'],
  ['9223372036854775807', 'int', '=9223372036854775807'],
  ['(-9223372036854775808)::BIGINT', 'int', '=-9223372036854775808'],
  ['9007199254740993', null, '=9007199254740993'],
  ['18446744073709551615::UBIGINT', 'int', 'wrong_type'],
  ['9223372036854775807::HUGEINT', 'int', '=9223372036854775807'],
  ['9223372036854775808::HUGEINT', 'int', 'wrong_type'],
  ['170141183460469231731687303715884105727::HUGEINT', 'json', '=170141183460469231731687303715884105727'],
  ['12.00::DECIMAL(10,2)', 'int', '=12'],
  ['12.50::DECIMAL(10,2)', 'int', 'wrong_type'],
  ['12.50::DECIMAL(10,2)', null, '=12.5'],
  ['-0.50::DECIMAL(10,2)', 'float', '=-0.5'],
  ['100::DECIMAL(10,2)', 'float', '=100'],
  ['0.00::DECIMAL(10,2)', 'float', '=0'],
  ['12345678901234567890.123456789::DECIMAL(38,9)', 'float', '=12345678901234567890.123456789'],
  ['0.1::DOUBLE + 0.2::DOUBLE', 'float', '=0.30000000000000004'],
  ['1e300::DOUBLE', 'float', '=1e+300'],
  ['5e-324::DOUBLE', 'float', '=5e-324'],
  ['9007199254740993', 'float', '=9007199254740993'],
  ["'NaN'::DOUBLE", 'float', 'wrong_type'],
  ["'Infinity'::DOUBLE", 'float', 'wrong_type'],
  ["'-Infinity'::FLOAT", 'json', 'wrong_type'],
  ["['NaN'::DOUBLE]", 'list', 'wrong_type'],
  ["''", null, '=""'],
  ["'it''s \"quoted\" \\ ' || chr(10) || chr(9)", 'string', '="it\'s \\"quoted\\" \\\\ \\n\\t"'],
  ["'日本 🦆'", 'string', '="日本 🦆"'],
  ["'6F1E1A5E-0000-4000-8000-000000000001'::UUID", null, '="6f1e1a5e-0000-4000-8000-000000000001"'],
  ["DATE '2001-01-31'", null, '="2001-01-31"'],
  ["'b'::ENUM('a', 'b')", null, '="b"'],
  ['TRUE', null, '=true'],
  ['NULL::BOOLEAN', 'bool', '=null'],
  ['NULL', 'int', '=null'],
  ["TIMESTAMPTZ '2026-01-02 03:04:05.123456+00'", null, '="2026-01-02T03:04:05.123456Z"'],
  ["TIMESTAMPTZ '2026-01-02 03:04:05+02'", 'timestamp', '="2026-01-02T01:04:05Z"'],
  ["TIMESTAMP '1969-12-31 23:59:59.999999'", 'timestamp', '="1969-12-31T23:59:59.999999Z"'],
  ["TIMESTAMP_S '2026-01-02 03:04:05'", 'timestamp', '="2026-01-02T03:04:05Z"'],
  ["TIMESTAMPTZ 'infinity'", 'timestamp', 'wrong_type'],
  ["TIMESTAMPTZ '0900-01-01 00:00:00+00'", 'timestamp', 'wrong_type'],
  ['[]::INTEGER[]', null, '=[]'],
  ['[1, NULL, 3]', null, '=[1,null,3]'],
  ['[9007199254740993, 1]', 'list', '=[9007199254740993,1]'],
  ['[[1], [2, 3]]', 'list', '=[[1],[2,3]]'],
  ['[1.50::DECIMAL(5,2)]', 'list', '=[1.5]'],
  ['[1, 2]::INTEGER[2]', null, '=[1,2]'],
  ["[TIMESTAMPTZ '2026-01-02 03:04:05+00']", 'list', '=["2026-01-02T03:04:05Z"]'],
  ["{'a': 1, 'b': {'c': [TRUE, NULL]}}", null, '={"a":1,"b":{"c":[true,null]}}'],
  // The driver cannot hold a field of this name: an error, not another value.
  ["{'__proto__': 1}", 'dict', 'wrong_type'],
  ["MAP {'x': 1.5, 'y': NULL}", null, '={"x":1.5,"y":null}'],
  ["[INTERVAL '1 day']", 'list', 'wrong_type'],
  ['\'{"b": 1, "a": [1, 2.50, 12345678901234567890]}\'::JSON', null, '={"b":1,"a":[1,2.5,12345678901234567890]}'],
  ["'[1]'::JSON", 'list', '=[1]'],
  ["'[1]'::JSON", 'dict', 'wrong_type'],
  ["'3'::JSON", 'int', '=3'],
  ["'null'::JSON", 'json', '=null'],
  ["repeat('x', 70000)", 'string', 'value_too_large'],
  ["list_transform(range(20000), lambda x: 'abc')", 'list', 'value_too_large'],
]

describe('a value is what SQL gave, to the last digit, or an error', () => {
  let bench: ComputeBench
  let set: Defined
  beforeAll(async () => {
    bench = await openComputeBench()
    const features = values.map(([sql, type], i) => [`v${i}`, { sql: `SELECT ${sql} AS v`, ...(type === null ? {} : { type }) }] as const)
    set = await bench.define({ features: Object.fromEntries(features) })
  })
  afterAll(() => bench.store.close())

  test('all are accepted', () => {
    expect(set.definitions.problems.map(({ subject, message }) => `${subject} ${message}`)).toEqual([])
  })

  test.each(values.map(([sql, type, answer], i) => ({ sql, type: type ?? 'inferred', answer, name: `v${i}` })))(
    '$sql as $type',
    async ({ answer, name }) => {
      const time = '2026-01-01T00:00:00Z'
      expect(await set.ask(name, [['a', time]])).toEqual([answer])
      expect(
        await set.ask(name, [
          ['a', time],
          ['b', time],
        ]),
      ).toEqual([answer, answer])
    },
  )
})
