import type { Micros } from '../../clock.ts'

/** Where one feature's latest value for one key lives. `field` is `name@fingerprint`, so versions side by side never mix. */
export interface StoredKey {
  readonly entity: string
  /** Encoded entity key. */
  readonly key: string
  readonly field: string
}

/** Latest value of a feature (all its columns, computed together) for one entity key. */
export interface StoredValue {
  /** JSON text per column, ready to go out; null: known to be missing (no row, or a tombstone). */
  readonly texts: readonly string[] | null
  readonly eventAt: Micros
  readonly availableAt: Micros
  /** Decides between writes of equal event and available times: the last accepted wins. */
  readonly seq: number
  readonly origin: 'computed' | 'pushed' | 'backfill'
  readonly oldestInputAt: Micros | null
}

/** Takes apart what is recorded of one field. */
export type TextReader = (recorded: string) => StoredValue['texts']

/** A value whose texts are taken apart when somebody first asks for them: of a million values that are brought back few are read soon. */
export class LateValue implements StoredValue {
  /** Null: known to be missing. */
  readonly recorded: string | null
  readonly read: TextReader
  readonly eventAt: Micros
  readonly availableAt: Micros
  readonly seq: number
  readonly origin: StoredValue['origin']
  readonly oldestInputAt: Micros | null = null

  /** @param read The same for all values of a field. */
  constructor(recorded: string | null, read: TextReader, row: Pick<StoredValue, 'eventAt' | 'availableAt' | 'seq' | 'origin'>) {
    this.recorded = recorded
    this.read = read
    this.eventAt = row.eventAt
    this.availableAt = row.availableAt
    this.seq = row.seq
    this.origin = row.origin
  }

  get texts(): StoredValue['texts'] {
    return this.recorded === null ? null : this.read(this.recorded)
  }
}

/** By field; undefined where nothing is stored. */
export interface StoredRow extends ReadonlyArray<StoredValue | undefined> {
  /** Of a row that can be served as it lies. Not every store tells it. */
  readonly packed?: PackedRow
}

/** A row that has a value of each field, none known to be missing and each of one column. To look at one after the other is most of a read's work. */
export interface PackedRow {
  /** The JSON texts in the order of the fields, with commas between. */
  readonly json: string
  /** The same object for rows that are seen to have the same times. */
  readonly times: RowTimes
}

export interface RowTimes {
  /** By field. */
  readonly eventAts: readonly Micros[]
  readonly oldestAt: Micros
}

/** By key. Whoever reads the same again may be given the same lists. */
export type StoredRows = readonly StoredRow[]
