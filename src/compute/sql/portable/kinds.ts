/** What values are, in both engines, as far as they are the same in both. */

export type Kind =
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  | 'float8'
  | 'text'
  | 'bool'
  | 'timestamptz'
  | 'timestamp'
  | 'date'
  | 'uuid'
  /** A numeric that was divided: in DuckDB a record of what is divided by what, which whoever takes the statement's values brings to an end. */
  | 'quotient'
  /** Only added to a time or taken from it. */
  | 'interval'
  /** NULL, whose type is that of what stands beside it. */
  | 'null'

/** A piece of SQL as DuckDB reads it, in brackets where it needs them. */
export interface Typed {
  readonly sql: string
  readonly kind: Kind
  /** A text in quotes, which PostgreSQL takes for whatever type it needs there. */
  readonly literal?: string
  readonly isPresent?: true
  /** A double that hangs, in its last digits, on the order in which rows were added: fit to be given, not to decide anything. */
  readonly isRounded?: true
  /** Of a numeric: digits after the point at most; left out: not known. */
  readonly scale?: number
  /** Of a quotient: what is divided by what. */
  readonly division?: { readonly by: string; readonly of: string }
}

type Castable = Exclude<Kind, 'interval' | 'null' | 'quotient'>

/** What is not surely the same in the other engine; the message says what it is, as people know it. */
export class NotTheSame extends Error {
  override readonly name = 'NotTheSame'
}

export function refuse(what: string): never {
  throw new NotTheSame(what)
}

/** By PostgreSQL's names of types, as its catalogue tells them. */
export function kindOf(type: string): Kind | null {
  return NAMES[type] ?? (/^NUMERIC(\(|$)/.test(type) ? 'numeric' : /^CHARACTER VARYING(\(|$)/.test(type) ? 'text' : null)
}

const NAMES: Readonly<Record<string, Kind>> = {
  SMALLINT: 'int2',
  INTEGER: 'int4',
  BIGINT: 'int8',
  'DOUBLE PRECISION': 'float8',
  TEXT: 'text',
  VARCHAR: 'text',
  BOOLEAN: 'bool',
  TIMESTAMP: 'timestamp',
  'TIMESTAMP WITHOUT TIME ZONE': 'timestamp',
  'TIMESTAMP WITH TIME ZONE': 'timestamptz',
  DATE: 'date',
  UUID: 'uuid',
  // Only told apart, as texts are here: their order is their own.
  ENUM: 'text',
}

/** Of values that are computed; columns of numbers have the digits that they have. */
const IN_DUCKDB: Readonly<Record<Castable, string>> = {
  int2: 'SMALLINT',
  int4: 'INTEGER',
  int8: 'BIGINT',
  numeric: 'DECIMAL(38, 0)',
  float8: 'DOUBLE',
  text: 'VARCHAR',
  bool: 'BOOLEAN',
  timestamptz: 'TIMESTAMPTZ',
  timestamp: 'TIMESTAMP',
  date: 'DATE',
  uuid: 'UUID',
}

const WHOLE: readonly Kind[] = ['int2', 'int4', 'int8']

export function isWhole({ kind }: Typed): boolean {
  return WHOLE.includes(kind)
}

export function isNumber(value: Typed): boolean {
  return isWhole(value) || value.kind === 'numeric' || value.kind === 'float8'
}

export function cast(sql: string, kind: Castable): string {
  return `CAST(${sql} AS ${IN_DUCKDB[kind]})`
}

/** Values of several kinds as of the one that PostgreSQL makes of them. */
export function alike(values: readonly Typed[]): { readonly kind: Kind; readonly values: readonly string[] } {
  const known = values.filter(({ kind, literal }) => kind !== 'null' && literal === undefined)
  const kinds = new Set(known.map(({ kind }) => kind))
  if (kinds.has('quotient')) refuse('a quotient or an average within an expression')
  const [first, ...more] = kinds
  if (first === undefined) {
    if (values.every(({ kind }) => kind === 'null')) refuse('NULL alone')
    return { kind: 'text', values: values.map(({ sql }) => sql) }
  }
  const kind = more.length === 0 ? first : known.every(isNumber) ? widest(kinds) : refuse(`${[...kinds].join(' beside ')}`)
  if (kind === 'numeric' && !keepDigits(known)) refuse('numerics of several scales together')
  return { kind, values: values.map((value) => as(value, kind)) }
}

/** With so many digits after the point there is room for any whole number before it. */
const MOST_SCALE = 19

/**
 * Whether DuckDB has a type with room for the digits of all. Where there is none it takes digits after the point away, without an error: of a product
 * or a sum, which may have 38 digits before it, beside a number that has any after it.
 */
function keepDigits(values: readonly Typed[]): boolean {
  const numerics = values.filter((value) => !isWhole(value))
  if (numerics.every(({ scale }) => scale === 0)) return true
  const [only] = numerics
  return values.length === 1 || (numerics.length === 1 && only?.scale !== undefined && only.scale <= MOST_SCALE)
}

/** Of sums and differences, and of products. */
export function scaleOf(operator: string, { scale: a, kind }: Typed, { scale: b, kind: other }: Typed): { readonly scale?: number } {
  const [left, right] = [kind === 'numeric' ? a : 0, other === 'numeric' ? b : 0]
  if (left === undefined || right === undefined) return {}
  return { scale: operator === '*' ? left + right : Math.max(left, right) }
}

/** `alike` has let them stand together: of at most one of them digits after the point. */
export function widestScale(values: readonly Typed[]): { readonly scale?: number } {
  const numerics = values.filter(({ kind }) => kind === 'numeric')
  const scales = numerics.map(({ scale }) => scale)
  return scales.includes(undefined) ? {} : { scale: Math.max(0, ...scales.map(Number)) }
}

const WIDTHS: readonly Kind[] = ['int2', 'int4', 'int8', 'numeric', 'float8']

export function widest(kinds: ReadonlySet<Kind>): Kind {
  return WIDTHS.findLast((kind) => kinds.has(kind)) ?? refuse('numbers of unknown types')
}

/** A value where PostgreSQL would make it one of this kind by itself. */
export function as(value: Typed, kind: Kind): string {
  if (value.kind === 'null') {
    return kind === 'interval' || kind === 'null' || kind === 'numeric' || kind === 'quotient' ? 'NULL' : cast('NULL', kind)
  }
  if (value.literal !== undefined) return literalAs(value.literal, kind)
  if (value.kind === kind) return value.sql
  if (!isNumber(value) || !WIDTHS.includes(kind)) return refuse(`${value.kind} as ${kind}`)
  if (kind === 'numeric') return isWhole(value) ? `CAST(${value.sql} AS DECIMAL(19, 0))` : refuse('double precision as numeric')
  // Of a number with many digits the nearest there is, which the engine finds in its text alone.
  if (kind === 'float8' && value.kind === 'numeric') return cast(`CAST(${value.sql} AS VARCHAR)`, 'float8')
  return kind === 'float8' || isWhole(value) ? cast(value.sql, kind as 'int8') : refuse(`${value.kind} as ${kind}`)
}

const DAY = /^(?:1[789]|2[01])\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/
const TIME = /^(?:1[789]|2[01])\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[ T](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)?(?:Z|\+00)?$/
const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

function literalAs(text: string, kind: Kind): string {
  if (kind === 'text') return quoted(text)
  const isRead =
    (kind === 'date' && DAY.test(text)) ||
    (kind === 'timestamptz' && TIME.test(text)) ||
    (kind === 'timestamp' && TIME.test(text) && !/(?:Z|\+00)$/.test(text)) ||
    (kind === 'uuid' && UUID.test(text))
  return isRead ? cast(quoted(text), kind as 'date') : refuse(`a text as ${kind}`)
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
