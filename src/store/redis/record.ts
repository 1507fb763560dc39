/**
 * How values lie in Redis.
 *
 * An entity key is one hash, `fabra:{User:u1}`. The braces make the entity key the hash tag, so that in a cluster everything that concerns
 * it lies in one slot. The hash has at most `BUCKETS` fields of values, `0` to `7`, and one more when the key was forgotten: `fence`, the
 * time of forgetting. A feature lies in the field that its name hashes to, beside others: what reading costs is the number of fields, so
 * fifty features are eight answers, not fifty. A field is a list of records:
 *
 *   RS name@fingerprint US event time US available time US token US origin US oldest input time { US JSON text of a column }
 *
 * RS and US are the ASCII separators 30 and 31, which no JSON text holds; times are microseconds since the epoch; the origin is c (computed),
 * p (pushed) or b (backfill); a record without columns is known to be missing.
 */
import type { Micros } from '../../clock.ts'
import { FabraError } from '../../errors.ts'
import type { StoredValue } from '../online-store.ts'

export const BUCKETS = 8
export const FENCE_FIELD = 'fence'
const RECORD = '\x1e'
const UNIT = '\x1f'
const UNIT_CODE = 0x1f
const MINUS_CODE = 0x2d
const ZERO_CODE = 0x30
const ORIGINS = { computed: 'c', pushed: 'p', backfill: 'b' } as const

/** @param key Encoded entity key; whatever it holds, no two entity keys share a hash. */
export function hashKey(entity: string, key: string): string {
  return `fabra:{${entity}:${key}}`
}

/** Its being there says that the field's values were brought here from history. It goes with them when Redis loses its data. */
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
export function recordBody({ texts, eventAt, availableAt, token, origin, oldestInputAt }: StoredValue): string {
  const body = `${eventAt}${UNIT}${availableAt}${UNIT}${token}${UNIT}${ORIGINS[origin]}${UNIT}${oldestInputAt ?? ''}`
  if (texts === null) return body
  for (const text of texts) {
    if (text.includes(RECORD) || text.includes(UNIT)) throw new FabraError('internal', 'A value to store is not JSON.')
  }
  return `${body}${UNIT}${texts.join(UNIT)}`
}

/** The value whose record begins with this head; undefined where there is none. */
export function readRecord(bucket: string, head: string): StoredValue | undefined {
  const at = findBody(bucket, head, 0)
  return at < 0 ? undefined : readBody(bucket, at)
}

/** What follows the head of a record begins here; -1 where there is none. @param near Looked at first: records mostly lie as they were last found. */
export function findBody(bucket: string, head: string, near: number): number {
  const start = bucket.indexOf(head, near)
  if (start >= 0) return start + head.length
  return near === 0 ? -1 : findBody(bucket, head, 0)
}

/** @param at As found by `findBody`. */
export function readBody(bucket: string, at: number): StoredValue {
  const cursor = new Cursor(bucket, at)
  const eventAt = cursor.micros()
  const availableAt = cursor.micros()
  const token = cursor.micros()
  const origin = originOf(bucket.charCodeAt(cursor.at))
  cursor.at += 2
  const end = bucket.indexOf(RECORD, cursor.at)
  const stop = end < 0 ? bucket.length : end
  const hasInput = cursor.at < stop && bucket.charCodeAt(cursor.at) !== UNIT_CODE
  const oldestInputAt = hasInput ? cursor.micros() : null
  if (!hasInput) cursor.at++
  // Past the end there is not even a separator: no columns.
  if (cursor.at > stop) return { texts: null, eventAt, availableAt, token, origin, oldestInputAt }
  const text = bucket.slice(cursor.at, stop)
  return { texts: text.includes(UNIT) ? text.split(UNIT) : [text], eventAt, availableAt, token, origin, oldestInputAt }
}

function originOf(code: number): StoredValue['origin'] {
  if (code === 0x63) return 'computed'
  return code === 0x70 ? 'pushed' : 'backfill'
}

/** Reads numbers digit by digit: this runs for every value served, and cutting the text up first costs three times as much. */
class Cursor {
  at: number
  private readonly text: string

  constructor(text: string, at: number) {
    this.text = text
    this.at = at
  }

  /** Steps over the separator behind it. */
  micros(): Micros {
    const negative = this.text.charCodeAt(this.at) === MINUS_CODE
    if (negative) this.at++
    let value = 0
    for (
      let digit = this.text.charCodeAt(this.at) - ZERO_CODE;
      digit >= 0 && digit <= 9;
      digit = this.text.charCodeAt(this.at) - ZERO_CODE
    ) {
      value = value * 10 + digit
      this.at++
    }
    this.at++
    return negative ? -value : value
  }
}
