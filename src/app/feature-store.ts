/** The user's definitions over open stores: everything but HTTP. */
import packageJson from '../../package.json'
import type { Clock, Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { KeepSettings } from '../config/keep-settings.ts'
import type { PythonSettings } from '../config/python-settings.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { AuditBook } from '../http/audit-book.ts'
import type { Insight } from '../http/insight/insight.ts'
import type { SourceLoading } from '../http/readiness.ts'
import { createIngest, type Ingest } from '../ingest/ingest.ts'
import { EventLoopLag } from '../observability/event-loop-lag.ts'
import type { Logger } from '../observability/logger.ts'
import type { Metric } from '../observability/metrics.ts'
import type { Tracer } from '../observability/tracer.ts'
import type { WebhookEvent } from '../observability/webhook-message.ts'
import { createKeptRuns, type KeptRuns, type Run, type RunFilter } from '../refresh/runs.ts'
import { createRuntime, type LoadedDefinitions, type Runtime } from '../runtime/runtime.ts'
import type { Serving } from '../serving/serving.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import type { RateLimitStore } from '../store/ports/rate-limit-store.ts'
import type { SourceEngine } from '../store/ports/source-engine.ts'
import { auditedChanges, auditedReload, createAuditBook } from './audit-log.ts'
import { type CurrentDefinitions, openCurrentDefinitions } from './current-definitions.ts'
import { createFeatureStoreTraining, type FeatureStoreTraining } from './feature-store-training.ts'
import { createInsight, createWatching, type InsightOptions, type OwnInsight, type Watching } from './insight.ts'
import { createKeysInUse } from './keys-in-use.ts'
import { onceWhole } from './late-sources.ts'
import type { LiveDefinitionsDependencies } from './live-definitions.ts'
import { noted } from './noted-ingest.ts'
import { createRefilling } from './online-recovery.ts'
import { openDependencies } from './open-dependencies.ts'
import { openStores } from './open-stores.ts'
import { processMetrics } from './process-metrics.ts'
import { createRecordedHistory, type RecordedHistory } from './recorded-history.ts'
import { openRecordedKeys, type RecordedKeys } from './recorded-keys.ts'
import { createRefreshing } from './refreshing.ts'
import { sourceFiles, sourceFolders } from './source-paths.ts'
import { createStartRecovery, type RecoveryProgress } from './start-recovery.ts'
import { healthOf } from './store-health.ts'
import type { StoreAddresses, Stores } from './stores.ts'
import { createSweepers } from './sweepers.ts'
import { tracedRuntime, tracedStores } from './traced-parts.ts'
import { createWarmUp } from './warm-up.ts'
import { within } from './within.ts'

export interface FeatureStoreOptions extends KeepSettings {
  readonly files: readonly string[]
  readonly stores: Omit<StoreAddresses, 'onProblem' | 'onLoaded'>
  readonly clock: Clock
  readonly clockOffset: Micros
  readonly python?: PythonSettings
  /** Where functions of TypeScript run. Default: in threads. */
  readonly isolation?: 'thread' | 'process'
  /** Of one computation in a request, of features that do not say it. */
  readonly requestTimeoutMs: number
  /** Latest values are not brought back from history: nobody will ask for them. */
  readonly cold: boolean
  /** Files of sources may be read while others are answered already. Default false. */
  readonly loadsBehind?: boolean
  readonly log: Logger
  /** Null, or left out: nothing is traced. */
  readonly tracer?: Tracer | null
  /** What whoever looks is told of the process. */
  readonly about: Pick<InsightOptions, 'mode' | 'processes'> & { readonly keepsStatistics: boolean }
  /** Told of failing refreshes and values that are too old. */
  readonly notify?: (event: WebhookEvent) => void
  /** Made for these files and this clock, perhaps loading already. Closed by the project. */
  readonly runtime?: Runtime
}

export interface FeatureStore {
  readonly sourceEngine: SourceEngine
  /** API keys and kept runs. */
  readonly admin: AdminStore
  readonly rateLimits: RateLimitStore
  /** The definitions being served; another object after each reload. */
  serving(): Serving
  /** Store → `ok`, or what is wrong with it. */
  stores(): Readonly<Record<string, string>>
  metrics(): readonly Metric[]
  /** False while values come back from history, and those of new feature versions are computed for the keys in use: a minute each at most. */
  warm(): boolean
  /** How far what comes back from history has come; null: nothing is on its way. */
  recovery(): RecoveryProgress | null
  /** Of files of sources, behind what is served already. */
  readonly loading: SourceLoading
  /** Gives up what is being loaded: the process ends. */
  stopLoading(): void
  /** What refreshes did, newest first. */
  runs(filter: RunFilter): Promise<readonly Run[]>
  /** Compute keys again now: those given, or all in use. @throws FabraError not_refreshable */
  refresh(feature: Feature, keys: List<EntityKey> | null): Promise<Run>
  readonly recorded: RecordedHistory
  readonly insight: Insight
  readonly training: FeatureStoreTraining
  /** Data that comes in. */
  readonly ingest: Ingest
  /** Who did what. */
  readonly audit: AuditBook
  /** Begin to work without being asked. @param refreshes Whether features are refreshed here, and not by other processes alone. */
  start(refreshes: boolean): void
  /** Every file the definitions and their sources were read from. */
  files(): readonly string[]
  /** Folders in which files of sources may appear. */
  folders(): readonly string[]
  /** Take the definitions as they stand on disk now. When they have problems the ones in use stay in use. @throws InvalidDefinitions */
  reload(): Promise<void>
  /** Waits at most this long for what still computes, makes history durable and lets go of the data folder. */
  close(graceMs: number): Promise<void>
}

/** @throws InvalidDefinitions with every problem found; FabraError data_dir_locked, data_file_corrupt, io_failed */
export async function openFeatureStore(options: FeatureStoreOptions): Promise<FeatureStore> {
  const { files, clockOffset, python, isolation, log, tracer = null } = options
  const untraced =
    options.runtime ??
    createRuntime({ files, clockOffset, python, isolation, log: (level, message, fields) => log[level](message, fields) })
  const runtime = tracer === null ? untraced : tracedRuntime(tracer, untraced)
  const opening = openStores({
    ...options.stores,
    onProblem: (message, error) => log.warn(message, { error }),
    onLoaded: (source, file, rows) => log.info('a file was loaded into PostgreSQL as the table of its source', { source, file, rows }),
  })
  opening.catch(() => undefined)
  try {
    const [loaded, opened] = await Promise.all([runtime.load(), opening])
    const stores = tracer === null ? opened : tracedStores(tracer, opened)
    try {
      const watching = createWatching(options.clock, options.about.keepsStatistics)
      const kept = createKeptRuns(stores.admin, (message, error) => log.warn(message, { error }), watching.runWatch)
      const recordedKeys = await openRecordedKeys(stores, options)
      const dependencies = await openDependencies(options, runtime, { ...stores, offline: recordedKeys.offline }, kept.runs)
      return await assemble(dependencies, loaded, { stores, kept, watching, recordedKeys, options })
    } catch (error) {
      await stores.close()
      throw stores.damage() ?? error
    }
  } catch (error) {
    await runtime.close()
    throw error
  }
}

interface Around {
  readonly stores: Stores
  readonly kept: KeptRuns
  readonly watching: Watching
  readonly recordedKeys: RecordedKeys
  readonly options: FeatureStoreOptions
}

async function assemble(
  dependencies: LiveDefinitionsDependencies,
  loaded: LoadedDefinitions,
  { stores, kept, watching, recordedKeys, options }: Around,
): Promise<FeatureStore> {
  const { runtime, sourceEngine, offline, online, recorder, clock, log } = dependencies
  const { notify, cold, loadsBehind } = options
  const recovery = createStartRecovery(dependencies)
  const definitions = await openCurrentDefinitions(dependencies, loaded, { recovery: cold ? null : recovery, recordedKeys, loadsBehind })
  const { loading } = definitions
  const keysInUse = createKeysInUse(dependencies, {
    store: stores.activeKeys,
    whole: recovery.run,
    samplePushed: notify !== undefined,
    registry: definitions.registry,
    onForgotten: (entity, key, erasure) => ingest.applyErasure(entity, key, erasure),
  })
  const ingest = createIngest({
    online,
    offline,
    recorder,
    sourceRows: stores.sourceRows,
    version: () => definitions.live().ingest,
    keysInUse,
    sharedWithinMs: keysInUse.sharedWithinMs,
    clock,
    log,
  })
  const refreshing = createRefreshing(dependencies, { definitions, keysInUse, kept, leases: stores.leases, notify })
  const refilling = createRefilling(dependencies, definitions.registry, ingest.changed)
  const warmUp = createWarmUp(dependencies)
  const sweepers = createSweepers({ ...options, historyKeep: recordedKeys.keep, stores, registry: definitions.registry, clock, log })
  const health = () => healthOf(stores, recorder)
  const training = createFeatureStoreTraining(dependencies, definitions, stores)
  const audit = createAuditBook({ store: stores.audit, clock, log })
  const looked = { stores, watching, recordedKeys, options, definitions, audit, health, trainingSets: training.list }
  const insight = openInsight(dependencies, looked)
  const lag = new EventLoopLag()
  let closing = false

  function begin(refreshes: boolean): void {
    const recovered = recovery.run()
    refilling.start()
    insight.start(packageJson.version)
    void recovered
      .then(() => (closing ? undefined : warmUp.run(definitions.live())))
      .then(() => {
        if (closing) return
        keysInUse.start()
        refreshing.start(refreshes)
        if (refreshes) for (const sweeper of sweepers) sweeper.start()
        ingest.start().catch((error) => log.warn('events from before the start could not be followed', { error }))
      })
  }

  return {
    sourceEngine,
    admin: stores.admin,
    rateLimits: stores.rateLimits,
    runs: (filter) => kept.list(filter),
    serving: () => definitions.live().serving,
    stores: health,
    metrics: () =>
      processMetrics({
        history: recorder.counters(),
        stores: health(),
        doubts: online.isShared ? online.doubts : null,
        onlineMemory: stores.onlineMemory(),
        reads: watching.statistics,
        runs: watching.runCounters,
        lag,
      }),
    refresh: refreshing.refresh,
    recorded: createRecordedHistory(stores, () => recorder.flush()),
    insight,
    audit,
    ingest: noted(ingest, insight),
    training,
    warm: () => loading.progress() === null && recovery.isOver() && warmUp.isOver(),
    recovery: recovery.progress,
    loading,
    stopLoading: loading.stop,
    start: (refreshes) => onceWhole(loading, () => (closing ? undefined : begin(refreshes))),
    files: () => [...definitions.files(), ...sourceFiles(definitions.registry())],
    folders: () => sourceFolders(definitions.registry()),
    reload: () =>
      auditedReload(audit, async () => {
        await definitions.reload()
        watching.statistics?.retain(new Set(definitions.registry().features.keys()))
        await insight.changes.observe(definitions.registry())
      }),
    async close(graceMs) {
      closing = true
      loading.stop()
      lag.stop()
      const ending = [
        recovery.stop(),
        refreshing.stop(),
        refilling.stop(),
        keysInUse.stop(),
        ingest.close(),
        ...sweepers.map((sweeper) => sweeper.close()),
        definitions.live().serving.engine.idle(),
      ]
      await within(graceMs, Promise.all(ending))
      // What still computes is given up here: its callers are answered, and none can start anew.
      await runtime.close()
      await recorder.close()
      await kept.close()
      await insight.stop()
      await audit.close()
      await refreshing.close()
      await stores.close()
    },
  }
}

interface Looked extends Omit<Around, 'kept'> {
  readonly definitions: CurrentDefinitions
  readonly audit: AuditBook
  readonly health: InsightOptions['health']
  readonly trainingSets: InsightOptions['trainingSets']
}

function openInsight(dependencies: LiveDefinitionsDependencies, { options, audit, ...looked }: Looked): OwnInsight {
  const { activeKeys, schedule, clock, log } = dependencies
  const { files, about, stores, rowsKeep } = options
  return createInsight({
    ...looked,
    ...about,
    files,
    dataDir: stores.dataDir,
    historyKeep: looked.recordedKeys.keep,
    rowsKeep,
    ...{ activeKeys, schedule, clock, log },
    onChange: auditedChanges(audit),
  })
}
