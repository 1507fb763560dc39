/** What is recorded, for whoever looks: rows of a key, and files. */
import type { Micros } from '../clock.ts'
import { FabraError } from '../errors.ts'
import type { BackupFile } from '../store/ports/backup.ts'
import type { HistoryExport, RowsExport } from '../store/ports/history-export.ts'
import type { HistoryQuery, HistoryRow, KeyHistoryQuery } from '../store/ports/offline-store.ts'
import type { Stores } from './stores.ts'

export interface RecordedHistory {
  /** Recorded values of one key, newest first, up to this moment. */
  history(query: HistoryQuery): Promise<readonly HistoryRow[]>
  historyOfKey(query: KeyHistoryQuery): Promise<readonly HistoryRow[]>
  /** Since when history is whole, of features of which something left it. */
  keptSince(features: readonly string[]): Promise<ReadonlyMap<string, Micros>>
  /** A copy of the data file. @throws FabraError not_found, overloaded, io_failed */
  backup(): Promise<BackupFile>
  readonly exportHistory: HistoryExport
  readonly exportRows: RowsExport
}

type Needed = Pick<Stores, 'offline' | 'historyRemoval' | 'backup' | 'exportHistory' | 'exportRows'>

/** @param flush What was computed until now is in history when it resolves. */
export function createRecordedHistory(stores: Needed, flush: () => Promise<void>): RecordedHistory {
  return {
    async history(query) {
      await flush()
      return stores.offline.history(query)
    },
    async historyOfKey(query) {
      await flush()
      return stores.offline.historyOfKey(query)
    },
    exportRows: stores.exportRows,
    keptSince: stores.historyRemoval.keptSince,
    async backup() {
      if (!stores.backup) {
        throw new FabraError('not_found', 'There is no data file to copy: history is in PostgreSQL.', {
          hint: 'Dump the schema "fabra" and those of your tables: pg_dump --schema=fabra.',
        })
      }
      await flush()
      return stores.backup()
    },
    async exportHistory(query) {
      await flush()
      return stores.exportHistory(query)
    },
  }
}
