/** What a query gives to functions of other languages, the same on every engine: an expression, and its cell. */
export const TAGGED_CELLS: readonly (readonly [expression: string, cell: unknown])[] = [
  ['NULL', null],
  ['TRUE', true],
  ["'x'", 'x'],
  ['12', 12],
  ['CAST(9007199254740993 AS BIGINT)', 9007199254740993n],
  ['CAST(1.10 AS DECIMAL(10,2))', { $dec: '1.10' }],
  ["CAST('2026-01-02 03:04:05.123456+00' AS TIMESTAMPTZ)", { $ts: 1_767_323_045_123_456 }],
  ["CAST('6f1e1a5e-0000-4000-8000-000000000001' AS UUID)", { $uuid: '6f1e1a5e-0000-4000-8000-000000000001' }],
  ["CAST('2026-01-02' AS DATE)", '2026-01-02'],
  ['CAST(3 AS DOUBLE PRECISION)', { $float: '3' }],
  ['CAST(2.5 AS DOUBLE PRECISION)', 2.5],
  ["CAST('NaN' AS DOUBLE PRECISION)", { $float: 'NaN' }],
  [`CAST('{"a": 1.0}' AS JSON)`, { $json: '{"a": 1.0}' }],
  ['ARRAY[CAST(1 AS DOUBLE PRECISION), 2.5]', [{ $float: '1' }, 2.5]],
]

export const TAGGED_SQL = `SELECT ${TAGGED_CELLS.map(([expression], i) => `${expression} AS c${i}`).join(', ')}`

/** Parameters as such functions give them; they come back as they went. */
export const TAGGED_PARAMETERS_SQL = 'SELECT CAST($1 AS TIMESTAMPTZ), CAST($2 AS DECIMAL(20,2)), CAST($3 AS UUID), CAST($4 AS BIGINT)'
export const TAGGED_PARAMETERS: readonly unknown[] = [
  { $ts: 1_767_323_045_123_456 },
  { $dec: '123456789012345678.10' },
  { $uuid: '6f1e1a5e-0000-4000-8000-000000000001' },
  9007199254740993n,
]
