import type { Keyring } from '../auth/keyring.ts'
import type { Clock, Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { Ingest } from '../ingest/ingest.ts'
import type { Logger } from '../observability/logger.ts'
import type { Metric } from '../observability/metrics.ts'
import type { Tracer } from '../observability/tracer.ts'
import type { Run, RunFilter } from '../refresh/runs.ts'
import type { Serving } from '../serving/serving.ts'
import type { BackupFile } from '../store/ports/backup.ts'
import type { HistoryExport, RowsExport } from '../store/ports/history-export.ts'
import type { HistoryQuery, HistoryRow, KeyHistoryQuery } from '../store/ports/offline-store.ts'
import type { RateLimitStore } from '../store/ports/rate-limit-store.ts'
import type { TableWriter } from '../store/ports/value-table.ts'
import type { TrainingJob, TrainingReport } from '../training/job.ts'
import type { ManyOfRow, OneAnswer, OneRow } from '../training/one-row.ts'
import type { AuditBook } from './audit-book.ts'
import type { Insight } from './insight/insight.ts'
import type { Readiness, SourceLoading } from './readiness.ts'

export interface HttpOptions {
  /** The definitions being served; another object after each reload. */
  readonly serving: () => Serving
  readonly readiness: () => Readiness
  /** Files of sources that are still being read; left out: they were, before anybody asks. */
  readonly loading?: SourceLoading
  readonly metrics: () => readonly Metric[]
  /** Compute keys again now: those given, or all in use. @throws FabraError not_refreshable */
  readonly refresh: (feature: Feature, keys: List<EntityKey> | null) => Promise<Run>
  /** What the server knows of itself. */
  readonly insight: Insight
  /** What refreshes did, newest first. */
  readonly runs: { list(filter: RunFilter): readonly Run[] | Promise<readonly Run[]> }
  /** Recorded values of one key, newest first. */
  readonly history: (query: HistoryQuery) => Promise<readonly HistoryRow[]>
  /** The same of many features of one key at once. */
  readonly historyOfKey: (query: KeyHistoryQuery) => Promise<readonly HistoryRow[]>
  /** Since when history is whole, of features of which something left it. To be asked after reading. */
  readonly keptSince: (features: readonly string[]) => Promise<ReadonlyMap<string, Micros>>
  /** A copy of the data file. @throws FabraError not_found, overloaded, io_failed */
  readonly backup: () => Promise<BackupFile>
  readonly exportHistory: HistoryExport
  readonly exportRows: RowsExport
  /** Data that comes in. */
  readonly ingest: Pick<Ingest, 'push' | 'append' | 'forget'>
  /** Training sets over the definitions being served. */
  readonly training: {
    /** @throws FabraError overloaded */
    begin(about: Pick<TrainingReport, 'id' | 'owner'>): Promise<TrainingJob>
    report(id: string): TrainingReport | undefined
    /** Those that are remembered, newest first. */
    list(): readonly TrainingReport[]
    /** @returns false: it is not being made. */
    cancel(id: string): boolean
    /** For a look at one row, which nobody is told of and nobody waits behind. @throws FabraError overloaded */
    beginLook(): Promise<TrainingJob>
    /** One feature of one key as of a moment; null: its past is what was recorded. @throws FabraError not_trainable */
    computeOne(row: OneRow, signal: AbortSignal): Promise<OneAnswer | null>
    computeMany(row: ManyOfRow, signal: AbortSignal): Promise<void>
  }
  /** For clients that read tables. */
  readonly writeTable: TableWriter
  /** Who may ask; null: everybody who reaches the address. */
  readonly keyring: Keyring | null
  /** Counts requests of keys that have a limit; left out: none have. */
  readonly rateLimits?: RateLimitStore
  /** Who did what is told there; left out: nowhere. */
  readonly audit?: AuditBook
  /** The share of requests that are lines of the log, from 0 to 1. Default: none. */
  readonly accessLog?: number
  /** Requests are traced; left out: they are not. */
  readonly tracer?: Tracer | null
  /** The page at /ui is served. Default: not. */
  readonly hasUi?: boolean
  /** Details are told to everybody. */
  readonly isDevelopment: boolean
  readonly clock: Clock
  readonly log: Logger
  readonly version: string
}
