/**
 * How values lie in Redis.
 *
 * An entity key is one hash, `fabra:{User:u1}`. The braces make the entity key the hash tag, so that in a cluster everything that concerns
 * it lies in one slot. The hash has at most `BUCKETS` fields of values, `0` to `7`, and one more when the key was forgotten: `fence`, the
 * time of forgetting. A feature lies in the field that its name hashes to, beside others: what reading costs is the number of fields, so
 * fifty features are eight answers, not fifty. A field is a list of records:
 *
 *   RS name@fingerprint US event time US available after US seq after US origin US oldest input time { US JSON text of a column }
 *
 * RS and US are the ASCII separators 30 and 31, which no JSON text holds, nor does one that is stored hold a line end. Times are microseconds
 * since the epoch; the available time is counted from the event time, and the seq from that: they are mostly near, and what a read costs is
 * the characters that it looks at. The origin is c (computed), p (pushed) or b (backfill); a record without columns is known to be missing.
 */
import type { Micros } from '../../../clock.ts'
import { FabraError } from '../../../errors.ts'
import type { StoredValue } from '../../ports/online-store.ts'

export const BUCKETS = 8
export const FENCE_FIELD = 'fence'
export const RECORD = '\x1e'
export const UNIT = '\x1f'
const LINE_END = '\r'
export const RECORD_CODE = 0x1e
export const UNIT_CODE = 0x1f
export const LINE_END_CODE = 0x0d
const LINE_FEED_CODE = 0x0a
const MINUS_CODE = 0x2d
const ZERO_CODE = 0x30
/** What no text of a column may hold. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are the separators.
const SEPARATOR = /[\x1e\x1f\r\n]/
const ORIGINS = { computed: 'c', pushed: 'p', backfill: 'b' } as const

/** @param key Encoded entity key; whatever it holds, no two entity keys share a hash. */
export function hashKey(entity: string, key: string): string {
  return `fabra:{${entity}:${key}}`
}

/** Says in which epoch the field's values were brought here from history. It goes with them when Redis loses its data. */
export function filledKey(field: string): string {
  return `fabra:filled:${field}`
}

/** All versions of a feature share a field, so that one that nobody uses any more is found and let go when its successor is written. */
export function bucketOf(field: string): string {
  let hash = 0x811c9dc5
  for (let i = 0; i < field.length; i++) {
    const code = field.charCodeAt(i)
    if (code === 0x40) break
    hash = Math.imul(hash ^ code, 0x01000193)
  }
  // The low bits of this hash are the last letters': mixed with the high ones.
  return String((hash ^ (hash >>> 15)) & (BUCKETS - 1))
}

/** What a record of this field begins with, within the text of its bucket. */
export function recordHead(field: string): string {
  return `${RECORD}${field}${UNIT}`
}

/** What follows the head. @throws FabraError internal for a text that is no JSON */
export function recordBody({ texts, eventAt, availableAt, seq, origin, oldestInputAt }: StoredValue): string {
  const body = `${eventAt}${UNIT}${availableAt - eventAt}${UNIT}${seq - availableAt}${UNIT}${ORIGINS[origin]}${UNIT}${oldestInputAt ?? ''}`
  if (texts === null) return body
  for (const text of texts) if (SEPARATOR.test(text)) throw new FabraError('internal', 'A value to store is not JSON.')
  return `${body}${UNIT}${texts.join(UNIT)}`
}

export function originLetter(origin: StoredValue['origin']): string {
  return ORIGINS[origin]
}

/** The value whose record begins with this head; undefined where there is none. @param text Of a bucket, or of several with line ends between. */
export function readRecord(text: string, head: string): StoredValue | undefined {
  const at = text.indexOf(head)
  return at < 0 ? undefined : readBody(text, at + head.length, endOfRecord(text, at, text.indexOf(RECORD, at + 1)))
}

/** What the record that begins at `from` begins with. */
export function headAt(text: string, from: number): string {
  return text.slice(from, text.indexOf(UNIT, from) + 1)
}

/** Where the record that begins at `from` ends: where the next one begins, or with its bucket. @param next -1: there is none. */
export function endOfRecord(text: string, from: number, next: number): number {
  const end = next < 0 ? text.length : next
  return text.charCodeAt(end - 1) === LINE_FEED_CODE ? text.indexOf(LINE_END, from) : end
}

/** @param at Behind the head of a record that ends at `end`. */
export function readBody(text: string, at: number, end: number): StoredValue {
  cursor = at
  const eventAt = nextMicros(text)
  const availableAt = eventAt + nextMicros(text)
  const seq = availableAt + nextMicros(text)
  const origin = originOf(text.charCodeAt(cursor))
  cursor += 2
  const hasInput = cursor < end && text.charCodeAt(cursor) !== UNIT_CODE
  const oldestInputAt = hasInput ? nextMicros(text) : null
  if (!hasInput) cursor++
  // Past the end there is not even a separator: no columns.
  if (cursor > end) return { texts: null, eventAt, availableAt, seq, origin, oldestInputAt }
  const unit = text.indexOf(UNIT, cursor)
  const columns = text.slice(cursor, end)
  return { texts: unit < 0 || unit >= end ? [columns] : columns.split(UNIT), eventAt, availableAt, seq, origin, oldestInputAt }
}

function originOf(code: number): StoredValue['origin'] {
  if (code === 0x63) return 'computed'
  return code === 0x70 ? 'pushed' : 'backfill'
}

/** Where reading goes on. Not an object for each value: fifty are read for every request. */
let cursor = 0

/** Digit by digit, as cutting the text up first costs three times as much. Steps over the separator behind it. */
function nextMicros(text: string): Micros {
  let at = cursor
  const negative = text.charCodeAt(at) === MINUS_CODE
  if (negative) at++
  let value = 0
  for (let digit = text.charCodeAt(at) - ZERO_CODE; digit >= 0 && digit <= 9; digit = text.charCodeAt(at) - ZERO_CODE) {
    value = value * 10 + digit
    at++
  }
  cursor = at + 1
  return negative ? -value : value
}
