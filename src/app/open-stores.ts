/** Which stores stand behind the ports: the laptop's, or those whose addresses are given. Nothing else depends on which. */
import { join } from 'node:path'
import type { SteeredClock } from '../clock.ts'
import type { Entity, Registry, Source } from '../definition/model.ts'
import type { FabraError } from '../errors.ts'
import type { ActiveKeyStore } from '../store/ports/active-key-store.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import type { ClaimStore } from '../store/ports/claim-store.ts'
import { createDuckdbAdminStore } from '../store/duckdb/admin-store.ts'
import { type Database, openDatabase } from '../store/duckdb/connection/database.ts'
import { forgettingParts } from '../store/duckdb/training/resume/forgetting-parts.ts'
import { createDuckdbOfflineStore } from '../store/duckdb/history/offline-store.ts'
import { createDuckdbSourceRows } from '../store/duckdb/sources/source-rows.ts'
import { createDuckdbSourceStore } from '../store/duckdb/sources/source-engine.ts'
import { createDuckdbTrainingStore, createLocalParts } from '../store/duckdb/training/training-store.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import { createMemoryLeaseStore } from '../store/memory/lease-store.ts'
import { createMemoryOnlineStore } from '../store/memory/online-store.ts'
import type { OfflineStore } from '../store/ports/offline-store.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import type { Migrating } from '../store/postgres/schema/migrate.ts'
import type { SeenSourceStore } from '../store/ports/observed-source-store.ts'
import type { SourceRows } from '../store/ports/source-rows.ts'
import type { SourceStore } from '../store/ports/source-engine.ts'
import type { TrainingStore } from '../store/ports/training-store.ts'

/** In the data folder. */
export const DATA_FILE = 'fabra.duckdb'

export interface StoreAddresses {
  /** Absolute folder of the DuckDB file. */
  readonly dataDir: string
  /** History and sources; null: the DuckDB file. */
  readonly postgresUrl: string | null
  /** Where SQL of features runs; null: where history is. */
  readonly sourceUrl: string | null
  /** Null: latest values are in memory. */
  readonly redisUrl: string | null
  /** Another present: what it brings forth stays in the folder and in memory, and only sources are where they always are. */
  readonly apart: boolean
  /** Bytes that putting one training set together may take. */
  readonly trainingMemory?: number | undefined
  /** Kept with the clock of the database that holds the rows, where there is one. */
  readonly clock: SteeredClock
  /** Told of what nobody else is told of: that a store is gone, and that it is back. */
  readonly onProblem: (message: string, cause: unknown) => void
  /** Told when a file of a source was made a table of PostgreSQL. */
  readonly onLoaded: (source: string, file: string, rows: number) => void
}

export interface Stores {
  readonly sourceStore: SourceStore
  readonly offline: OfflineStore
  readonly online: OnlineStore
  readonly sourceRows: SourceRows
  readonly trainingStore: TrainingStore
  /** What is known of sources whose tables are slow to read by these key columns; nothing where it cannot be told soon. */
  readonly slowSources: (sources: readonly Source[], keys: readonly (readonly string[])[]) => Promise<readonly SlowSource[]>
  /** Who of many processes refreshes a feature. */
  readonly leases: LeaseStore
  /** Keys in use, told to other processes; null where there are none. */
  readonly activeKeys: ActiveKeyStore | null
  /** What is being computed by which process; null where there is only this one. */
  readonly claims: ClaimStore | null
  /** What functions read, told to other processes; null where there are none. */
  readonly seenSources: SeenSourceStore | null
  readonly admin: AdminStore
  /** The technology that keeps history, by its name in `health`. */
  readonly historyIn: string
  /** Technology → `ok`, or what is wrong with it. */
  health(): Readonly<Record<string, string>>
  /** The data file was found to be damaged; null where it was not, or where there is none. */
  damage(): FabraError | null
  close(): Promise<void>
}

export interface SlowSource {
  readonly subject: string
  readonly message: string
  readonly hint: string
}

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

/** What is recorded, and what it is computed from. */
export type Records = Omit<Stores, keyof Latest> & Pick<Stores, 'health'>

async function openRecords(addresses: StoreAddresses): Promise<Records> {
  if (addresses.postgresUrl === null) return openFile(addresses)
  const { openPostgresRecords } = await import('./open-postgres-stores.ts')
  const records = await openPostgresRecords(addresses.postgresUrl, addresses)
  if (!addresses.apart) return records
  const file = await openFile(addresses)
  const { offline, admin, historyIn } = file
  const trainingStore = records.trainingBeside(file.database)
  const health = () => ({ ...records.health(), ...file.health() })
  return {
    ...records,
    offline,
    admin,
    historyIn,
    trainingStore,
    health,
    damage: file.damage,
    close: async () => void (await Promise.all([records.close(), file.close()])),
  }
}

async function openFile({ dataDir, onProblem, trainingMemory }: StoreAddresses): Promise<Records & { readonly database: Database }> {
  const database = await openDatabase({ file: join(dataDir, DATA_FILE), onProblem })
  const parts = createLocalParts(database)
  return {
    database,
    sourceStore: createDuckdbSourceStore(database),
    offline: forgettingParts(createDuckdbOfflineStore(database), parts),
    sourceRows: createDuckdbSourceRows(database),
    trainingStore: createDuckdbTrainingStore(database, { parts, memory: trainingMemory }),
    // Its engine reads whole columns in any case.
    slowSources: () => Promise.resolve([]),
    admin: createDuckdbAdminStore(database),
    historyIn: 'duckdb',
    health: () => ({ duckdb: database.damage() ? 'the data file is damaged; see the log, and run: fabra doctor --repair' : 'ok' }),
    damage: database.damage,
    close: () => database.close(),
  }
}

/** Latest values. */
interface Latest {
  readonly online: OnlineStore
  readonly leases: LeaseStore
  readonly activeKeys: ActiveKeyStore | null
  readonly claims: ClaimStore | null
  readonly seenSources: SeenSourceStore | null
  health(): Readonly<Record<string, string>>
}

async function openLatest({ redisUrl, apart, onProblem }: StoreAddresses): Promise<Latest> {
  if (redisUrl === null || apart) {
    const leases = createMemoryLeaseStore(() => performance.now())
    const alone = { activeKeys: null, claims: null, seenSources: null }
    return { online: createMemoryOnlineStore(), leases, ...alone, health: () => ({ memory: 'ok' }) }
  }
  // The driver is loaded by those who use it: a laptop starts without it.
  const { openRedis } = await import('../store/redis/socket/connection.ts')
  const { createRedisActiveKeyStore } = await import('../store/redis/active-key-store.ts')
  const { createRedisClaimStore } = await import('../store/redis/claim-store.ts')
  const { createRedisLeaseStore } = await import('../store/redis/lease-store.ts')
  const { createRedisOnlineStore } = await import('../store/redis/online-store.ts')
  const { createRedisSeenSourceStore } = await import('../store/redis/observed-source-store.ts')
  const redis = await openRedis({ url: redisUrl, onProblem })
  const online = createRedisOnlineStore(redis, onProblem)
  return {
    online,
    leases: createRedisLeaseStore(redis),
    activeKeys: createRedisActiveKeyStore(redis),
    claims: createRedisClaimStore(redis, crypto.randomUUID()),
    seenSources: createRedisSeenSourceStore(redis),
    health() {
      const doubts = online.doubts.why()
      return { redis: redis.status(doubts.get('refused') ?? [...doubts.values()][0]) }
    },
  }
}

/** The store of API keys alone, for commands that need nothing else. Null: there is no PostgreSQL to keep them in. @throws FabraError store_unavailable */
export async function openAdmin(postgresUrl: string | null): Promise<{ readonly store: AdminStore; close(): Promise<void> } | null> {
  if (postgresUrl === null) return null
  const { openPostgres } = await import('../store/postgres/connection/connection.ts')
  const { migrate } = await import('../store/postgres/schema/migrate.ts')
  const { createPostgresAdminStore } = await import('../store/postgres/admin-store.ts')
  const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra', maxConnections: 1 })
  try {
    await migrate(postgres)
    return { store: createPostgresAdminStore(postgres), close: () => postgres.close() }
  } catch (error) {
    await postgres.close()
    throw error
  }
}

/**
 * Brings the schema up to this executable, or only tells what would be done. Servers do it too, when they start; this is for roles that may not.
 * @throws FabraError store_unavailable, schema_mismatch, forbidden
 */
export async function migrateSchema(postgresUrl: string, options: { readonly dryRun: boolean }): Promise<Migrating> {
  const { openPostgres } = await import('../store/postgres/connection/connection.ts')
  const { migrate, migrationState } = await import('../store/postgres/schema/migrate.ts')
  const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra migrate', maxConnections: 1 })
  try {
    return options.dryRun ? { migrations: await migrationState(postgres), applied: [] } : await migrate(postgres)
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
