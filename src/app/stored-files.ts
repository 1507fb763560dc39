/** What is stored, in files for whoever asks. */
import { FabraError } from '../errors.ts'
import type { BackupFile } from '../store/ports/backup.ts'
import type { HistoryExport } from '../store/ports/history-export.ts'
import type { Stores } from './stores.ts'

export interface StoredFiles {
  /** A copy of the data file. @throws FabraError not_found, overloaded, io_failed */
  backup(): Promise<BackupFile>
  readonly exportHistory: HistoryExport
}

/** @param flush What was computed until now is in history when it resolves. */
export function createStoredFiles(stores: Pick<Stores, 'backup' | 'exportHistory'>, flush: () => Promise<void>): StoredFiles {
  return {
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
