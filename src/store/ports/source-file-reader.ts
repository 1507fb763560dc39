import type { KeyType, Source } from '../../definition/model.ts'
import type { TableColumn } from './source-engine.ts'

/** A source, and the types that columns called like key columns take. */
export interface SourceFileInput {
  readonly source: Source
  readonly keyTypes: Readonly<Record<string, KeyType>>
}

/** Paths of files, folders and patterns. */
export type SourceFiles = string | readonly string[]

export interface SourceReading {
  readonly input: SourceFileInput
  readonly file: SourceFiles
  readonly appended: AppendedRows
}

/** What tells whether a file has to be read again. */
export interface SourceFileFacts {
  /** Bytes. */
  readonly size: number
  /** Microseconds. */
  readonly modified: number
  /** Hash of everything that decides what the rows are besides the file itself. */
  readonly settings: string
}

/**
 * Takes rows as texts, in the order of the columns: values as DuckDB writes them, but bytes as `\x00ff`, lists and structures as JSON.
 * @param from What was appended comes after what the files hold.
 */
export type TakeRows = (rows: readonly (readonly (string | null)[])[], from: 'files' | 'appended') => Promise<void>

/** Rows that were appended to the source by request. They do not change with its files. */
export interface AppendedRows {
  /** As they were sent, in JSON, some at a time. */
  readonly rows: AsyncIterable<readonly string[]>
  /** The type by DuckDB's name of the column that holds them now; the one given where that is what it is. Undefined: there is no such column. */
  typeNow(column: TableColumn): string | undefined
}

/** Something wrong with a file: what, and what to do. */
export class SourceFileProblem extends Error {
  override readonly name = 'SourceFileProblem'
  readonly hint: string
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause })
    this.hint = hint
  }
}

/** Reads files of sources as laptop mode does, for another engine to hold. */
export interface SourceFileReader {
  /** @throws SourceFileProblem */
  facts(input: SourceFileInput, file: SourceFiles): Promise<SourceFileFacts>
  hash(file: SourceFiles): Promise<string>
  /**
   * Sorted by key and time.
   * @param begin Is told the columns, with DuckDB's types, and takes the rows.
   * @throws SourceFileProblem, also where what was appended would change; and what `begin` throws
   */
  read(reading: SourceReading, begin: (columns: readonly TableColumn[]) => Promise<TakeRows>): Promise<void>
}
