/** Values at the edges of what types hold, each with the JSON text that a client must read. */
import type { ValueType } from '../../src/definition/model.ts'

export interface OddValue {
  readonly sql?: string
  /** An expression of TypeScript instead of SQL. */
  readonly code?: string
  readonly type?: ValueType
  /** JSON as sent; an error's code for what fails. */
  readonly text: string
  readonly missing?: true
  /** HTTP status of what fails. */
  readonly status?: number
}

const value = (expression: string, text: string, type?: ValueType): OddValue => ({ sql: `SELECT ${expression} AS v`, text, type })
const quoted = (expression: string, string: string): OddValue => value(expression, JSON.stringify(string))
const LONGEST = 65_534

export const sqlValues: Readonly<Record<string, OddValue>> = {
  'the greatest int64': value('9223372036854775807', '9223372036854775807'),
  'the least int64': value('CAST(-9223372036854775808 AS BIGINT)', '-9223372036854775808'),
  'one more than a double holds': value('9007199254740993', '9007199254740993'),
  zero: value('0', '0'),
  'a small int': value('CAST(-128 AS TINYINT)', '-128'),
  'a HUGEINT sum within int64': {
    sql: 'SELECT SUM(x) FROM (VALUES (CAST(9223372036854775807 AS BIGINT)), (-1)) t(x)',
    text: '9223372036854775806',
  },
  'an unsigned int within int64': value('CAST(9223372036854775807 AS UBIGINT)', '9223372036854775807'),
  'a whole decimal as int': value('CAST(12.00 AS DECIMAL(10, 2))', '12', 'int'),
  'a longer integer as json': value(
    'CAST(170141183460469231731687303715884105727 AS HUGEINT)',
    '170141183460469231731687303715884105727',
    'json',
  ),
  'an int as float': value('9007199254740993', '9007199254740993', 'float'),
  'the greatest double': value('CAST(1.7976931348623157e308 AS DOUBLE)', '1.7976931348623157e+308'),
  '1e308': value('CAST(1e308 AS DOUBLE)', '1e+308'),
  'the least positive double': value('CAST(5e-324 AS DOUBLE)', '5e-324'),
  'minus zero': value("CAST('-0.0' AS DOUBLE)", '-0'),
  'a tenth': value('CAST(0.1 AS DOUBLE)', '0.1'),
  'a tenth in single precision': value('CAST(0.1 AS FLOAT)', '0.10000000149011612'),
  '1e21': value('CAST(1e21 AS DOUBLE)', '1e+21'),
  'a decimal beyond doubles': value(
    "CAST('12345678901234567890.123456789012345678' AS DECIMAL(38, 18))",
    '12345678901234567890.123456789012345678',
  ),
  'a negative decimal below one': value('CAST(-0.05 AS DECIMAL(5, 2))', '-0.05'),
  'a decimal with zeros at the end': value('CAST(1.50 AS DECIMAL(5, 2))', '1.5'),
  'a decimal of zero': value('CAST(0 AS DECIMAL(5, 2))', '0'),
  'a time of microseconds': value("TIMESTAMPTZ '2026-01-02 03:04:05.123456+00'", '"2026-01-02T03:04:05.123456Z"'),
  'a time of a whole second, elsewhere': value("TIMESTAMPTZ '2026-01-02 03:04:05+05:30'", '"2026-01-01T21:34:05Z"'),
  'a microsecond before 1970': value("TIMESTAMPTZ '1969-12-31 23:59:59.999999+00'", '"1969-12-31T23:59:59.999999Z"'),
  'a time long ago': value("TIMESTAMP '1700-02-28 00:00:00.000001'", '"1700-02-28T00:00:00.000001Z"'),
  'a time far ahead': value("TIMESTAMP '2255-06-05 23:47:34.740991'", '"2255-06-05T23:47:34.740991Z"'),
  'a time of nanoseconds is cut': value("TIMESTAMP_NS '2026-01-02 03:04:05.123456789'", '"2026-01-02T03:04:05.123456Z"'),
  'a leap day': quoted("DATE '2024-02-29'", '2024-02-29'),
  'a date before 1970': quoted("DATE '1582-10-15'", '1582-10-15'),
  'a time of day': quoted("TIME '23:59:59.999999'", '23:59:59.999999'),
  'an empty text': quoted("''", ''),
  'a blank': quoted("' '", ' '),
  quotes: quoted(`'"\\o''neil\\"'`, `"\\o'neil\\"`),
  'control characters': quoted('chr(1) || chr(9) || chr(10) || chr(13) || chr(31) || chr(127)', '\u0001\t\n\r\u001f\u007f'),
  'line separators of scripts': quoted('chr(8232) || chr(8233)', '\u2028\u2029'),
  'an accent in one': quoted("'\u00e9'", '\u00e9'),
  'an accent in two': quoted("'e\u0301'", 'e\u0301'),
  'a family': quoted("'👩‍👩‍👧‍👦'", '👩‍👩‍👧‍👦'),
  'the last characters': quoted('chr(65535) || chr(1114111)', '\uffff\u{10ffff}'),
  'a text that reads null': quoted("'null'", 'null'),
  'a text that reads as a number': quoted("'007'", '007'),
  '$user_id in a text': quoted("'$user_id ? %s NOW()'", '$user_id ? %s NOW()'),
  'the key itself': quoted('$user_id', '🙂 a:b'),
  'a text of nearly 64 KiB': quoted(`repeat('x', ${LONGEST})`, 'x'.repeat(LONGEST)),
  'a text of nearly 64 KiB, two bytes each': quoted(`repeat('é', ${LONGEST / 2})`, 'é'.repeat(LONGEST / 2)),
  'a member of an enum': quoted("CAST('b ''c' AS ENUM('a', 'b ''c'))", "b 'c"),
  'a uuid': quoted("CAST('6F1E1A5E-0000-4000-8000-00000000000A' AS UUID)", '6f1e1a5e-0000-4000-8000-00000000000a'),
  true: value('TRUE', 'true'),
  false: value('FALSE', 'false'),
  'a null int': value('CAST(NULL AS BIGINT)', 'null'),
  'a null text': value('CAST(NULL AS VARCHAR)', 'null'),
  'a null list': value('CAST(NULL AS INTEGER[])', 'null'),
  'the sum of nothing': { sql: 'SELECT SUM(x) FROM (SELECT 1 AS x) WHERE x > 1', text: 'null' },
  'no row': { sql: 'SELECT 1 AS v WHERE FALSE', text: 'null', missing: true },
  'an empty list': value('CAST([] AS INTEGER[])', '[]'),
  'a list of nulls': value('[NULL, 1, NULL]', '[null,1,null]'),
  'a list of lists': value('[[1, 2], [], NULL]', '[[1,2],[],null]'),
  'a list of long integers': value('[9223372036854775807, 9007199254740993]', '[9223372036854775807,9007199254740993]'),
  'a list of decimals': value('[CAST(1.50 AS DECIMAL(5, 2)), NULL]', '[1.5,null]'),
  'a list of times': value("[TIMESTAMPTZ '1969-12-31 23:59:59.5+00', NULL]", '["1969-12-31T23:59:59.500000Z",null]'),
  'an array of three': value('CAST([1, 2, NULL] AS INTEGER[3])', '[1,2,null]'),
  'a struct with nulls': value("{'a': 1, 'b': NULL, 'c': {'d': [NULL]}}", '{"a":1,"b":null,"c":{"d":[null]}}'),
  'a struct with odd names': value(
    `{'select': 1, 'a b': 2, '"': 3, '\\': 4, 'ü🙂': 5, 'constructor': 7, '10': 8, '9': 9}`,
    '{"select":1,"a b":2,"\\"":3,"\\\\":4,"ü🙂":5,"constructor":7,"10":8,"9":9}',
  ),
  'a map': value("MAP {'x': 1.5, '': NULL, '__proto__': 2.5}", '{"x":1.5,"":null,"__proto__":2.5}'),
  'a map of integers': value("MAP {2: 'b', 1: 'a', 9007199254740993: 'c'}", '{"2":"b","1":"a","9007199254740993":"c"}'),
  'an empty map': value('CAST(MAP {} AS MAP(VARCHAR, INTEGER))', '{}'),
  'a list of structs of maps': value("[{'m': MAP {'k': [1]}}, NULL]", '[{"m":{"k":[1]}},null]'),
  'JSON with long integers': value(
    `CAST('{"b": 12345678901234567890, "a": [1.5, null]}' AS JSON)`,
    '{"b":12345678901234567890,"a":[1.5,null]}',
  ),
  'JSON with an own __proto__': value(`CAST('{"__proto__": {"x": 1}}' AS JSON)`, '{"__proto__":{"x":1}}'),
  'the null of JSON': value("CAST('null' AS JSON)", 'null'),
  'a text in JSON': value(`CAST('"a\\u0062"' AS JSON)`, '"ab"'),
}

export const functionValues: Readonly<Record<string, OddValue>> = {
  'the greatest int64 of a function': { code: '2n ** 63n - 1n', type: 'int', text: '9223372036854775807' },
  'minus zero of a function': { code: '-0', type: 'float', text: '-0' },
  'the least double of a function': { code: '5e-324', type: 'float', text: '5e-324' },
  'a Date': { code: 'new Date(-1)', type: 'timestamp', text: '"1969-12-31T23:59:59.999000Z"' },
  'microseconds with a zone': { code: `'2026-01-02T03:04:05.123456+02:00'`, type: 'timestamp', text: '"2026-01-02T01:04:05.123456Z"' },
  'a Map': { code: `new Map([['__proto__', 1n << 70n], ['', null]])`, type: 'dict', text: '{"__proto__":1180591620717411303424,"":null}' },
  'nothing known': { code: 'null', type: 'string', text: 'null' },
  'nested nulls': { code: `[null, [null, { a: null, 'b c': [1.5, '🙂'] }]]`, text: '[null,[null,{"a":null,"b c":[1.5,"🙂"]}]]' },
}

const wrongType = (expression: string, type?: ValueType): OddValue => ({
  sql: `SELECT ${expression} AS v`,
  type,
  text: 'wrong_type',
  status: 500,
})

export const failures: Readonly<Record<string, OddValue>> = {
  'not a number': wrongType("CAST('NaN' AS DOUBLE)"),
  infinity: wrongType("CAST('Infinity' AS DOUBLE)"),
  'minus infinity in single precision': wrongType("CAST('-Infinity' AS FLOAT)"),
  'not a number in a list': wrongType("[1.0, CAST('NaN' AS DOUBLE)]"),
  'infinity in a map in a struct': wrongType("{'m': MAP {'k': CAST('Infinity' AS DOUBLE)}}"),
  'one more than int64': wrongType('CAST(9223372036854775808 AS HUGEINT)', 'int'),
  'one less than int64': wrongType('CAST(-9223372036854775809 AS HUGEINT)'),
  'a long unsigned int': wrongType('CAST(18446744073709551615 AS UBIGINT)'),
  'a sum beyond int64': {
    sql: 'SELECT SUM(x) FROM (VALUES (CAST(9223372036854775807 AS BIGINT)), (1)) t(x)',
    text: 'wrong_type',
    status: 500,
  },
  'a decimal with a fraction as int': wrongType('CAST(1.5 AS DECIMAL(5, 2))', 'int'),
  'a time before 1684': wrongType("TIMESTAMP '0001-01-01 00:00:00'"),
  'the infinite time': wrongType("CAST('infinity' AS TIMESTAMPTZ)"),
  'a text beyond 64 KiB': { sql: `SELECT repeat('x', ${LONGEST + 1}) AS v`, text: 'value_too_large', status: 500 },
  'two rows': { sql: 'SELECT UNNEST([1, 2]) AS v', text: 'not_one_row', status: 502 },
  'a division by zero is null, a cast that fails is not': {
    sql: "SELECT CAST('n' || $user_id AS INTEGER) AS v",
    text: 'feature_failed',
    status: 502,
  },
  'a struct with a field called __proto__': { sql: "SELECT {'__proto__': 6} AS v", text: 'wrong_type', status: 500 },
  'a function that returns nothing': { code: 'undefined', type: 'string', text: 'wrong_type', status: 500 },
  'NaN of a function': { code: 'NaN', type: 'float', text: 'wrong_type', status: 500 },
  'Infinity in a list of a function': { code: '[1, Infinity]', type: 'list', text: 'wrong_type', status: 500 },
  'a bigint beyond int64 of a function': { code: '2n ** 63n', type: 'int', text: 'wrong_type', status: 500 },
  'a lone surrogate': { code: `'\\ud800'`, type: 'string', text: 'wrong_type', status: 500 },
}
