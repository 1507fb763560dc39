/** History and sources in PostgreSQL. Loaded only where its address is given: a laptop starts without the driver. */
import { FabraError } from './errors.ts'
import { createPostgresAdminStore } from './store/postgres/admin-store.ts'
import { openPostgres, type Postgres } from './store/postgres/connection.ts'
import { readConnectionUrl } from './store/postgres/connection-url.ts'
import { migrate } from './store/postgres/migrate.ts'
import { createPostgresOfflineStore } from './store/postgres/offline-store.ts'
import { createPostgresSourceRows } from './store/postgres/source-rows.ts'
import { createPostgresSourceStore } from './store/postgres/source-store.ts'
import type { Records, StoreAddresses } from './stores.ts'

const LOOK_EVERY_MS = 2_000
const LOOK_MS = 1_500

/** @throws FabraError invalid_config, store_unavailable, schema_mismatch, forbidden */
export async function openPostgresRecords(postgresUrl: string, { sourceUrl, onProblem }: StoreAddresses): Promise<Records> {
  const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra' })
  // A connection of its own for SQL of features: what is slow there holds up no history.
  const reader = openPostgres({ url: sourceUrl ?? postgresUrl, applicationName: 'fabra features' })
  // Where both addresses name one database, only the role differs, and the one that may write makes tables and appends events.
  const owner = sourceUrl === null || isSameDatabase(postgresUrl, sourceUrl) ? postgres : reader
  try {
    await migrate(postgres)
  } catch (error) {
    await Promise.all([postgres.close(), reader.close()])
    throw error
  }
  const look = watch(postgres, onProblem)
  return {
    sourceStore: createPostgresSourceStore({ reader, owner, loadFile: null }),
    offline: createPostgresOfflineStore({ postgres, random: Math.random, onProblem }),
    sourceRows: createPostgresSourceRows({ postgres: owner, writer: crypto.randomUUID() }),
    trainingStore: {
      open: () => Promise.reject(new FabraError('not_trainable', 'Training sets are not made from PostgreSQL yet.')),
    },
    admin: createPostgresAdminStore(postgres),
    historyIn: 'postgres',
    health: () => ({ postgres: look.status() }),
    async close() {
      look.stop()
      await Promise.all([postgres.close(), reader.close()])
    },
  }
}

function isSameDatabase(a: string, b: string): boolean {
  const [first, second] = [readConnectionUrl(a), readConnectionUrl(b)]
  return first.database === second.database && JSON.stringify(first.hosts) === JSON.stringify(second.hosts)
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
