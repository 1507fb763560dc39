/**
 * Quotients of numbers as PostgreSQL rounds them: to at least sixteen digits, in steps of four. The engine here would divide floats, whose last digit may be
 * another one. Whole numbers are divided instead, of which there are no more than 128 bits: beyond that it is an error.
 */

/** A record of what is divided by what, and perhaps what stands for NULL. */
const RECORD = /^STRUCT\("?n"? DECIMAL\(\d+,\d+\), "?d"? DECIMAL\(\d+,\d+\)(, "?o"? DOUBLE)?\)$/

export function isQuotient(sqlType: string): boolean {
  return RECORD.test(sqlType)
}

/** The nearest double. */
export function quotientOf(value: string, sqlType: string): string {
  const found = `__fabra_quotient((${value}).n, (${value}).d)`
  return RECORD.exec(sqlType)?.[1] ? `COALESCE(${found}, (${value}).o)` : found
}

/** Each step once: what is written out within another expression is written out, and planned, as often as it is looked at there. */
function given(value: string, name: string, body: string): string {
  return `list_transform([${value}], lambda ${name}: ${body})[1]`
}

/** Zeros after the point, before anything else. */
const ZEROS = "(strlen(x.f) - strlen(ltrim(x.f, '0')))"

/** For statements with `quotientOf`. */
export const MAKE_QUOTIENTS = `
CREATE OR REPLACE MACRO __fabra_parts(t) AS ${given(
  "{'i': split_part(t, '.', 1), 'f': split_part(t, '.', 2)}",
  'x',
  `CASE WHEN x.i <> '0' THEN {'i': x.i, 'f': x.f, 'place': (strlen(x.i) - 1) // 4,
    'leading': CAST(left(x.i, strlen(x.i) - 4 * ((strlen(x.i) - 1) // 4)) AS BIGINT)}
  ELSE {'i': x.i, 'f': x.f, 'place': -1 - ${ZEROS} // 4, 'leading': CAST(rpad(substr(x.f, 4 * (${ZEROS} // 4) + 1, 4), 4, '0') AS BIGINT)} END`,
)};
CREATE OR REPLACE MACRO __fabra_divided(n, d, k) AS (2 * n * CAST('1' || repeat('0', k) AS HUGEINT) + d) // (2 * d);
CREATE OR REPLACE MACRO __fabra_rounded(a, b) AS ${given(
  'greatest(0, 16 - 4 * (a.place - b.place - CASE WHEN a.leading <= b.leading THEN 1 ELSE 0 END))',
  'r',
  `CASE WHEN r < strlen(a.f) OR r < strlen(b.f) THEN error('too many digits') ELSE
    CAST(__fabra_divided(CAST(a.i || a.f AS HUGEINT), CAST(b.i || b.f AS HUGEINT), r - strlen(a.f) + strlen(b.f)) AS VARCHAR) || 'e-' || CAST(r AS VARCHAR) END`,
)};
CREATE OR REPLACE MACRO __fabra_quotient(n, d) AS CASE WHEN n IS NULL OR d IS NULL THEN NULL WHEN d = 0 THEN error('division by zero')
  WHEN n = 0 THEN CAST(0 AS DOUBLE) ELSE CAST(CASE WHEN (n < 0) <> (d < 0) THEN '-' ELSE '' END || ${given(
    "{'a': __fabra_parts(CAST(abs(n) AS VARCHAR)), 'b': __fabra_parts(CAST(abs(d) AS VARCHAR))}",
    'q',
    '__fabra_rounded(q.a, q.b)',
  )} AS DOUBLE) END`
