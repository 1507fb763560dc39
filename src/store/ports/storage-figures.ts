/** How large things are in a store. Asked for seldom, and cheap on large stores: what would take long is estimated from a sample, and said to be. */
import type { Micros } from '../../clock.ts'
import type { Source } from '../../definition/model.ts'
import type { Origin } from './offline-store.ts'

export interface TableSize {
  /** With its schema, where that is not the usual one. */
  readonly name: string
  readonly kind: 'history' | 'source' | 'other'
  /** Null: the store has not counted it yet. */
  readonly rows: number | null
  /** With indexes; null: not known. */
  readonly bytes: number | null
}

/** What is recorded of one feature, in all its versions. */
export interface RecordedSize {
  readonly feature: string
  readonly origin: Origin
  readonly rows: number
  readonly bytes: number
  /** Recorded within the last day. */
  readonly bytesLastDay: number
  readonly rowsLastDay: number
  /** Of events longer ago than each of the ages asked about. */
  readonly bytesOlder: readonly number[]
}

export interface RecordedFigures {
  readonly bytes: number
  readonly features: readonly RecordedSize[]
  /** Told from some of the rows; false: from all. */
  readonly isEstimate: boolean
}

export interface StorageQuestion {
  readonly now: Micros
  readonly ages: readonly Micros[]
  /** Names of sources. */
  readonly sources: readonly string[]
}

/** Where history is. Everything has a deadline of seconds. @throws FabraError store_unavailable */
export interface OfflineFigures {
  tables(question: StorageQuestion): Promise<readonly TableSize[]>
  recorded(question: StorageQuestion): Promise<RecordedFigures>
}

export interface OnlineSize {
  readonly bytes: number | null
  /** Beyond which writes are refused; null: none is set. */
  readonly maxBytes: number | null
  /** Entity keys and what else is kept beside them. */
  readonly keys: number | null
  /** By feature, from a sample of the keys. */
  readonly features: ReadonlyMap<string, number>
}

/** Where latest values are; null: in the memory of the process. */
export interface OnlineFigures {
  look(): Promise<OnlineSize>
}

/** How many rows of a source are new, and how many old. */
export interface SourceGrowth {
  readonly source: string
  /** By their timestamps. */
  readonly rowsLastDay: number
  /** Longer ago than each of the ages asked about. */
  readonly rowsOlder: readonly number[]
}

/** Where sources are. @throws FabraError store_unavailable; what cannot be told soon is left out. */
export type SourceFigures = (sources: readonly Source[], now: Micros, ages: readonly Micros[]) => Promise<readonly SourceGrowth[]>
