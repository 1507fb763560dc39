/** Rows of tables on another machine that are copied beside a training set, to be computed with there. */
import type { Micros } from '../../clock.ts'
import type { RunOptions, TableColumn } from './source-engine.ts'

/** What is copied of one table. */
export interface CopiedTable {
  readonly schema: string
  readonly name: string
  readonly columns: readonly TableColumn[]
  /** SQL of what is copied in its place; null: its rows as they are. */
  readonly rows: string | null
  /** Rows whose columns are one of these keys alone; null: of all. */
  readonly keys: CopiedKeys | null
  /** Rows whose time is within these alone; null: all. */
  readonly times: CopiedTimes | null
}

export interface CopiedKeys {
  readonly columns: readonly string[]
  /** SQL type of each. */
  readonly types: readonly string[]
  /** `values[column][key]`. */
  readonly values: readonly (readonly string[])[]
}

export interface CopiedTimes {
  readonly column: string
  readonly to: Micros
  /** Not before the earliest of `from` less each of these intervals; empty: from ever. */
  readonly from: Micros
  readonly spans: readonly string[]
}

export interface Copying {
  /**
   * Before any row: about how many rows each table gives, as the engine guesses.
   * @returns why nothing shall be copied; null: go on.
   */
  begin(rows: readonly number[]): string | null
  /**
   * Rows of a table as CSV, each on one line between a column `(` and a column `)`: NULL is nothing, an empty text is in quotes, with `\s` for a
   * backslash, `\n` and `\r` for the ends of lines.
   */
  take(table: number, text: string): Promise<void>
}

/** Null, or why nothing was copied, in a few words. */
export type CopyRefusal = string | null

/** Copies rows of several tables, all of one moment. @throws SqlError */
export type CopyRows = (tables: readonly CopiedTable[], copying: Copying, options: RunOptions) => Promise<CopyRefusal>

/** What a training set needs of a source on another machine to compute with it here. */
export interface WantedRows {
  /** Its name, which the copy has as well. */
  readonly source: string
  readonly table: Pick<CopiedTable, 'schema' | 'name' | 'columns' | 'rows'>
  /** Columns that hold a key of the label rows' entity; null: rows of all keys are looked at. `parts` are places in the entity's key. */
  readonly keys: {
    readonly columns: readonly string[]
    readonly entity: number
    readonly parts: readonly number[]
    readonly types: readonly string[]
  } | null
  /** Its time, and how far back from a label row's it is looked at; null spans: from ever. */
  readonly times: { readonly column: string; readonly spans: readonly string[] | null } | null
}
