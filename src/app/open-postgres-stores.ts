/** History and sources in PostgreSQL. Loaded only where its address is given: a laptop starts without the driver. */
import type { Source } from '../definition/model.ts'
import type { Database } from '../store/duckdb/connection/database.ts'
import { createSourceFileReader } from '../store/duckdb/sources/source-file-reader.ts'
import { createMixedTrainingStore, createRemoteTrainingStore } from '../store/duckdb/training/training-store.ts'
import { SqlError } from '../store/ports/source-engine.ts'
import type { TrainingStore } from '../store/ports/training-store.ts'
import { createPostgresAdminStore } from '../store/postgres/admin-store.ts'
import { createPostgresArchiveMarks } from '../store/postgres/archive-marks.ts'
import { createPostgresAuditStore } from '../store/postgres/audit-store.ts'
import { createPostgresChangeStore } from '../store/postgres/change-store.ts'
import { openPostgres } from '../store/postgres/connection/connection.ts'
import type { Postgres } from '../store/postgres/connection/postgres.ts'
import { followPresent } from '../store/postgres/connection/server-clock.ts'
import { storeErrors } from '../store/postgres/connection/store-errors.ts'
import { exportedRows } from '../store/postgres/history/exported-rows.ts'
import { createPostgresHistoryRemoval } from '../store/postgres/history/history-removal.ts'
import { createPostgresOfflineStore } from '../store/postgres/history/offline-store.ts'
import { inspectIndexes } from '../store/postgres/inspect/inspect-sources.ts'
import { createPostgresSourceFigures } from '../store/postgres/inspect/source-growth.ts'
import { createPostgresFigures } from '../store/postgres/inspect/storage-figures.ts'
import { migrate } from '../store/postgres/schema/migrate.ts'
import { createPostgresRowsRemoval } from '../store/postgres/sources/rows-removal.ts'
import { isSameDatabase } from '../store/postgres/sources/same-database.ts'
import { createPostgresSourceEngine } from '../store/postgres/sources/source-engine.ts'
import { createSourceFiles } from '../store/postgres/sources/source-files.ts'
import { createDistantSourceRows, createPostgresSourceRows } from '../store/postgres/sources/source-rows.ts'
import { createPostgresTrainingEngine } from '../store/postgres/training-engine.ts'
import { createPostgresHistoryExport } from './postgres-history-export.ts'
import { createPostgresRowsExport } from './postgres-rows-export.ts'
import type { Records, SlowSource, StoreAddresses } from './stores.ts'

const LOOK_EVERY_MS = 2_000
const LOOK_MS = 1_500

export interface PostgresRecords extends Records {
  /** Training sets of these sources, where history is in a file. */
  trainingBeside(database: Database): TrainingStore
}

/** @throws FabraError invalid_config, store_unavailable, schema_mismatch, forbidden */
export async function openPostgresRecords(postgresUrl: string, addresses: StoreAddresses): Promise<PostgresRecords> {
  const { sourceUrl, clock, onProblem, onLoaded, trainingMemory } = addresses
  const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra' })
  // A connection of its own for SQL of features: what is slow there holds up no history.
  const reader = openPostgres({ url: sourceUrl ?? postgresUrl, applicationName: 'fabra features' })
  let isTogether = true
  let present: { stop(): void }
  try {
    await migrate(postgres)
    isTogether = sourceUrl === null || (await storeErrors(() => isSameDatabase(postgres, reader)))
    present = await storeErrors(() => followPresent(reader, clock))
  } catch (error) {
    await Promise.all([postgres.close(), reader.close()])
    throw error
  }
  // Where both addresses name one database, only the role differs, and the one that may write makes tables and appends events.
  const owner = isTogether ? postgres : reader
  const loadFile = isTogether ? createSourceFiles({ owner, reader: createSourceFileReader(), onLoaded }) : null
  const sourceEngine = createPostgresSourceEngine({ reader, owner, loadFile })
  const training = createPostgresTrainingEngine({ postgres, reader, sourceEngine })
  const look = watch(postgres, onProblem)
  return {
    sourceEngine,
    offline: createPostgresOfflineStore({ postgres, random: Math.random, onProblem }),
    offlineFigures: createPostgresFigures(postgres),
    sourceFigures: createPostgresSourceFigures(reader),
    historyRemoval: createPostgresHistoryRemoval(postgres),
    rowsRemoval: createPostgresRowsRemoval(postgres),
    archiveMarks: createPostgresArchiveMarks(postgres),
    sourceRows: isTogether ? createPostgresSourceRows({ postgres, writer: crypto.randomUUID() }) : createDistantSourceRows(),
    slowSources: (sources, keys) => slowSources(reader, sources, keys),
    trainingStore: createRemoteTrainingStore(training, { memory: trainingMemory }),
    trainingBeside: (database) => createMixedTrainingStore(training, database, trainingMemory),
    admin: createPostgresAdminStore(postgres),
    changes: createPostgresChangeStore(postgres),
    audit: createPostgresAuditStore(postgres),
    exportHistory: createPostgresHistoryExport((query) => exportedRows(postgres, query)),
    exportRows: createPostgresRowsExport(reader),
    backup: null,
    shrinking: null,
    historyIn: 'postgres',
    health: () => ({ postgres: look.status() }),
    damage: () => null,
    async close() {
      look.stop()
      present.stop()
      await Promise.all([postgres.close(), reader.close()])
    },
  }
}

/** As doctor says it. */
async function slowSources(
  reader: Postgres,
  sources: readonly Source[],
  keys: readonly (readonly string[])[],
): Promise<readonly SlowSource[]> {
  try {
    const facts = await inspectIndexes(reader, sources, keys)
    return facts.flatMap(({ source, unindexed }) =>
      unindexed.map(({ columns, create }) => ({
        subject: `source "${source}"`,
        message: `no index on (${columns.join(', ')}): every computation reads all rows`,
        hint: create,
      })),
    )
  } catch (error) {
    if (error instanceof SqlError) return []
    throw error
  }
}

/** Whether the server answers, asked every few seconds. */
function watch(postgres: Postgres, onProblem: StoreAddresses['onProblem']): { status(): string; stop(): void } {
  let problem: string | null = null
  let isAsking = false
  const ask = async () => {
    if (isAsking) return
    isAsking = true
    try {
      await postgres.run('SELECT 1', [], { timeoutMs: LOOK_MS, readOnly: true })
      if (problem !== null) onProblem('PostgreSQL is back.', undefined)
      problem = null
    } catch (error) {
      if (problem === null) onProblem('PostgreSQL cannot be reached; trying again.', error)
      problem = 'cannot be reached'
    }
    isAsking = false
  }
  const timer = setInterval(ask, LOOK_EVERY_MS)
  timer.unref()
  return { status: () => problem ?? 'ok', stop: () => clearInterval(timer) }
}
