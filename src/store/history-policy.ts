import type { Micros } from '../clock.ts'
import { KeyRows, NumberColumns, ValueColumn } from '../columns.ts'
import type { Feature } from '../definition/model.ts'
import type { Origin } from './offline-store.ts'

const DAY: Micros = 86_400_000_000
/** Keys per feature whose newest row is remembered. Beyond, others are forgotten: their next value is written though it may be equal. */
const MAX_REMEMBERED_KEYS = 1_000_000

export interface JudgedValue {
  readonly eventAt: Micros
  readonly availableAt: Micros
  readonly origin: Origin
  readonly text: string | null
  readonly token: number
}

/** Which rows a value brings about: usually itself or none; with a late value, also one that was left out and now has to be told. */
export type HistoryRows = readonly JudgedValue[]

/**
 * Which values become history rows (`history` of a feature). `changes` leaves out a computed value equal to the row just before it in event
 * time, but confirms it before a quarter of the smallest of look-back, max staleness and a day has gone by. Where it does not know the row
 * before (a first value, after a restart), it writes: a row too many is never wrong.
 *
 * A late value may slip between a row and the equal values left out after it, and would then seem to be the newest. So the last value left
 * out is written after it. (Those left out between the two stay out: history shows the late value until then.)
 */
export interface HistoryPolicy {
  of(feature: Feature): FeaturePolicy
  /** What was known of a key of these features is gone from history: the next value is written, whatever it is. */
  forget(features: readonly string[], key: string): void
}

export interface FeaturePolicy {
  judge(key: string, value: JudgedValue): Judgement
}

export interface Judgement {
  readonly rows: HistoryRows
  /** Token of the newest value that was judged before, 0 when there is none; undefined for features of which every value is written. */
  readonly lastToken: number | undefined
}

/** The newest row written of one key, and the newest equal value seen since. */
interface Newest {
  eventAt: Micros
  text: string | null
  seenAt: Micros
  seenAvailableAt: Micros
  /** Of the value seen last. */
  token: number
}

export function createHistoryPolicy(): HistoryPolicy {
  const fields = new Map<string, NewestRows>()

  const newestOf = (feature: Feature): NewestRows => {
    const field = `${feature.name}@${feature.fingerprint}`
    let newest = fields.get(field)
    if (!newest) {
      newest = new NewestRows()
      fields.set(field, newest)
    }
    return newest
  }

  return {
    of(feature) {
      if (feature.history !== 'changes') return { judge: (_, value) => ({ rows: rowsOfAll(feature, value), lastToken: undefined }) }
      const known = newestOf(feature)
      const every = confirmEvery(feature)
      return {
        judge(key, value) {
          const row = known.of(key)
          if (row === undefined) {
            known.add(key, asNewest(value))
            return { rows: [value], lastToken: 0 }
          }
          const newest = known.get(row)
          const lastToken = newest.token
          const rows = judgeNext(newest, value, every)
          known.set(row, newest)
          return { rows, lastToken }
        },
      }
    },
    forget(features, key) {
      for (const [field, newest] of fields) if (features.includes(field.slice(0, field.lastIndexOf('@')))) newest.drop(key)
    },
  }
}

/** The newest of each key. One that was read is a copy: it counts when it is set. */
class NewestRows {
  private readonly rows = new KeyRows()
  private readonly texts = new ValueColumn<string | null>()
  /** eventAt, seenAt, seenAvailableAt, token. */
  private readonly numbers = new NumberColumns(4)

  of(key: string): number | undefined {
    return this.rows.of(key)
  }

  get(row: number): Newest {
    const { numbers } = this
    return {
      eventAt: numbers.get(row, 0),
      text: this.texts.get(row) ?? null,
      seenAt: numbers.get(row, 1),
      seenAvailableAt: numbers.get(row, 2),
      token: numbers.get(row, 3),
    }
  }

  set(row: number, { eventAt, text, seenAt, seenAvailableAt, token }: Newest): void {
    const { numbers } = this
    this.texts.set(row, text)
    numbers.set(row, 0, eventAt)
    numbers.set(row, 1, seenAt)
    numbers.set(row, 2, seenAvailableAt)
    numbers.set(row, 3, token)
  }

  add(key: string, newest: Newest): void {
    if (this.rows.size >= MAX_REMEMBERED_KEYS) this.rows.drop(this.rows.any() ?? '')
    this.set(this.rows.add(key), newest)
  }

  drop(key: string): void {
    this.rows.drop(key)
  }
}

function rowsOfAll(feature: Feature, value: JudgedValue): HistoryRows {
  return value.origin === 'computed' && feature.history === 'off' ? [] : [value]
}

/** A value of a key that has one. */
function judgeNext(newest: Newest, value: JudgedValue, every: Micros): HistoryRows {
  if (value.eventAt < newest.eventAt) return [value]
  if (value.text === newest.text) return judgeEqual(newest, value, every) ? [value] : []
  const { seenAt: eventAt, seenAvailableAt: availableAt, text, token } = newest
  const seen = { eventAt, availableAt, origin: 'computed' as const, text, token }
  if (newest.seenAt > newest.eventAt && isBefore(value, seen)) {
    newest.eventAt = newest.seenAt
    return [value, seen]
  }
  Object.assign(newest, asNewest(value))
  return [value]
}

/** @returns whether an equal value is written. */
function judgeEqual(newest: Newest, value: JudgedValue, every: Micros): boolean {
  // The next value is expected as far away as this one is from the last; it must still come in time to confirm.
  const step = Math.max(0, value.eventAt - newest.seenAt)
  const isWritten = value.origin !== 'computed' || value.eventAt - newest.eventAt + step > every
  if (isWritten) newest.eventAt = value.eventAt
  if (value.eventAt >= newest.seenAt) {
    newest.seenAt = value.eventAt
    newest.seenAvailableAt = value.availableAt
    newest.token = value.token
  }
  return isWritten
}

function asNewest({ eventAt, availableAt, text, token }: JudgedValue): Newest {
  return { eventAt, text, seenAt: eventAt, seenAvailableAt: availableAt, token }
}

function isBefore(a: JudgedValue, b: JudgedValue): boolean {
  return a.eventAt !== b.eventAt ? a.eventAt < b.eventAt : a.availableAt < b.availableAt
}

function confirmEvery(feature: Feature): Micros {
  return Math.min(feature.lookBack ?? DAY, feature.maxStaleness ?? DAY, DAY) / 4
}
