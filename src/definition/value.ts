import { FabraError } from '../errors.ts'
import { baseType, elementOf } from './declared-type.ts'
import { describe, isPlainObject, MAX_VALUE_BYTES, numberText, tooLarge, writeJson, wrong } from './json-writer.ts'
import type { DeclaredType, ValueType } from './model.ts'
import { show } from './show.ts'
import { formatTime, parseTime } from './time.ts'

export { parseExact } from './exact-json.ts'
export { MAX_VALUE_BYTES, MAX_VALUE_DEPTH } from './json-writer.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/**
 * A value as the JSON text that is stored and sent. Nothing is coerced or dropped: what JSON cannot say exactly is an error.
 * What a list or dict declares to hold is held to that. Null is a value of every type. Whole numbers are exact to 64 bits in an int, to any length in lists, dicts and json.
 * @throws FabraError wrong_type or value_too_large; the message starts with "expected", for the caller to put feature and key before it.
 */
export function encodeValue(type: DeclaredType, value: unknown): string {
  const text = value === null ? 'null' : encode(type, value)
  // A UTF-16 unit takes at most three bytes, so short texts need no counting.
  if (text.length * 3 > MAX_VALUE_BYTES) {
    const bytes = Buffer.byteLength(text)
    if (bytes > MAX_VALUE_BYTES) throw tooLarge(`${bytes}`)
  }
  return text
}

function encode(type: DeclaredType, value: unknown): string {
  switch (type) {
    case 'int':
      return encodeInt(value)
    case 'float':
      return encodeFloat(value)
    case 'string':
      if (typeof value !== 'string') throw wrongType(type, value)
      return encodeString(value)
    case 'bool':
      if (typeof value !== 'boolean') throw wrongType(type, value)
      return String(value)
    case 'timestamp':
      return encodeTimestamp(value)
    case 'list':
      if (!Array.isArray(value)) throw wrongType(type, value)
      return writeJson(value, { maps: false })
    case 'dict':
      if (!isPlainObject(value) && !(value instanceof Map)) throw wrongType(type, value)
      return writeJson(value, { maps: true })
    case 'json':
      return writeJson(value, { maps: false })
    default:
      return encodeElements(type, value)
  }
}

/** Of a list or dict that says what it holds. */
function encodeElements(type: DeclaredType, value: unknown): string {
  const element = elementOf(type) ?? 'json'
  if (baseType(type) === 'list') {
    if (!Array.isArray(value)) throw wrongType(type, value)
    if (Object.keys(value).length !== value.length) throw wrong(`expected ${type}, got a list with holes or named properties.`, HINTS.list)
    return `[${value.map((part: unknown, i) => encodeElement(type, element, part, `[${i}]`)).join(',')}]`
  }
  if (!isPlainObject(value) && !(value instanceof Map)) throw wrongType(type, value)
  const entries: readonly (readonly [unknown, unknown])[] = value instanceof Map ? [...value] : Object.entries(value)
  if (Object.getOwnPropertySymbols(value).length > 0 || !entries.every(([key]) => typeof key === 'string'))
    throw wrong(`expected ${type}, got a key that is no text.`, 'Keys are strings.')
  return `{${entries.map(([key, part]) => `${encodeString(String(key))}:${encodeElement(type, element, part, show(key))}`).join(',')}}`
}

function encodeElement(whole: DeclaredType, type: DeclaredType, value: unknown, place: string): string {
  if (value === null) return 'null'
  try {
    return encode(type, value)
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    throw new FabraError(error.code, `expected ${whole}, at ${place} ${error.message}`, { hint: error.hint ?? '' })
  }
}

function encodeInt(value: unknown): string {
  if (typeof value === 'bigint') {
    if (value < INT64_MIN || value > INT64_MAX)
      throw wrong(`expected int, got ${value}, which is outside 64 bits.`, 'Use type "json" for longer numbers.')
    return value.toString()
  }
  if (typeof value !== 'number') throw wrongType('int', value)
  if (!Number.isFinite(value)) throw wrong(`expected int, got ${value}.`, 'Return null when nothing is known.')
  if (!Number.isInteger(value)) throw wrong(`expected int, got ${value}.`, 'Round it, or declare the type "float".')
  if (!Number.isSafeInteger(value))
    throw wrong(`expected int, got ${value}, which is not exact as a number.`, 'Give a bigint beyond ±(2^53 − 1).')
  // Minus zero is the whole number zero.
  return value === 0 ? '0' : String(value)
}

function encodeFloat(value: unknown): string {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw wrongType('float', value)
    return numberText(value)
  }
  if (typeof value !== 'bigint') throw wrongType('float', value)
  const number = Number(value)
  if (!Number.isFinite(number) || BigInt(number) !== value) {
    throw wrong(`expected float, got ${value}, which is not exact as a float.`, 'Declare the type "int".')
  }
  return numberText(number)
}

function encodeTimestamp(value: unknown): string {
  if (value instanceof Date) {
    const ms = value.getTime()
    if (!Number.isSafeInteger(ms * 1000)) throw wrong('expected timestamp, got an invalid Date.', 'Return null when nothing is known.')
    return `"${formatTime(ms * 1000)}"`
  }
  if (typeof value !== 'string') throw wrongType('timestamp', value)
  try {
    return `"${formatTime(parseTime(value))}"`
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    throw new FabraError('wrong_type', `expected timestamp, got ${show(value)}. ${error.message}`, { hint: error.hint ?? '' })
  }
}

function encodeString(value: string): string {
  if (value.isWellFormed()) return JSON.stringify(value)
  throw wrong('expected valid Unicode, got a string with a lone surrogate.', 'Cut texts between characters, or use toWellFormed().')
}

function wrongType(type: DeclaredType, value: unknown): FabraError {
  return wrong(`expected ${type}, got ${describe(value)}.`, HINTS[baseType(type)])
}

const HINTS: Readonly<Record<ValueType, string>> = {
  int: 'Return a whole number, or null when nothing is known.',
  float: 'Return a number, or null when nothing is known.',
  string: 'Return a string, or null when nothing is known.',
  bool: 'Return true, false, or null when nothing is known.',
  timestamp: 'Return an RFC 3339 string with a zone, a Date, or null when nothing is known.',
  list: 'Return an array, or null when nothing is known.',
  dict: 'Return a plain object, or null when nothing is known.',
  json: 'Return something JSON can say, or null when nothing is known.',
}
