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

/** @param rows Files, and names that were given to them. */
export function namesByFile(rows: readonly (readonly unknown[])[]): ReadonlyMap<string, readonly string[]> {
  const files = new Map<string, string[]>()
  for (const [file, name] of rows) files.set(String(file), [...(files.get(String(file)) ?? []), String(name)])
  return files
}

/** Which of the names that `TakeLeaving` gave were written. */
export interface ArchiveMarks {
  written(names: readonly string[]): Promise<ReadonlySet<string>>
  /**
   * Gives those of the names that were written, and have none yet, to the file: once, whoever asks at the same time. They are then marks named `<file>/<name>`.
   * @returns by file all the names that were given to it, of every file that has one of these.
   */
  assign(names: readonly string[], file: string): Promise<ReadonlyMap<string, readonly string[]>>
  forget(names: readonly string[]): Promise<void>
}
