import type { Micros } from '../../clock.ts'
import type { TakeLeaving } from './archive.ts'
import type { Origin } from './offline-store.ts'

/**
 * What may go from the history of one feature, in all its versions: rows of these origins whose event was before a time, and which another row of
 * the same version and key has overtaken by then. Overtaken: that row is greater by (event time, available at, seq), and was recorded and available by
 * that time. So whatever is asked about that time or a later one has the same answer as before; the newest row of each key, a tombstone too, always
 * stays, and erasures are not touched at all.
 */
export interface RemovalRule {
  readonly feature: string
  readonly before: Micros
  /** A row of origin `backfill` is never told as it was served, so that it overtakes only others of its kind. */
  readonly origins: readonly Origin[]
}

/** Keys up to this one are done with; null: none is. */
export interface RemovalPlace {
  readonly after: string | null
}

export interface RemovedLot {
  readonly removed: number
  /** Where the next lot begins; null: nothing is left that the rule names. */
  readonly next: RemovalPlace | null
}

/** How far months are looked through. */
export interface MonthsDone {
  /** Null: all are. */
  readonly next: string | null
  readonly removed: number
  /** Why a month whose rows mostly leave did not; they are left to lots. */
  readonly problem?: unknown
}

/**
 * Where history is a table for each month: months of which most leaves are exchanged for a table of what stays. What is left then is what lots of the
 * same rules would have left. Nobody reads or writes less meanwhile, and no value comes in or goes unseen.
 */
export interface MonthsRemoval {
  /**
   * Goes on with what was begun, here or by a process that is gone: rows that have left are given away, and their table is dropped.
   * @param takerOf Null: what goes is gone. @returns of which features something was given away, and whether there is more to do.
   */
  finishLot(takerOf: ((feature: string) => TakeLeaving) | null): Promise<{ readonly features: readonly string[]; readonly goesOn: boolean }>
  /** Exchanges the first month after one by name that is wholly older than rules say. @throws FabraError store_unavailable */
  exchangeNext(rules: readonly RemovalRule[], options: ExchangeOptions): Promise<MonthsDone>
}

export interface ExchangeOptions {
  readonly after: string
  /** What leaves is to be given away by `finishLot`. */
  readonly archives: boolean
  readonly signal: AbortSignal
}

/** Deleting recorded values because of their age. */
export interface HistoryRemoval {
  readonly months?: MonthsRemoval
  /**
   * Removes some thousand rows at most, all or none, and holds nobody up for longer than that takes. That some are missing from then on is durable in
   * the same moment.
   * @param from What the lot before gave. @param take Is given them before they are gone, as LEAVING_COLUMNS.
   * @throws FabraError store_unavailable; outcome_unknown. Trying again is safe.
   */
  removeLot(rule: RemovalRule, from: RemovalPlace, take?: TakeLeaving | null): Promise<RemovedLot>
  /**
   * Since when history is whole, of those features of which something was removed: about an earlier time it may have another answer than it
   * once had. To be asked after reading: what is removed meanwhile is then told.
   */
  keptSince(features: readonly string[]): Promise<ReadonlyMap<string, Micros>>
}

const [TEXT, TIME] = ['VARCHAR', 'TIMESTAMP WITH TIME ZONE']
/** What is told of a row that leaves history: the columns that an export has. */
export const LEAVING_COLUMNS = [
  ...['feature', 'fingerprint', 'entity_key', 'value'].map((name) => ({ name, type: TEXT })),
  ...['event_timestamp', 'available_at', 'created_at'].map((name) => ({ name, type: TIME })),
  { name: 'seq', type: 'BIGINT' },
  { name: 'origin', type: TEXT },
]
