/** History of PostgreSQL in a Parquet file: its rows go into a file of the engine that writes such files, in the temporary folder, so that memory holds few of them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../store/duckdb/connection/database.ts'
import { createDuckdbHistoryExport } from '../store/duckdb/history/history-export.ts'
import { createDuckdbOfflineStore } from '../store/duckdb/history/offline-store.ts'
import type { HistoryExport } from '../store/ports/history-export.ts'
import type { HistoryRow } from '../store/ports/offline-store.ts'

export function createPostgresHistoryExport(
  recorded: (query: Pick<Parameters<HistoryExport>[0], 'feature' | 'before'>) => AsyncIterable<readonly HistoryRow[]>,
): HistoryExport {
  return async (query) => {
    const folder = await mkdtemp(join(tmpdir(), 'fabra-export-'))
    const database = await openDatabase({ file: join(folder, 'history.duckdb') })
    const close = async () => {
      await database.close()
      await rm(folder, { recursive: true, force: true })
    }
    try {
      const rows = createDuckdbOfflineStore(database)
      for await (const batch of recorded(query)) await rows.append(batch)
      const { path } = await createDuckdbHistoryExport(database)(query)
      return { path, remove: close }
    } catch (error) {
      await close()
      throw error
    }
  }
}
