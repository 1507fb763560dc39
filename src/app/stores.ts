import type { SteeredClock } from '../clock.ts'
import type { Source } from '../definition/model.ts'
import type { FabraError } from '../errors.ts'
import type { ActiveKeyStore } from '../store/ports/active-key-store.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import type { ArchiveMarks } from '../store/ports/archive.ts'
import type { AuditStore } from '../store/ports/audit-store.ts'
import type { BackupFile } from '../store/ports/backup.ts'
import type { ChangeStore } from '../store/ports/change-store.ts'
import type { ClaimStore } from '../store/ports/claim-store.ts'
import type { FigureStore } from '../store/ports/figure-store.ts'
import type { HistoryExport, RowsExport } from '../store/ports/history-export.ts'
import type { HistoryRemoval } from '../store/ports/history-removal.ts'
import type { LeaseStore } from '../store/ports/lease-store.ts'
import type { ObservedSourceStore } from '../store/ports/observed-source-store.ts'
import type { OfflineStore } from '../store/ports/offline-store.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import type { OnlineSweep } from '../store/ports/online-sweep.ts'
import type { RateLimitStore } from '../store/ports/rate-limit-store.ts'
import type { RowsRemoval } from '../store/ports/rows-removal.ts'
import type { Shrinking } from '../store/ports/shrinking.ts'
import type { SourceEngine } from '../store/ports/source-engine.ts'
import type { SourceRows } from '../store/ports/source-rows.ts'
import type { OfflineFigures, OnlineFigures, SourceFigures } from '../store/ports/storage-figures.ts'
import type { TrainingStore } from '../store/ports/training-store.ts'
import type { RedisTimes } from '../store/redis/redis.ts'

export interface StoreAddresses {
  /** Absolute folder of the DuckDB file. */
  readonly dataDir: string
  /** History and sources; null: the DuckDB file. */
  readonly postgresUrl: string | null
  /** Where SQL of features runs; null: where history is. */
  readonly sourceUrl: string | null
  /** Null: latest values are in memory. */
  readonly redisUrl: string | null
  /** Other limits than a server has, for tests on busy machines: no command and no setting gives any. */
  readonly redisTimes?: RedisTimes | undefined
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
  readonly sourceEngine: SourceEngine
  readonly offline: OfflineStore
  readonly historyRemoval: HistoryRemoval
  readonly rowsRemoval: RowsRemoval
  readonly archiveMarks: ArchiveMarks
  readonly offlineFigures: OfflineFigures
  readonly sourceFigures: SourceFigures
  /** Null: latest values are in memory. */
  readonly onlineFigures: OnlineFigures | null
  /** Null: they are in memory, or in a cluster. */
  readonly onlineSweep: OnlineSweep | null
  /** How much of the memory that the online store may take it has taken; null: not known, or as much as it wants. */
  onlineMemory(): number | null
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
  readonly seenSources: ObservedSourceStore | null
  /** What processes tell one another of their reads; null where there is only this one. */
  readonly figures: FigureStore | null
  readonly rateLimits: RateLimitStore
  readonly admin: AdminStore
  readonly changes: ChangeStore
  readonly audit: AuditStore
  readonly exportHistory: HistoryExport
  readonly exportRows: RowsExport
  /** Copies all that is recorded while it is used; null: PostgreSQL has means of its own. @throws FabraError overloaded, io_failed */
  readonly backup: (() => Promise<BackupFile>) | null
  /** Null: the file is not ours, or there is none. */
  readonly shrinking: Shrinking | null
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

/** What is recorded, and what it is computed from. */
export type Records = Omit<Stores, keyof Latest> & Pick<Stores, 'health'>

/** Latest values. */
export interface Latest {
  readonly online: OnlineStore
  readonly onlineFigures: OnlineFigures | null
  readonly onlineSweep: OnlineSweep | null
  onlineMemory(): number | null
  readonly leases: LeaseStore
  readonly activeKeys: ActiveKeyStore | null
  readonly claims: ClaimStore | null
  readonly seenSources: ObservedSourceStore | null
  readonly figures: FigureStore | null
  readonly rateLimits: RateLimitStore
  health(): Readonly<Record<string, string>>
}
