import { FabraError, suggest } from '../errors.ts'
import type { Entity, KeyColumn } from './model.ts'

/**
 * One entity's key. `values` are canonical texts in the order of the entity's columns (`007` of an int key is `7`, uuids are lower case).
 * `encoded` is one text per key and no two keys share one: `%` and `:` of composite keys are escaped, so `a:b`+`c` is not `a`+`b:c`.
 */
export interface EntityKey {
  readonly values: readonly string[]
  readonly encoded: string
}

/** Of one column. A refresh holds a million keys: the list of values is made for who asks. */
class SingleKey implements EntityKey {
  readonly encoded: string

  constructor(encoded: string) {
    this.encoded = encoded
  }

  get values(): readonly string[] {
    return [this.encoded]
  }
}

/** Bytes of UTF-8 one key column may have. */
export const MAX_KEY_BYTES = 1024
/**
 * Bytes that the columns of one key may have together, as they are encoded. PostgreSQL's index of history takes rows of 2,704: the key, the names
 * of feature and version, and three numbers.
 */
export const MAX_ENCODED_BYTES = 2_200

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

/** @throws FabraError invalid_key naming the column and what it takes. */
export function entityKey(entity: Entity, values: readonly unknown[]): EntityKey {
  const [only] = entity.key
  if (entity.key.length === 1 && only) {
    return new SingleKey(canonicalKeyValue(entity, only, values[0]))
  }
  const texts = entity.key.map((column, i) => canonicalKeyValue(entity, column, values[i]))
  const encoded = encodeKey(texts)
  if (encoded.length * 3 > MAX_ENCODED_BYTES && Buffer.byteLength(encoded) > MAX_ENCODED_BYTES) {
    throw new FabraError('invalid_key', `${entity.name}: the key's columns have ${Buffer.byteLength(encoded)} bytes together.`, {
      hint: `They hold at most ${MAX_ENCODED_BYTES}, where "%" and ":" count as three.`,
    })
  }
  return { values: texts, encoded }
}

/**
 * A key from a row that names its columns; the row may hold other columns too.
 * @throws FabraError invalid_key when a key column is missing.
 */
export function entityKeyFromRow(entity: Entity, row: Readonly<Record<string, unknown>>): EntityKey {
  const [only] = entity.key
  // Nearly every key: without lists of its columns.
  if (entity.key.length === 1 && only && Object.hasOwn(row, only.name) && row[only.name] !== undefined)
    return new SingleKey(canonicalKeyValue(entity, only, row[only.name]))
  const values = entity.key.map((column) => (Object.hasOwn(row, column.name) ? row[column.name] : undefined))
  const missing = entity.key.find((_, i) => values[i] === undefined)
  if (missing) {
    const columns = entity.key.map((column) => column.name)
    throw new FabraError('invalid_key', `The row has no "${missing.name}", a key column of ${entity.name}.`, {
      hint: `${entity.name} is keyed by ${columns.join(', ')}. ${Object.keys(row).length > 0 ? `The row has: ${Object.keys(row).slice(0, 8).join(', ')}.` : 'The row is empty.'}`,
    })
  }
  return entityKey(entity, values)
}

/** The key of an entity with one text column, from a plain word: ASCII letters, digits, `_`, `.`, `-`. */
export function plainKey(word: string): EntityKey {
  return new SingleKey(word)
}

/** The key as it goes out in answers: ints as integers (exact), everything else as text. */
export function keyColumnsJson(entity: Entity, key: EntityKey): string {
  const only = entity.key[0]
  if (entity.key.length === 1 && only) return `{"${only.name}":${keyValueJson(only, key.encoded)}}`
  return `{${entity.key.map((column, i) => keyColumnJson(column, key.values[i] ?? '')).join(',')}}`
}

/** `"user_id":"u1"`. Column names are plain words: they need no escaping. */
export function keyColumnJson(column: KeyColumn, text: string): string {
  return `"${column.name}":${keyValueJson(column, text)}`
}

/** Most keys are plain words too. */
function keyValueJson(column: KeyColumn, text: string): string {
  if (column.type === 'int') return text
  return /^[\w.-]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** Undoes `encoded`. */
export function decodeKey(entity: Entity, encoded: string): EntityKey {
  if (entity.key.length === 1) return new SingleKey(encoded)
  const values = encoded.split(':').map((part) => part.replaceAll('%3A', ':').replaceAll('%25', '%'))
  return { values, encoded }
}

function encodeKey(texts: readonly string[]): string {
  if (texts.length === 1) return texts[0] ?? ''
  return texts.map((text) => text.replaceAll('%', '%25').replaceAll(':', '%3A')).join(':')
}

function canonicalKeyValue(entity: Entity, column: KeyColumn, value: unknown): string {
  const fail = (message: string, hint: string) => new FabraError('invalid_key', `${entity.name}.${column.name}: ${message}`, { hint })
  if (value === null || value === undefined) throw fail('a key column cannot be empty.', `Give ${column.name} a value.`)
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw fail(`${value} is not an exact whole number.`, 'Send it as a string, or as an integer within ±(2^53 − 1).')
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') {
    throw fail(`expected a ${column.type}, got ${describe(value)}.`, 'Keys are strings or integers.')
  }
  const text = String(value)
  if (text === '') throw fail('a key column cannot be empty.', `Give ${column.name} a value.`)
  if (!text.isWellFormed()) throw fail('the text has a lone surrogate, which is not valid Unicode.', 'Send well-formed Unicode.')
  if (text.includes('\0')) throw fail('the text has a NUL character.', 'Remove it: PostgreSQL cannot store it.')
  if (text.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(text) > MAX_KEY_BYTES) {
    throw fail(`${Buffer.byteLength(text)} bytes is too long.`, `A key column holds at most ${MAX_KEY_BYTES} bytes.`)
  }
  if (column.type === 'int') {
    if (!/^[+-]?\d{1,20}$/.test(text)) throw fail(`${quote(text)} is not an int.`, 'Send a whole number.')
    const int = BigInt(text)
    if (int < INT64_MIN || int > INT64_MAX) throw fail(`${quote(text)} is outside 64 bits.`, 'Send a 64-bit integer.')
    return int.toString()
  }
  if (column.type === 'uuid') {
    if (!UUID.test(text)) throw fail(`${quote(text)} is not a uuid.`, 'Send 32 hex digits, with or without dashes.')
    const hex = text.replaceAll('-', '').toLowerCase()
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  }
  return text
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value === 'boolean' ? 'bool' : typeof value}`
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

/** Key columns asked for by a name the entity does not have. */
export function unknownKeyColumn(entity: Entity, given: string): FabraError {
  return new FabraError('invalid_key', `${entity.name} has no key column "${given}".`, {
    hint: suggest(
      given,
      entity.key.map((column) => column.name),
    ),
  })
}
