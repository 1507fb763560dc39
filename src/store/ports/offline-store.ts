import type { Micros } from '../../clock.ts'
import type { Erasure } from './erasure.ts'

export type Origin = 'computed' | 'pushed' | 'backfill'

/** One line of `fabra.feature_history`. */
export interface HistoryRow {
  readonly feature: string
  readonly fingerprint: string
  /** Encoded entity key. */
  readonly entityKey: string
  /**
   * JSON text: the value, or an object of all columns. `null` text is a value ("known to be nothing");
   * null here is a tombstone: known to be missing.
   */
  readonly value: string | null
  readonly eventAt: Micros
  /** When serving could first have returned it. */
  readonly availableAt: Micros
  readonly createdAt: Micros
  /** Given where the write is accepted; breaks ties of equal times. Rises within a feature and key. */
  readonly seq: number
  readonly origin: Origin
}

export interface HistoryQuery {
  readonly feature: string
  readonly fingerprint: string
  readonly entityKey: string
  /** Inclusive bounds of the event timestamp. */
  readonly from: Micros | null
  readonly to: Micros | null
  /** Rows of a later `availableAt` are not seen. Default: all are. */
  readonly availableBy?: Micros
  readonly limit: number
}

export interface KeyHistoryQuery {
  readonly features: readonly { readonly feature: string; readonly fingerprint: string }[]
  readonly entityKey: string
  readonly to: Micros
  /** Of each feature. */
  readonly limit: number
}

/** Keys of one feature version. */
export interface WantedKeys {
  readonly feature: string
  readonly fingerprint: string
  readonly keys: readonly string[]
}

/** Rows that the store does not take, however often they are sent. Nothing of their append was written. */
export class RefusedRows extends Error {
  override readonly name = 'RefusedRows'
  /** Which rows; null: some or other. */
  readonly indexes: readonly number[] | null
  /** Half a sentence that may be shown to clients: what is wrong with them. */
  readonly why: string

  constructor(why: string, indexes: readonly number[] | null, cause: unknown) {
    super(`History does not take a row: ${why}.`, { cause })
    this.indexes = indexes
    this.why = why
  }
}

/** Append-only history of feature values. One owner per file or schema. */
export interface OfflineStore {
  /**
   * Durable when it resolves. All rows or none, but for those behind the erasure of a forgotten key: they are left out. Rows that this
   * process sent before (of the same times and seq) are not written twice. Where several processes write, so is not a pushed row whose equal (same value) is the last
   * accepted of its key and event time: another process wrote it, and perhaps died before anybody heard of it.
   * @returns indexes of those pushed rows. A store with one writing process has none: that process knows what it wrote.
   * @param options.timeoutMs Default: as long as a large batch may take.
   * @throws FabraError store_unavailable: nothing was written; outcome_unknown: perhaps all of it was. Trying again is safe after both.
   * @throws RefusedRows nothing was written, and it would be refused again.
   */
  append(rows: readonly HistoryRow[], options?: { readonly timeoutMs?: number }): Promise<readonly number[]>
  /**
   * The newest row of every key of one feature version, by (eventAt, availableAt, seq), in batches, newest keys first, at most `limit` keys.
   * Rows of `availableAt` later than `before` are not seen.
   */
  latest(feature: string, fingerprint: string, options: { before: Micros; limit: number }): AsyncIterable<readonly HistoryRow[]>
  /**
   * The same of many versions, one after another; `limit` is of each.
   * @param options.inAnyOrder The keys, and the versions, may come as is quickest, each version's still one after another.
   * @param options.onCount Told, as soon as it is known, about how many keys there are in all; never where that takes long.
   */
  latestOfAll(
    versions: readonly { readonly feature: string; readonly fingerprint: string }[],
    options: { before: Micros; limit: number; inAnyOrder?: boolean; onCount?: (keys: number) => void },
  ): AsyncIterable<readonly HistoryRow[]>
  /** Whether there are more rows than this, of whatever feature. Quick, however many there are. */
  isLongerThan(rows: number): Promise<boolean>
  /** Names of those features of which there may be rows of another version than this. */
  haveOtherVersions(versions: readonly { readonly feature: string; readonly fingerprint: string }[]): Promise<ReadonlySet<string>>
  /** Encoded keys that have a row of this feature, of any version, with an event timestamp since then; at most `limit`, newest first. */
  keysSince(feature: string, since: Micros, limit: number): Promise<readonly string[]>
  /** Newest row of each of these keys, in the order given; undefined where there is none. */
  latestOf(feature: string, fingerprint: string, keys: readonly string[]): Promise<readonly (HistoryRow | undefined)[]>
  /** The same of several feature versions at once, each with keys of its own. @param options.timeoutMs After it nobody needs the answer. */
  latestOfEach(
    wanted: readonly WantedKeys[],
    options?: { readonly timeoutMs?: number },
  ): Promise<readonly (readonly (HistoryRow | undefined)[])[]>
  /** The last accepted row of each of these keys with exactly this event timestamp, in the order given; undefined where there is none. */
  rowsAt(
    feature: string,
    fingerprint: string,
    points: readonly { readonly entityKey: string; readonly eventAt: Micros }[],
  ): Promise<readonly (HistoryRow | undefined)[]>
  /** Rows of one key, newest first. */
  history(query: HistoryQuery): Promise<readonly HistoryRow[]>
  /** Newest rows of one key, of many features at once: of each at most `limit`, with event timestamps up to `to`; newest first. */
  historyOfKey(query: KeyHistoryQuery): Promise<readonly HistoryRow[]>
  /** Highest `seq` ever stored, 0 when empty: where counting goes on after a restart. */
  lastSeq(): Promise<number>
  /**
   * Delete everything about a key of an entity's features and remember the erasure: both or neither. @returns how many rows went.
   * @throws FabraError store_unavailable: neither was done; outcome_unknown.
   */
  forget(features: readonly string[], erasure: Erasure): Promise<number>
  /** Every erasure there is, the newest of each key. */
  erasures(): Promise<readonly Erasure[]>
  /** Note that the online store may lack values which this process has recorded. Noted again, the time moves on. */
  notePending(writer: string, at: Micros): Promise<void>
  /** Processes that noted so, and when they last did. */
  pendingNotes(): Promise<readonly PendingNote[]>
  /** @param before Those told then or later stay: their writers are not gone. Default: none do. */
  forgetPendingNotes(writers: readonly string[], before?: Micros): Promise<void>
  close(): Promise<void>
}

export interface PendingNote {
  readonly writer: string
  readonly at: Micros
}
