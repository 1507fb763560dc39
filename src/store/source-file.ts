import type { KeyType, Source } from '../definition/model.ts'
import type { TableColumn } from './source-store.ts'

/** A source, and the types that columns called like key columns take. */
export interface SourceFileInput {
  readonly source: Source
  readonly keyTypes: Readonly<Record<string, KeyType>>
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

/** Takes rows as texts, in the order of the columns: values as DuckDB writes them, but bytes as `\x00ff`, lists and structures as JSON. */
export type TakeRows = (rows: readonly (readonly (string | null)[])[]) => Promise<void>

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
  facts(input: SourceFileInput, file: string): Promise<SourceFileFacts>
  hash(file: string): Promise<string>
  /** Sorted by key and time. @param begin Is told the columns, with DuckDB's types, and takes the rows. @throws SourceFileProblem, and what `begin` throws */
  read(input: SourceFileInput, file: string, begin: (columns: readonly TableColumn[]) => Promise<TakeRows>): Promise<void>
}
