/** Which stores stand behind the ports: the laptop's, or those whose addresses are given. Nothing else depends on which. */
import { join } from 'node:path'
import type { Entity, Registry } from '../definition/model.ts'
import { createDuckdbAdminStore } from '../store/duckdb/admin-store.ts'
import { createDuckdbArchiveMarks } from '../store/duckdb/archive-marks.ts'
import { createDuckdbAuditStore } from '../store/duckdb/audit-store.ts'
import { createBackup } from '../store/duckdb/backup.ts'
import { createDuckdbChangeStore } from '../store/duckdb/change-store.ts'
import { type Database, openDatabase } from '../store/duckdb/connection/database.ts'
import { createDuckdbHistoryExport } from '../store/duckdb/history/history-export.ts'
import { createDuckdbHistoryRemoval } from '../store/duckdb/history/history-removal.ts'
import { createDuckdbOfflineStore } from '../store/duckdb/history/offline-store.ts'
import { createDuckdbShrinking } from '../store/duckdb/history/shrinking.ts'
import { createDuckdbSourceFigures } from '../store/duckdb/source-growth.ts'
import { createDuckdbRowsExport } from '../store/duckdb/sources/rows-export.ts'
import { createDuckdbRowsRemoval } from '../store/duckdb/sources/rows-removal.ts'
import { createDuckdbSourceEngine } from '../store/duckdb/sources/source-engine.ts'
import { createDuckdbSourceRows } from '../store/duckdb/sources/source-rows.ts'
import { createDuckdbFigures } from '../store/duckdb/storage-figures.ts'
import { forgettingKeptFiles } from '../store/duckdb/training/resume/forgetting-parts.ts'
import { createDuckdbTrainingStore, createLocalKeptFiles } from '../store/duckdb/training/training-store.ts'
import { createMemoryLeaseStore } from '../store/memory/lease-store.ts'
import { createMemoryOnlineStore } from '../store/memory/online-store.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import type { AuditStore } from '../store/ports/audit-store.ts'
import type { Migrating } from '../store/postgres/schema/migrate.ts'
import type { PlannedStatement } from '../store/postgres/schema/migration-plan.ts'
import { createRateLimits } from '../store/redis/rate-limits.ts'
import type { Latest, Records, SlowSource, StoreAddresses, Stores } from './stores.ts'

/** In the data folder. */
export const DATA_FILE = 'fabra.duckdb'

/** The same, of sources by name and of the keys of entities. */
export function slowSourcesOf(registry: Registry, { slowSources }: Pick<Stores, 'slowSources'>) {
  return (names: readonly string[], entities: readonly Entity[]): Promise<readonly SlowSource[]> =>
    slowSources(
      names.flatMap((name) => registry.sources.get(name) ?? []),
      entities.map(({ key }) => key.map(({ name }) => name)),
    )
}

/** @throws FabraError data_dir_locked, data_file_corrupt, io_failed, invalid_config, store_unavailable, schema_mismatch */
export async function openStores(addresses: StoreAddresses): Promise<Stores> {
  const records = await openRecords(addresses)
  const latest = await openLatest(addresses).catch(async (error: unknown) => {
    await records.close()
    throw error
  })
  return {
    ...records,
    ...latest,
    health: () => ({ ...records.health(), ...latest.health() }),
    async close() {
      await latest.online.close()
      await records.close()
    },
  }
}

async function openRecords(addresses: StoreAddresses): Promise<Records> {
  if (addresses.postgresUrl === null) return openFile(addresses)
  const { openPostgresRecords } = await import('./open-postgres-stores.ts')
  const records = await openPostgresRecords(addresses.postgresUrl, addresses)
  if (!addresses.apart) return records
  const file = await openFile(addresses)
  const { offline, historyRemoval, archiveMarks, exportHistory, offlineFigures, admin, changes, audit, historyIn } = file
  const trainingStore = records.trainingBeside(file.database)
  const health = () => ({ ...records.health(), ...file.health() })
  return {
    ...records,
    offline,
    historyRemoval,
    archiveMarks,
    exportHistory,
    offlineFigures,
    admin,
    changes,
    audit,
    historyIn,
    trainingStore,
    health,
    damage: file.damage,
    close: async () => void (await Promise.all([records.close(), file.close()])),
  }
}

async function openFile({ dataDir, onProblem, trainingMemory }: StoreAddresses): Promise<Records & { readonly database: Database }> {
  const database = await openDatabase({ file: join(dataDir, DATA_FILE), onProblem })
  const parts = createLocalKeptFiles(database)
  return {
    database,
    sourceEngine: createDuckdbSourceEngine(database),
    offline: forgettingKeptFiles(createDuckdbOfflineStore(database), parts),
    offlineFigures: createDuckdbFigures(database),
    sourceFigures: createDuckdbSourceFigures(database),
    historyRemoval: createDuckdbHistoryRemoval(database),
    rowsRemoval: createDuckdbRowsRemoval(database),
    archiveMarks: createDuckdbArchiveMarks(database),
    sourceRows: createDuckdbSourceRows(database),
    trainingStore: createDuckdbTrainingStore(database, { parts, memory: trainingMemory }),
    // Its engine reads whole columns in any case.
    slowSources: () => Promise.resolve([]),
    admin: createDuckdbAdminStore(database),
    changes: createDuckdbChangeStore(database),
    audit: createDuckdbAuditStore(database),
    exportHistory: createDuckdbHistoryExport(database),
    exportRows: createDuckdbRowsExport(database),
    backup: createBackup(database),
    shrinking: createDuckdbShrinking(database, join(dataDir, DATA_FILE)),
    historyIn: 'duckdb',
    health: () => ({ duckdb: fileHealth(database) }),
    damage: database.damage,
    close: () => database.close(),
  }
}

function fileHealth(database: Database): string {
  if (database.damage()) return 'the data file is damaged; see the log, and run: fabra doctor --repair'
  const lost = database.lost()
  return lost === null ? 'ok' : `the data file could not be written and is opened again: ${lost}`
}

async function openLatest({ redisUrl, redisTimes, apart, onProblem }: StoreAddresses): Promise<Latest> {
  if (redisUrl === null || apart) {
    const leases = createMemoryLeaseStore(() => performance.now())
    const alone = {
      onlineFigures: null,
      onlineSweep: null,
      onlineMemory: () => null,
      activeKeys: null,
      claims: null,
      seenSources: null,
      figures: null,
      rateLimits: createRateLimits(null),
    }
    return { online: createMemoryOnlineStore(), leases, ...alone, health: () => ({ memory: 'ok' }) }
  }
  // The driver is loaded by those who use it: a laptop starts without it.
  const { openRedis } = await import('../store/redis/socket/connection.ts')
  const { createRedisActiveKeyStore } = await import('../store/redis/active-key-store.ts')
  const { createRedisClaimStore } = await import('../store/redis/claim-store.ts')
  const { createRedisFigureStore } = await import('../store/redis/figure-store.ts')
  const { createRedisLeaseStore } = await import('../store/redis/lease-store.ts')
  const { createRedisOnlineStore } = await import('../store/redis/online-store.ts')
  const { createRedisObservedSourceStore } = await import('../store/redis/observed-source-store.ts')
  const { createMemoryWatch } = await import('../store/redis/memory-watch.ts')
  const { createRedisOnlineSweep } = await import('../store/redis/online-sweep.ts')
  const { createRedisFigures } = await import('../store/redis/storage-figures.ts')
  const redis = await openRedis({ url: redisUrl, onProblem, ...redisTimes })
  const store = createRedisOnlineStore(redis, onProblem)
  const memory = createMemoryWatch(redis)
  const online = {
    ...store,
    async close() {
      memory.stop()
      await store.close()
    },
  }
  return {
    online,
    onlineFigures: createRedisFigures(redis),
    onlineSweep: createRedisOnlineSweep(redis),
    onlineMemory: memory.share,
    leases: createRedisLeaseStore(redis),
    activeKeys: createRedisActiveKeyStore(redis),
    claims: createRedisClaimStore(redis, crypto.randomUUID()),
    seenSources: createRedisObservedSourceStore(redis),
    figures: createRedisFigureStore(redis, crypto.randomUUID().slice(0, 13), () => Date.now()),
    rateLimits: createRateLimits(redis),
    health() {
      const doubts = online.doubts.why()
      const state = redis.status(doubts.get('refused') ?? [...doubts.values()][0])
      return { redis: state === 'ok' ? (memory.warning() ?? state) : state }
    },
  }
}

/** The store of API keys alone, for commands that need nothing else. Null: there is no PostgreSQL to keep them in. @throws FabraError store_unavailable */
export async function openAdmin(
  postgresUrl: string | null,
): Promise<{ readonly store: AdminStore; readonly audit: AuditStore; close(): Promise<void> } | null> {
  if (postgresUrl === null) return null
  const { openPostgres } = await import('../store/postgres/connection/connection.ts')
  const { migrate } = await import('../store/postgres/schema/migrate.ts')
  const { createPostgresAdminStore } = await import('../store/postgres/admin-store.ts')
  const { createPostgresAuditStore } = await import('../store/postgres/audit-store.ts')
  const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra', maxConnections: 1 })
  try {
    await migrate(postgres)
    return { store: createPostgresAdminStore(postgres), audit: createPostgresAuditStore(postgres), close: () => postgres.close() }
  } catch (error) {
    await postgres.close()
    throw error
  }
}

export interface SchemaMigration extends Migrating {
  /** By the step's id, where it was only asked what would be done. */
  readonly plan: ReadonlyMap<number, readonly PlannedStatement[]>
}

/**
 * Brings the schema up to this executable, or only tells what would be done. Servers do it too, when they start; this is for roles that may not.
 * @throws FabraError store_unavailable, schema_mismatch, forbidden
 */
export async function migrateSchema(
  postgresUrl: string,
  { dryRun, finish }: { readonly dryRun: boolean; readonly finish: boolean },
): Promise<SchemaMigration> {
  const { openPostgres } = await import('../store/postgres/connection/connection.ts')
  const { finishMigration, migrate, migrationState } = await import('../store/postgres/schema/migrate.ts')
  const { migrationPlan } = await import('../store/postgres/schema/migration-plan.ts')
  const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra migrate', maxConnections: 1 })
  try {
    if (!dryRun) return { ...(await (finish ? finishMigration : migrate)(postgres)), plan: new Map() }
    const migrations = await migrationState(postgres)
    const isAll = finish || migrations.every(({ applied }) => !applied)
    const pending = new Set(migrations.filter(({ applied, finishes }) => !applied && (isAll || !finishes)).map(({ id }) => id))
    return { migrations, applied: [], plan: await migrationPlan(postgres, pending) }
  } finally {
    await postgres.close()
  }
}

/** A role that reads users' tables alone, and the address with it where it is new. @throws FabraError bad_usage, forbidden, store_unavailable */
export async function makeSourceRole(
  postgresUrl: string,
  role: { readonly name: string; readonly secret: string; readonly dryRun: boolean },
): Promise<{ readonly statements: readonly string[]; readonly sourceUrl: string | null }> {
  const { openPostgres } = await import('../store/postgres/connection/connection.ts')
  const { makeSourceRole: make } = await import('../store/postgres/schema/source-role.ts')
  const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra migrate', maxConnections: 1 })
  try {
    const { statements, password } = await make(postgres, role)
    if (password === null) return { statements, sourceUrl: null }
    const url = new URL(postgresUrl)
    url.username = role.name
    url.password = password
    return { statements, sourceUrl: url.href }
  } finally {
    await postgres.close()
  }
}

export type { AdminStore, ApiKey, Scope } from '../store/ports/admin-store.ts'
export type { AuditStore } from '../store/ports/audit-store.ts'
