/** Which stores stand behind the ports: the laptop's, or those whose addresses are given. Nothing else depends on which. */
import { join } from 'node:path'
import type { AdminStore } from './store/admin-store.ts'
import { openDatabase } from './store/duckdb/database.ts'
import { createDuckdbOfflineStore } from './store/duckdb/offline-store.ts'
import { createDuckdbSourceRows } from './store/duckdb/source-rows.ts'
import { createDuckdbSourceStore } from './store/duckdb/source-store.ts'
import { createDuckdbTrainingStore } from './store/duckdb/training-store.ts'
import { createMemoryOnlineStore } from './store/memory/online-store.ts'
import type { OfflineStore } from './store/offline-store.ts'
import type { OnlineStore } from './store/online-store.ts'
import type { SourceRows } from './store/source-rows.ts'
import type { SourceStore } from './store/source-store.ts'
import type { TrainingStore } from './store/training-store.ts'

export interface StoreAddresses {
  /** Absolute folder of the DuckDB file. */
  readonly dataDir: string
}

export interface Stores {
  readonly sourceStore: SourceStore
  readonly offline: OfflineStore
  readonly online: OnlineStore
  readonly sourceRows: SourceRows
  readonly trainingStore: TrainingStore
  /** Null where there is nothing that outlives the process and is shared. */
  readonly admin: AdminStore | null
  /** The technology that keeps history, by its name in `health`. */
  readonly historyIn: string
  /** Technology → `ok`, or what is wrong with it. */
  health(): Readonly<Record<string, string>>
  close(): Promise<void>
}

/** @throws FabraError data_dir_locked, io_failed, store_unavailable */
export async function openStores({ dataDir }: StoreAddresses): Promise<Stores> {
  const database = await openDatabase({ file: join(dataDir, 'fabra.duckdb') })
  const online = createMemoryOnlineStore()
  return {
    sourceStore: createDuckdbSourceStore(database),
    offline: createDuckdbOfflineStore(database),
    online,
    sourceRows: createDuckdbSourceRows(database),
    trainingStore: createDuckdbTrainingStore(database),
    admin: null,
    historyIn: 'duckdb',
    health: () => ({ duckdb: 'ok', memory: 'ok' }),
    async close() {
      await online.close()
      await database.close()
    },
  }
}
