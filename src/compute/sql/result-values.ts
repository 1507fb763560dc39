import { baseType, elementOf } from '../../definition/declared-type.ts'
import type { DeclaredType, ValueType } from '../../definition/model.ts'
import { formatTime } from '../../definition/time.ts'
import { encodeValue, MAX_VALUE_BYTES, parseExact } from '../../definition/value.ts'
import { FabraError } from '../../errors.ts'
import { SqlDecimal, SqlOther, SqlStruct, SqlTimestamp, type SqlValue } from '../../store/ports/source-engine.ts'

/**
 * What SQL gives, as the JSON text that is stored and sent. Whole numbers and decimals widen without loss to the declared int or float;
 * nothing else changes its type: an average declared int, a time declared string are errors, not roundings.
 */

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
/** Types that are texts to JSON. */
const TEXT_LIKE = new Set(['DATE', 'TIME', 'UUID', 'TIME WITH TIME ZONE', 'TIMETZ'])

const WHOLE = /^(?:U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|INT[248]?|BIGNUM|OID|DECIMAL\(\d+,\s*0\)|NUMERIC\(\d+,\s*0\))$/
const FRACTION = /^(?:FLOAT|FLOAT[48]|DOUBLE|DOUBLE PRECISION|REAL|DECIMAL.*|NUMERIC.*)$/
const TEXT = /^(?:VARCHAR.*|CHARACTER VARYING.*|TEXT|CHAR.*|BPCHAR|CITEXT|NAME|UUID|ENUM.*|DATE|TIME|TIME WITH(?:OUT)? TIME ZONE|TIMETZ)$/
const UNKNOWN = /^(?:"?NULL"?|UNKNOWN|SQLNULL)$/

/** The type a column of SQL has without being declared; null where JSON has nothing for it. */
export function inferType(sqlType: string): ValueType | null {
  const type = sqlType.toUpperCase()
  if (type.endsWith(']')) return 'list'
  if (/^(?:STRUCT|MAP|HSTORE)/.test(type)) return 'dict'
  if (type === 'JSON' || type === 'JSONB' || /^UNION/.test(type) || UNKNOWN.test(type)) return 'json'
  if (/^TIMESTAMP/.test(type)) return 'timestamp'
  if (type === 'BOOLEAN' || type === 'BOOL') return 'bool'
  if (WHOLE.test(type)) return 'int'
  if (FRACTION.test(type)) return 'float'
  return TEXT.test(type) ? 'string' : null
}

/** Whether values of an SQL type can be of a declared type at all; which of them are is seen as they come. */
export function fitsType(declared: ValueType, sqlType: string): boolean {
  const type = sqlType.toUpperCase()
  if (UNKNOWN.test(type) || type === 'JSON' || type === 'JSONB') return true
  const natural = inferType(type)
  if (natural === null) return false
  if (declared === 'json') return true
  if (declared === 'int') return natural === 'int' || /^(?:DECIMAL|NUMERIC)/.test(type)
  if (declared === 'float') return natural === 'int' || natural === 'float'
  return declared === natural
}

/** How to make an SQL type fit, for hints. */
export function castHint(declared: ValueType, sqlType: string): string {
  const natural = inferType(sqlType)
  const casts: Partial<Record<ValueType, string>> = {
    int: 'BIGINT',
    float: 'DOUBLE PRECISION',
    string: 'VARCHAR',
    bool: 'BOOLEAN',
    timestamp: 'TIMESTAMPTZ',
  }
  const cast = casts[declared]
  const inSql = cast ? `Convert it in the SQL: CAST(… AS ${cast})` : 'Build it in the SQL'
  return natural === null ? `${inSql}.` : `${inSql}, or declare the type "${natural}".`
}

/**
 * @param sqlType The column's type: a text of type JSON is not a string.
 * @throws FabraError wrong_type or value_too_large; the message starts with "expected".
 */
export function sqlValueText(declared: DeclaredType, value: SqlValue, sqlType: string): string {
  const type = baseType(declared)
  let text = 'null'
  if (typeof value === 'string' && /^JSONB?$/.test(sqlType)) text = jsonColumnText(type, value)
  else if (value !== null) text = scalarText(type, value)
  if (text.length * 3 > MAX_VALUE_BYTES && Buffer.byteLength(text) > MAX_VALUE_BYTES) {
    throw new FabraError('value_too_large', `expected at most ${MAX_VALUE_BYTES} bytes of JSON, got ${Buffer.byteLength(text)}.`, {
      hint: 'A feature value holds up to 64 KiB. Store less, or a reference to it.',
    })
  }
  // What it declares to hold is looked at in the text, where all engines say it in one way.
  return elementOf(declared) === null ? text : encodeValue(declared, parseExact(text))
}

function scalarText(type: ValueType, value: Exclude<SqlValue, null>): string {
  switch (type) {
    case 'int':
      return intText(value)
    case 'float':
      return floatText(value)
    case 'string':
      if (typeof value === 'string') return JSON.stringify(value)
      if (value instanceof SqlOther && TEXT_LIKE.has(value.type)) return JSON.stringify(value.text)
      throw wrongType(type, value)
    case 'bool':
      if (typeof value !== 'boolean') throw wrongType(type, value)
      return String(value)
    case 'timestamp':
      if (value instanceof SqlOther) throw wrong(`expected timestamp, got ${value.text}, which is outside the years 1684 to 2255.`)
      if (!(value instanceof SqlTimestamp)) throw wrongType(type, value)
      return JSON.stringify(formatTime(value.micros))
    default:
      return structuredText(type, value)
  }
}

function intText(value: Exclude<SqlValue, null>): string {
  let whole: bigint
  if (typeof value === 'bigint') whole = value
  else if (value instanceof SqlDecimal) whole = wholeOfDecimal(value)
  else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw wrong(`expected int, got ${value}.`, 'Round it, or declare the type "float".')
    return value === 0 ? '0' : String(value)
  } else throw wrongType('int', value)
  if (whole < INT64_MIN || whole > INT64_MAX)
    throw wrong(`expected int, got ${whole}, which is outside 64 bits.`, 'Declare the type "json" for longer numbers.')
  return whole.toString()
}

function wholeOfDecimal(value: SqlDecimal): bigint {
  const match = /^(-?\d+)(?:\.0*)?$/.exec(value.text)
  if (!match) throw wrong(`expected int, got ${value.text}.`, 'Round it, or declare the type "float".')
  return BigInt(match[1] ?? '0')
}

function floatText(value: Exclude<SqlValue, null>): string {
  if (typeof value === 'number') return numberText(value, 'float')
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof SqlDecimal) return decimalText(value)
  throw wrongType('float', value)
}

function numberText(value: number, expected: string): string {
  if (!Number.isFinite(value))
    throw wrong(`expected ${expected}, got ${value}.`, 'NaN and Infinity cannot be stored. Guard the division with NULLIF(…, 0).')
  return Object.is(value, -0) ? '-0' : String(value)
}

/** Every digit, without the zeros that say nothing: `1.50` is `1.5` on every engine. */
function decimalText(value: SqlDecimal): string {
  const match = /^(-?)0*(\d+)(?:\.(\d*?)0*)?$/.exec(value.text)
  if (!match) throw wrong(`expected float, got ${value.text}.`, 'NaN and Infinity cannot be stored.')
  const [, sign = '', whole = '0', fraction = ''] = match
  const digits = fraction === '' ? whole : `${whole}.${fraction}`
  return /[1-9]/.test(digits) ? sign + digits : '0'
}

function structuredText(type: 'list' | 'dict' | 'json', value: Exclude<SqlValue, null>): string {
  if (type === 'list' && !Array.isArray(value)) throw wrongType(type, value)
  if (type === 'dict' && !(value instanceof SqlStruct)) throw wrongType(type, value)
  return nestedText(value)
}

/** A column of type JSON, whose text the engine keeps as it came. @param type `json`: any JSON will do. */
function jsonColumnText(type: ValueType, text: string): string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text, (_key: string, value: unknown, context?: { readonly source?: string }) => keepDigits(value, context?.source))
  } catch (error) {
    throw wrong(`expected ${type}, got a text that is not JSON.`, 'Give JSON, or declare the type "string".', error)
  }
  const found =
    parsed === null
      ? 'null'
      : Array.isArray(parsed)
        ? 'list'
        : typeof parsed === 'object' && !isRawJson(parsed)
          ? 'dict'
          : scalarTypeOf(parsed)
  const fits = type === 'json' || found === 'null' || found === type || (found === 'number' && (type === 'int' || type === 'float'))
  if (!fits) throw wrong(`expected ${type}, got JSON of type ${found}.`)
  const result = JSON.stringify(parsed)
  if (type === 'int' && found === 'number' && !/^-?\d+$/.test(result)) throw wrong(`expected int, got ${result}.`)
  return result
}

function scalarTypeOf(value: unknown): string {
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'string' ? 'string' : 'number'
}

/** Numbers that a double would change stay as they are written. */
function keepDigits(value: unknown, source: string | undefined): unknown {
  if (typeof value !== 'number' || source === undefined || source.length < 16 || String(value) === source) return value
  return rawJson(source)
}

interface RawJson {
  rawJSON(text: string): object
  isRawJSON(value: unknown): boolean
}

/** In the language since 2025, not yet in its type library. */
function rawJson(source: string): unknown {
  return (JSON as unknown as RawJson).rawJSON(source)
}

function isRawJson(value: unknown): boolean {
  return (JSON as unknown as RawJson).isRawJSON(value)
}

function nestedText(value: SqlValue): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return numberText(value, 'JSON')
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof SqlDecimal) return decimalText(value)
  if (value instanceof SqlTimestamp) return JSON.stringify(formatTime(value.micros))
  if (value instanceof SqlOther) {
    if (TEXT_LIKE.has(value.type)) return JSON.stringify(value.text)
    throw wrong(`expected JSON, got ${value.type}.`, 'Convert it in the SQL: CAST(… AS VARCHAR).')
  }
  if (value instanceof SqlStruct) {
    return `{${[...value.fields].map(([name, field]) => `${JSON.stringify(name)}:${nestedText(field)}`).join(',')}}`
  }
  if (Array.isArray(value)) return `[${value.map(nestedText).join(',')}]`
  throw wrong('expected JSON, got a field that cannot be read.', 'Give the field another name.')
}

function wrongType(type: ValueType, value: SqlValue): FabraError {
  return wrong(`expected ${type}, got ${describe(value)}.`)
}

function describe(value: SqlValue): string {
  if (value instanceof SqlTimestamp) return `the time ${formatTime(value.micros)}`
  if (value instanceof SqlDecimal) return `the number ${value.text}`
  if (value instanceof SqlOther) return `${value.type} ${value.text.slice(0, 60)}`
  if (value instanceof SqlStruct) return 'a dict'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'string' ? `the string ${JSON.stringify(value.slice(0, 60))}` : `${typeof value} ${String(value)}`
}

function wrong(message: string, hint = 'Convert it in the SQL, or declare another type.', cause?: unknown): FabraError {
  return new FabraError('wrong_type', message, { hint, cause })
}
