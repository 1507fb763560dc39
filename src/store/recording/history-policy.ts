import type { Micros } from '../../clock.ts'
import { JsonColumn, KeyRows, NumberColumns } from '../../collections/column-store.ts'
import { isPushed } from '../../definition/feature-traits.ts'
import { featureOfField, fieldOf } from '../../definition/feature-version.ts'
import { recordsKey } from '../../definition/history-sample.ts'
import type { Feature } from '../../definition/model.ts'
import type { Origin } from '../ports/offline-store.ts'
import type { StoredWrite } from '../ports/online-store.ts'
import { isNewer } from '../ports/value-order.ts'

const DAY: Micros = 86_400_000_000
/** Keys per feature whose newest row is remembered. Beyond, others are forgotten: their next value is written though it may be equal. */
const MAX_REMEMBERED_KEYS = 1_000_000

export interface JudgedValue {
  readonly eventAt: Micros
  readonly availableAt: Micros
  readonly origin: Origin
  readonly text: string | null
  readonly seq: number
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
 *
 * Where keys are sampled, computed values of the others are left out altogether; history is not asked for their latest values then.
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
  /**
   * Token of the newest value that was judged before, 0 when there is none; undefined for features of which every value is written. Of keys that
   * are not recorded, what the online store is to tell of: where a computed value follows a pushed one, history has to have both.
   */
  readonly after: StoredWrite['after']
}

const UNRECORDED: Judgement = { rows: [], after: 'other_origin' }

/** The newest row written of one key, and the newest equal value seen since. */
interface Newest {
  eventAt: Micros
  text: string | null
  seenAt: Micros
  seenAvailableAt: Micros
  /** Of the value seen last. */
  seq: number
}

/** @param maxKeys Of each feature. */
export function createHistoryPolicy(maxKeys = MAX_REMEMBERED_KEYS): HistoryPolicy {
  const fields = new Map<string, NewestRows>()
  const entities = new Map<string, EntityKeys>()

  const newestOf = (feature: Feature): NewestRows => {
    const field = fieldOf(feature)
    let newest = fields.get(field)
    if (!newest) {
      const keys = entities.get(feature.entity) ?? new EntityKeys()
      entities.set(feature.entity, keys)
      newest = new NewestRows(keys, maxKeys)
      fields.set(field, newest)
    }
    return newest
  }

  const policyOf = (feature: Feature): FeaturePolicy => {
    // Of what is pushed every value is written, whichever was before.
    if (feature.history === 'all' || feature.history === 'off' || isPushed(feature))
      return { judge: (_, value) => ({ rows: rowsOfAll(feature, value), after: undefined }) }
    const known = newestOf(feature)
    const every = confirmEvery(feature)
    return {
      judge(key, value) {
        if (!recordsKey(feature, key)) return value.origin === 'computed' ? UNRECORDED : { rows: [value], after: 'other_origin' }
        const row = known.of(key)
        if (row === undefined) {
          known.add(key, asNewest(value))
          return { rows: [value], after: 0 }
        }
        const newest = known.get(row)
        const after = newest.seq
        const rows = judgeNext(newest, value, every)
        known.set(row, newest)
        return { rows, after }
      },
    }
  }
  /** Asked for with each row. */
  const policies = new WeakMap<Feature, FeaturePolicy>()

  return {
    of(feature) {
      const known = policies.get(feature)
      if (known) return known
      const made = policyOf(feature)
      policies.set(feature, made)
      return made
    },
    forget(features, key) {
      for (const [field, newest] of fields) if (features.includes(featureOfField(field))) newest.drop(key)
    },
  }
}

/** Keys of an entity, of which each of its features remembers some: a text and its row are there once, however many do. */
class EntityKeys {
  private readonly rows = new KeyRows()
  private readonly users = new NumberColumns(1)

  of(key: string): number | undefined {
    return this.rows.of(key)
  }

  keyOf(row: number): string | undefined {
    return this.rows.keyOf(row)
  }

  get end(): number {
    return this.rows.end
  }

  /** One feature more remembers the key. @returns its row. */
  hold(key: string): number {
    const known = this.rows.of(key)
    const row = known ?? this.rows.add(key)
    this.users.set(row, 0, known === undefined ? 1 : this.users.get(row, 0) + 1)
    return row
  }

  release(key: string, row: number): void {
    const users = this.users.get(row, 0) - 1
    this.users.set(row, 0, users)
    if (users === 0) this.rows.drop(key)
  }
}

/** Columns of a row's numbers. */
const EVENT_AT = 0
const SEEN_AT = 1
const SEEN_AVAILABLE_AT = 2
/** NaN: nothing is remembered of this row's key. */
const SEQ = 3

/** The newest of each key. One that was read is a copy: it counts when it is set. */
class NewestRows {
  private readonly texts = new JsonColumn()
  private readonly numbers = new NumberColumns(SEQ + 1)
  private count = 0
  /** Where looking for one to forget goes on. */
  private hand = 0
  private readonly keys: EntityKeys
  private readonly maxKeys: number

  constructor(keys: EntityKeys, maxKeys: number) {
    this.keys = keys
    this.maxKeys = maxKeys
  }

  of(key: string): number | undefined {
    const row = this.keys.of(key)
    return row !== undefined && this.has(row) ? row : undefined
  }

  get(row: number): Newest {
    const { numbers } = this
    return {
      eventAt: numbers.get(row, EVENT_AT),
      text: this.texts.get(row),
      seenAt: numbers.get(row, SEEN_AT),
      seenAvailableAt: numbers.get(row, SEEN_AVAILABLE_AT),
      seq: numbers.get(row, SEQ),
    }
  }

  set(row: number, { eventAt, text, seenAt, seenAvailableAt, seq }: Newest): void {
    const { numbers } = this
    this.texts.set(row, text)
    numbers.set(row, EVENT_AT, eventAt)
    numbers.set(row, SEEN_AT, seenAt)
    numbers.set(row, SEEN_AVAILABLE_AT, seenAvailableAt)
    numbers.set(row, SEQ, seq)
  }

  add(key: string, newest: Newest): void {
    if (this.count >= this.maxKeys) this.dropAny()
    this.set(this.keys.hold(key), newest)
    this.count++
  }

  drop(key: string): void {
    const row = this.of(key)
    if (row === undefined) return
    this.texts.set(row, null)
    this.numbers.set(row, SEQ, Number.NaN)
    this.keys.release(key, row)
    this.count--
  }

  /** Another each time. */
  private dropAny(): void {
    for (let i = 0; i < this.keys.end; i++) {
      const row = this.hand++ % this.keys.end
      if (!this.has(row)) continue
      this.drop(this.keys.keyOf(row) ?? '')
      return
    }
  }

  private has(row: number): boolean {
    return !Number.isNaN(this.numbers.get(row, SEQ))
  }
}

function rowsOfAll(feature: Feature, value: JudgedValue): HistoryRows {
  return value.origin === 'computed' && feature.history === 'off' ? [] : [value]
}

/** A value of a key that has one. */
function judgeNext(newest: Newest, value: JudgedValue, every: Micros): HistoryRows {
  if (value.eventAt < newest.eventAt || isOvertaken(value, newest)) return [value]
  if (value.text === newest.text) return judgeEqual(newest, value, every) ? [value] : []
  const seen = seenOf(newest)
  if (newest.seenAt > newest.eventAt && isNewer(seen, value)) {
    newest.eventAt = newest.seenAt
    return [value, seen]
  }
  Object.assign(newest, asNewest(value))
  return [value]
}

/** Pushed values are judged when they are committed: one of the same time may have been accepted later and judged before. */
function isOvertaken(value: JudgedValue, newest: Newest): boolean {
  return value.eventAt === newest.eventAt && value.eventAt === newest.seenAt && isNewer(seenOf(newest), value)
}

/** The last equal value, as a value of its own. */
function seenOf({ seenAt, seenAvailableAt, text, seq }: Newest): JudgedValue {
  return { eventAt: seenAt, availableAt: seenAvailableAt, origin: 'computed', text, seq }
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
    newest.seq = value.seq
  }
  return isWritten
}

function asNewest({ eventAt, availableAt, text, seq }: JudgedValue): Newest {
  return { eventAt, text, seenAt: eventAt, seenAvailableAt: availableAt, seq }
}

function confirmEvery(feature: Feature): Micros {
  return Math.min(feature.lookBack ?? DAY, feature.maxStaleness ?? DAY, DAY) / 4
}
