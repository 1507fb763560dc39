import type { Micros } from '../../clock.ts'
import type { CopyRows } from './copied-rows.ts'
import type { RunOptions, TableColumn } from './source-engine.ts'
import type { AsOfRequest } from './training-store.ts'

/** A row of texts, as the engine writes values. */
export type TextValues = readonly (string | null)[]

/** What is asked of recorded values: those of one version of a feature and of some keys. */
export interface RecordedRequest {
  readonly feature: string
  readonly fingerprint: string
  readonly keys: readonly string[]
  /** Event times outside of these are not needed. */
  readonly from: Micros | null
  readonly to: Micros
}

/** An engine that holds sources and history on another machine, as those see it who make training sets here. Nothing is written to it. */
export interface TrainingEngine {
  /** For people. */
  readonly name: string
  /**
   * Rows of a user's query, in its order, in batches. Times are ISO texts in UTC, booleans `t` and `f`.
   * @param begin Is told the columns, and takes the batches.
   * @throws SqlError
   */
  query(
    sql: string,
    options: RunOptions,
    begin: (columns: readonly TableColumn[]) => (rows: readonly TextValues[]) => Promise<void>,
  ): Promise<void>
  /** Recorded rows, in any order, in batches: entity key, value, event, available and created microseconds, seq, origin. @throws SqlError */
  recorded(request: RecordedRequest, options: RunOptions, take: (rows: readonly TextValues[]) => Promise<void>): Promise<void>
  /** About how many rows are recorded of a version of a feature, as the engine guesses without counting. @throws SqlError */
  recordedCount(feature: string, fingerprint: string, options: RunOptions): Promise<number>
  /**
   * What `TrainingWorkspace.asOf` is asked, answered there.
   * @returns per row that has a value: its index, event microseconds, value. @throws SqlError
   */
  asOf(
    request: AsOfRequest,
    rows: { readonly keys: readonly string[]; readonly times: readonly Micros[] },
    options: RunOptions,
  ): Promise<readonly TextValues[]>
  readonly copyRows: CopyRows
  /** Whether anything at all was ever recorded for a version of a feature. @throws FabraError store_unavailable */
  hasHistory(feature: string, fingerprint: string): Promise<boolean>
}
