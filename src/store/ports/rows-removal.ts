import type { Micros } from '../../clock.ts'
import type { Source } from '../../definition/model.ts'
import type { TakeLeaving } from './archive.ts'

export interface RemovedRows {
  readonly removed: number
  /** Where the next lot begins; null: nothing is left that is so old. */
  readonly next: number | null
}

/** Deleting rows that were appended to sources because of their age. */
export interface RowsRemoval {
  /** Why rows may not be deleted from the source's table, as half a sentence; null: they may. */
  kept(source: Source): Promise<string | null>
  /**
   * Removes some thousand rows at most whose timestamp is before the time, all or none. Of rows with an `id`, those that have it alone: another of the
   * same id would be seen in their place. That some are missing from then on is durable in the same moment.
   * @param from 0, or what the lot before gave. @throws FabraError store_unavailable; outcome_unknown. Trying again is safe.
   */
  removeLot(source: Source, before: Micros, from: number, take: TakeLeaving | null): Promise<RemovedRows>
  /** Since when a source's rows are whole, of those that have lost some. To be asked after reading. */
  keptSince(sources: readonly string[]): Promise<ReadonlyMap<string, Micros>>
}
