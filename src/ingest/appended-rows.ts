import type { Micros } from '../clock.ts'
import type { Source } from '../definition/model.ts'
import type { SqlValue, TableColumn } from '../store/ports/source-engine.ts'

/** Rows that are in the source now. */
export interface AppendedRows {
  readonly source: Source
  readonly columns: readonly TableColumn[]
  readonly rows: readonly (readonly SqlValue[])[]
  /** From when on each row is seen; null: never. */
  readonly times: readonly (Micros | null)[]
}
