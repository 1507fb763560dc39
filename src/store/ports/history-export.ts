import type { Micros } from '../../clock.ts'
import type { KeyColumn, Source } from '../../definition/model.ts'
import type { BackupFile } from './backup.ts'

/** What of history is wanted in a file. */
export interface ExportQuery {
  /** Null: all of them. */
  readonly feature: string | null
  /** Of events before this time; null: all. */
  readonly before: Micros | null
  /** Of the feature's entity: told as columns of their own, besides the encoded key. */
  readonly key: readonly KeyColumn[]
}

/** A Parquet file of recorded rows, oldest first, of one moment. @throws FabraError store_unavailable, io_failed, overloaded */
export type HistoryExport = (query: ExportQuery) => Promise<BackupFile>

/** A Parquet file of the rows of a source, before a time or all. @throws FabraError store_unavailable, not_found, io_failed, overloaded */
export type RowsExport = (source: Source, before: Micros | null) => Promise<BackupFile>
