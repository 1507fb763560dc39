import type { DeclaredType } from '../../definition/model.ts'

/** One column: JSON texts of values of one type, a text a row. */
export interface ValueColumn {
  readonly name: string
  readonly type: DeclaredType
  readonly texts: readonly string[]
}

export interface ValueTable {
  readonly rowCount: number
  readonly columns: readonly ValueColumn[]
  /** Told in the table's schema. */
  readonly metadata: Readonly<Record<string, string>>
}

/** Writes a table as a stream of the Arrow IPC format. */
export type TableWriter = (table: ValueTable) => Promise<Uint8Array<ArrayBuffer>>
