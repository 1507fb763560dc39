import type { Micros } from '../../clock.ts'
import type { Source } from '../../definition/model.ts'
import type { SqlValue, TableColumn } from './source-engine.ts'

/** The table of a source, as appended rows must fit it. */
export interface SourceTable {
  /** Types are called as DuckDB calls them where both engines have them; others as the engine that holds the table writes them. */
  readonly columns: readonly TableColumn[]
  /** Views take no rows; `forbidden`: Fabra's role may not insert into the table; `elsewhere`: it is where Fabra keeps nothing of its own. */
  readonly kind: 'table' | 'view' | 'forbidden' | 'elsewhere'
}

/** Rows of one request. */
export interface AppendRequest {
  readonly source: Source
  readonly columns: readonly TableColumn[]
  /** `rows[row][column]`, in the order of `columns`; texts where the type has no value of its own. */
  readonly rows: readonly (readonly SqlValue[])[]
  /** Each row as JSON, kept beside a table that is made anew from its file. */
  readonly texts: readonly string[]
  /** Each row's `id` as the engine would write it; null: cannot be a repeat. */
  readonly ids: readonly (string | null)[]
  readonly idempotency: { readonly key: string; readonly contentHash: string } | null
  readonly arrivedAt: Micros
  /** Times from which its rows are seen, roughly. */
  readonly visibleAt: readonly Micros[]
}

/** Rows of a source whose effects may not all be computed yet. */
export interface Arrival {
  readonly source: string
  readonly visibleAt: Micros
}

/**
 * `repeats[row]`: the source has a row of that id already, from before or from earlier in these requests; it was not written again.
 * `replayed`: the request was seen before and nothing was written. `conflict`: its key was seen with other contents; nothing was written.
 * `failed`: nothing of it was written, or that is unknown, though others of the requests were; `error` is what `append` would have thrown.
 * `refused`: the table does not take its rows (a constraint of its owner's, say); nothing of it was written, and `why` says which.
 */
export type AppendOutcome =
  | { readonly kind: 'appended' | 'replayed' | 'conflict'; readonly repeats: readonly boolean[] }
  | { readonly kind: 'refused'; readonly repeats: readonly boolean[]; readonly why: string }
  | { readonly kind: 'failed'; readonly repeats: readonly boolean[]; readonly error: unknown }

/** Rows that are appended to sources by request. They stay when the source's file is loaded again. */
export interface SourceRows {
  /** @returns undefined where there is no such table. */
  table(source: Source): Promise<SourceTable | undefined>
  /** Whether texts convert to a type that JSON has no value for. @returns the index of the first that does not. */
  firstUnfit(type: string, texts: readonly (string | null)[]): Promise<number | undefined>
  /**
   * In the order given, all that are not refused or none; durable when it resolves.
   * @param options.timeoutMs Default: as long as a large batch may take.
   * @throws SqlError nothing was written. FabraError outcome_unknown: it may be.
   */
  append(requests: readonly AppendRequest[], options?: { readonly timeoutMs?: number }): Promise<readonly AppendOutcome[]>
  /** What was appended since it was last settled, also before this process. */
  arrivals(): Promise<readonly Arrival[]>
  /** Values are up with everything that was visible before this. */
  settle(before: Micros): Promise<void>
}
