import type { TableColumn } from './source-engine.ts'

/** Rows on their way out, as texts that their types read again. */
export interface LeavingRows {
  /** Types by DuckDB's names; what it has no type for is a VARCHAR. */
  readonly columns: readonly TableColumn[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/**
 * Keeps rows that are deleted in a transaction: durable when it resolves, before the transaction ends. @returns a name, which is written with it: whoever
 * finds what was kept later knows by that whether the rows left.
 */
export type TakeLeaving = (rows: LeavingRows) => Promise<string>

/** Which of the names that `TakeLeaving` gave were written. */
export interface ArchiveMarks {
  written(names: readonly string[]): Promise<ReadonlySet<string>>
  forget(names: readonly string[]): Promise<void>
}
