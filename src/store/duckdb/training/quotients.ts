/**
 * Quotients of numbers as PostgreSQL rounds them: to at least sixteen digits, in steps of four. The engine here would divide floats, whose last digit may be
 * another one. Whole numbers are divided instead, of which there are no more than 128 bits: beyond that it is an error.
 */

/** A record of what is divided by what, and perhaps what stands for NULL. */
const RECORD = /^STRUCT\("?n"? DECIMAL\(\d+,(\d+)\), "?d"? DECIMAL\(\d+,(\d+)\)(, "?o"? DOUBLE)?\)$/

export function isQuotient(sqlType: string): boolean {
  return RECORD.test(sqlType)
}

/** The nearest double. */
export function quotientOf(value: string, sqlType: string): string {
  const [, n, d, otherwise] = RECORD.exec(sqlType) ?? []
  const ways = [
    quickQuotient(value, Number(n), Number(d)),
    `__fabra_quotient((${value}).n, (${value}).d)`,
    otherwise ? `(${value}).o` : null,
  ]
  return `COALESCE(${ways.filter((way) => way !== null).join(', ')})`
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

/** Digits that PostgreSQL counts as one. */
const GROUP = 4
/** Groups after the point that leave room for numbers before it. */
const MOST_GROUPS = 2
/** Of a machine word, with its sign. */
const WORD_DIGITS = 17
const MOST_DIGITS = 15
/** Ten to the power of half the digits that are divided: by how many groups there are. */
const HALVES = '[1, 100, 10000, 1000000, 100000000, 10000000000, 1000000000000]'
const MOST_HALF = 6

/**
 * The same by machine words alone, in a fifth of the time, where they have room; else NULL. Both numbers are made whole, in groups. What is left over is
 * divided on, one half of the digits after the other, so that all digits are there that PostgreSQL has, before they become the nearest double.
 */
function quickQuotient(value: string, scale: number, other: number): string | null {
  const [n, d] = [Math.ceil(scale / GROUP), Math.ceil(other / GROUP)]
  if (Math.max(n, d) > MOST_GROUPS) return null
  const place = `${groupsOf('abs(v.n)')} - ${groupsOf('v.d')} - ${n - d} - CASE WHEN ${leadingOf('abs(v.n)')} <= ${leadingOf('v.d')} THEN 1 ELSE 0 END`
  const numbers = `{'n': ${wholeOf(`(${value}).n`, scale, n)}, 'd': ${wholeOf(`(${value}).d`, other, d)}}`
  const rounded = `{'n': abs(v.n), 'd': v.d, 'r': greatest(0, 4 - (${place}))}`
  const divided = `{'q': w.n // w.d, 'm': w.n % w.d, 't': CAST((${HALVES})[w.r - ${n - d} + 1] AS BIGINT)}`
  const half = "{'q': s.q, 'h': s.m * s.t // w.d, 'm': s.m * s.t % w.d * s.t, 't': CAST(s.t AS HUGEINT)}"
  const digits = '(u.q * u.t + u.h) * u.t + u.m // w.d + CASE WHEN 2 * (u.m % w.d) >= w.d THEN 1 ELSE 0 END'
  const whole = given(half, 'u', `CAST(CAST(${digits} AS VARCHAR) || 'e-' || CAST(${GROUP} * w.r AS VARCHAR) AS DOUBLE)`)
  const within = given(divided, 's', `CASE WHEN w.d <= 4000000000000000000 // s.t THEN ${whole} END`)
  const hasRoom = `w.r BETWEEN ${Math.max(n, d)} AND ${MOST_HALF + n - d}`
  const positive = given(rounded, 'w', `CASE WHEN ${hasRoom} THEN ${within} END`)
  return given(numbers, 'v', `CASE WHEN v.n <> 0 AND v.d > 0 THEN ${positive} * sign(v.n) END`)
}

/** Times ten to the power of the digits of its groups; NULL for one of many digits. */
function wholeOf(value: string, scale: number, groups: number): string {
  const digits = GROUP * groups
  const narrow = `TRY_CAST(${value} AS DECIMAL(${Math.min(MOST_DIGITS, WORD_DIGITS - digits)}, ${scale}))`
  return `CAST(${narrow} * CAST(1${'0'.repeat(digits)} AS DECIMAL(${digits + 1}, 0)) AS BIGINT)`
}

/** How many groups are after the first, of which there are at most four. */
function groupsOf(value: string): string {
  return `CASE WHEN ${value} < 10000 THEN 0 WHEN ${value} < 100000000 THEN 1 WHEN ${value} < 1000000000000 THEN 2 ELSE 3 END`
}

function leadingOf(value: string): string {
  return `${value} // CASE WHEN ${value} < 10000 THEN 1 WHEN ${value} < 100000000 THEN 10000 WHEN ${value} < 1000000000000 THEN 100000000 ELSE 1000000000000 END`
}
