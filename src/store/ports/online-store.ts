import type { Micros } from '../../clock.ts'
import type { Doubts } from './doubts.ts'
import type { Erasure } from './erasure.ts'
import type { StoredKey, StoredRow, StoredRows, StoredValue } from './stored-value.ts'

export type { PackedRow, RowTimes, StoredKey, StoredRow, StoredRows, StoredValue } from './stored-value.ts'

export interface StoredWrite extends StoredKey {
  readonly value: StoredValue
  /**
   * Token of the value that this process last wrote there, 0 for none; then it is told what other processes wrote. `other_origin`: it is told of
   * values of another origin than this one's, whoever wrote them. Default: not asked.
   */
  readonly after?: number | 'other_origin' | undefined
}

export interface WriteOutcome {
  /** Indexes of the writes refused; what is stored there is unchanged. */
  readonly refused: readonly number[]
  /** Of those refused: the erasures that did it. This process may not know them. */
  readonly erasures: readonly Erasure[]
  /** Indexes of the writes that replaced what another process had written, or what they asked about. */
  readonly replacedForeign: readonly number[]
  /** What another process had written, or was asked about, and is newer than the write refused. */
  readonly winner: readonly { readonly index: number; readonly value: StoredValue }[]
}

/** Stands for the erasures where fields are asked for that were brought here from history. No field is called so. */
export const FENCES_FIELD = 'fences'

/** Latest value per feature and entity key. Holds no history; see OfflineStore. */
export interface OnlineStore {
  /**
   * Read many features of many keys of one entity in one round trip.
   * Answers at once (no promise) where the backend is in this process: the hot path must not wait for a microtask.
   * @param use `serving`: what is read is kept for `lastRead`. `deciding`: it is not. Both are refused where it is not sure to be all that is recorded.
   * @returns one slot per key and field: `result[key][field]`, in the orders given; undefined where nothing is stored.
   * @throws StoreUnavailable if the backend cannot be reached, DoubtedRows. Safe to retry.
   */
  read(entity: string, keys: readonly string[], fields: readonly string[], use?: 'serving' | 'deciding'): StoredRows | Promise<StoredRows>
  /**
   * What was last read to be served of one key, for as long as the backend cannot be reached: a slot a field, undefined where there was
   * nothing. It may have been forgotten since. A backend in this process has nothing to add to `read`.
   */
  lastRead(entity: string, key: string, fields: readonly string[]): StoredRow
  /**
   * Write values, except where a newer one is stored (compare-and-set by value-order.ts) and of keys forgotten later than the event.
   * @throws StoreUnavailable if the backend cannot be reached; some may be written. Safe to retry.
   */
  write(rows: readonly StoredWrite[]): Promise<WriteOutcome>
  /** Drop everything about a key, whatever its time; from then on only events later than the erasure are stored. @returns how many values went. */
  forget(erasure: Erasure): Promise<number>
  /**
   * Put back erasures that the store has lost: of their keys what is not later goes, and only later events are stored. One never moves back.
   * @throws StoreUnavailable; safe to repeat.
   */
  addErasures(erasures: readonly Erasure[]): Promise<void>
  /** Erasures at that time or later, by whichever process; those of the last day at least. */
  erasuresSince(at: Micros): Promise<readonly Erasure[]>
  /**
   * For each field (or `FENCES_FIELD`), whether everything that history knows of it was brought here once. False after the store has lost its data, and at
   * each start of one in this process.
   */
  filled(fields: readonly string[]): Promise<readonly boolean[]>
  markFilled(field: string): Promise<void>
  /** Why it may not be taken at its word; whoever knows that it lacks something says so here. */
  readonly doubts: Doubts
  /** Others write there too, and it may lose its data while this process lives. */
  readonly isShared: boolean
  /**
   * Whether the store takes writes and has kept what it held is looked up, and told as doubts. Cheap: done several times a second.
   * @param fields Those that must have been filled, from now on; default: as before.
   * @throws StoreUnavailable
   */
  look(fields?: readonly string[]): Promise<void>
  /**
   * Brings back what was lost, unless another process is at it.
   * @param fill Brings everything that history knows of these fields (and `FENCES_FIELD`) and marks each as filled.
   * @returns the fields that are there again; undefined where another process is at it.
   * @throws StoreUnavailable; safe to repeat.
   */
  restore(fill: (fields: readonly string[]) => Promise<void>): Promise<readonly string[] | undefined>
  close(): Promise<void>
}
