import { FabraError } from '../errors.ts'
import type { ValueType } from './model.ts'
import { show } from './show.ts'
import { formatTime, parseTime } from './time.ts'

export { parseExact } from './exact-json.ts'

/** Bytes of UTF-8 that a value's JSON text may take. */
export const MAX_VALUE_BYTES = 64 * 1024
/** How deep lists and objects may nest. */
export const MAX_VALUE_DEPTH = 32

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/**
 * A value as the JSON text that is stored and sent. Nothing is coerced or dropped: what JSON cannot say exactly is an error.
 * Null is a value of every type. Whole numbers are exact to 64 bits in an int, to any length in lists, dicts and json.
 * @throws FabraError wrong_type or value_too_large; the message starts with "expected", for the caller to put feature and key before it.
 */
export function encodeValue(type: ValueType, value: unknown): string {
  const text = value === null ? 'null' : encode(type, value)
  // A UTF-16 unit takes at most three bytes, so short texts need no counting.
  if (text.length * 3 > MAX_VALUE_BYTES) {
    const bytes = Buffer.byteLength(text)
    if (bytes > MAX_VALUE_BYTES) {
      throw new FabraError('value_too_large', `expected at most ${MAX_VALUE_BYTES} bytes of JSON, got ${bytes}.`, {
        hint: 'A feature value holds up to 64 KiB. Store less, or a reference to it.',
      })
    }
  }
  return text
}

function encode(type: ValueType, value: unknown): string {
  switch (type) {
    case 'int':
      return encodeInt(value)
    case 'float':
      return encodeFloat(value)
    case 'string':
      if (typeof value !== 'string') throw wrongType(type, value)
      return encodeString(value, '')
    case 'bool':
      if (typeof value !== 'boolean') throw wrongType(type, value)
      return String(value)
    case 'timestamp':
      return encodeTimestamp(value)
    case 'list':
      if (!Array.isArray(value)) throw wrongType(type, value)
      return new JsonWriter(false).write(value, '')
    case 'dict':
      if (!isPlainObject(value) && !(value instanceof Map)) throw wrongType(type, value)
      return new JsonWriter(true).write(value, '')
    case 'json':
      return new JsonWriter(false).write(value, '')
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
  if (typeof value === 'number') return encodeNumber(value, '', 'float')
  if (typeof value !== 'bigint') throw wrongType('float', value)
  const number = Number(value)
  if (!Number.isFinite(number) || BigInt(number) !== value) {
    throw wrong(`expected float, got ${value}, which is not exact as a float.`, 'Declare the type "int".')
  }
  return encodeNumber(number, '', 'float')
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

function encodeNumber(value: number, path: string, expected: string): string {
  if (!Number.isFinite(value)) {
    throw wrong(`expected ${expected}, got ${value}${at(path)}.`, 'NaN and Infinity cannot be stored. Return null when nothing is known.')
  }
  // String() would lose the sign.
  if (Object.is(value, -0)) return '-0'
  // Written out, a large float would be read back as a whole number that it is not exactly.
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value)
}

function encodeString(value: string, path: string): string {
  if (!value.isWellFormed()) {
    throw wrong(
      `expected valid Unicode, got a string with a lone surrogate${at(path)}.`,
      'Cut texts between characters, or use toWellFormed().',
    )
  }
  return JSON.stringify(value)
}

/** Writes one value; keeps the way down to it, so that errors name the place and cycles end. */
class JsonWriter {
  readonly #above: object[] = []
  readonly #maps: boolean
  #length = 0

  /** @param maps Whether a Map counts as an object. */
  constructor(maps: boolean) {
    this.#maps = maps
  }

  write(value: unknown, path: string): string {
    if (value === null) return 'null'
    switch (typeof value) {
      case 'boolean':
        return String(value)
      case 'number':
        return encodeNumber(value, path, 'JSON')
      case 'bigint':
        return value.toString()
      case 'string':
        return this.#count(encodeString(value, path))
      case 'object':
        return this.#nested(value, path)
      default:
        throw wrong(`expected JSON, got ${describe(value)}${at(path)}.`, 'Leave it out, or use null.')
    }
  }

  #nested(value: object, path: string): string {
    if (this.#above.includes(value)) throw wrong(`expected JSON, got an object that contains itself${at(path)}.`, 'JSON has no cycles.')
    if (this.#above.length >= MAX_VALUE_DEPTH)
      throw wrong(`expected at most ${MAX_VALUE_DEPTH} levels of nesting, got more.`, 'Flatten the value.')
    this.#above.push(value)
    const text = Array.isArray(value) ? this.#list(value, path) : this.#object(this.#entries(value, path), path)
    this.#above.pop()
    return text
  }

  #list(list: readonly unknown[], path: string): string {
    const parts: string[] = []
    for (let i = 0; i < list.length; i++) {
      if (!Object.hasOwn(list, i)) throw wrong(`expected JSON, got a list with a hole${at(`${path}[${i}]`)}.`, 'Fill it with null.')
      parts.push(this.#count(this.write(list[i], `${path}[${i}]`)))
    }
    if (Object.keys(list).length !== list.length)
      throw wrong(`expected a list, got a list with named properties${at(path)}.`, 'Use an object.')
    return `[${parts.join(',')}]`
  }

  #object(entries: Iterable<readonly [unknown, unknown]>, path: string): string {
    const parts: string[] = []
    for (const [key, part] of entries) {
      if (typeof key !== 'string') throw wrong(`expected text keys, got ${describe(key)} as a key${at(path)}.`, 'Keys are strings.')
      const inner = path === '' ? key : `${path}.${key}`
      parts.push(`${this.#count(encodeString(key, inner))}:${this.#count(this.write(part, inner))}`)
    }
    return `{${parts.join(',')}}`
  }

  #entries(value: object, path: string): Iterable<readonly [unknown, unknown]> {
    if (this.#maps && value instanceof Map) return value
    if (!isPlainObject(value)) throw wrong(`expected JSON, got ${describe(value)}${at(path)}.`, plainHint(value))
    if (Object.getOwnPropertySymbols(value).length > 0)
      throw wrong(`expected text keys, got a symbol as a key${at(path)}.`, 'Keys are strings.')
    return Object.entries(value)
  }

  /** Ends the work on a value that is too long anyway: shared parts can make a small object endless on paper. */
  #count(text: string): string {
    this.#length += text.length
    if (this.#length > MAX_VALUE_BYTES * (MAX_VALUE_DEPTH + 1)) {
      throw new FabraError('value_too_large', `expected at most ${MAX_VALUE_BYTES} bytes of JSON, got far more.`, {
        hint: 'A feature value holds up to 64 KiB. Store less, or a reference to it.',
      })
    }
    return text
  }
}

/** Made by `{}`, `Object.create(null)` or their like in another realm; not by a class. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
}

function wrongType(type: ValueType, value: unknown): FabraError {
  return wrong(`expected ${type}, got ${describe(value)}.`, HINTS[type])
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

function plainHint(value: object): string {
  if (value instanceof Date) return 'Give a text: date.toISOString().'
  if (value instanceof Map) return 'Give a plain object: Object.fromEntries(map).'
  if (value instanceof Set || ArrayBuffer.isView(value)) return 'Give an array: Array.from(…).'
  return 'Give plain objects, arrays, texts, numbers, booleans and null only.'
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (isPlainObject(value)) return 'an object'
  if (typeof value === 'string') return `the string ${show(value)}`
  if (typeof value === 'number' || typeof value === 'boolean')
    return `${value === true || value === false ? 'the bool' : 'the number'} ${value}`
  if (typeof value === 'bigint') return `the whole number ${value}`
  if (value instanceof Promise) return 'a promise that was not awaited'
  return typeof value === 'symbol' ? 'a symbol' : show(value)
}

function wrong(message: string, hint: string): FabraError {
  return new FabraError('wrong_type', message, { hint })
}

function at(path: string): string {
  if (path === '') return ''
  return ` at ${path.length > 80 ? `${path.slice(0, 80)}…` : path}`
}
