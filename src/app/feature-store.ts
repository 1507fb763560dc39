/** The user's definitions over open stores: everything but HTTP. */

import packageJson from '../../package.json'
import type { Clock, Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { isPushed, isRealtime, takesInputs } from '../definition/feature-traits.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import { isOk } from '../http/readiness.ts'
import { createIngest, type Ingest, type IngestKeys } from '../ingest/ingest.ts'
import type { Logger } from '../observability/logger.ts'
import type { Metric } from '../observability/metrics.ts'
import type { WebhookEvent } from '../observability/webhook.ts'
import { createSharedKeys, SHARED_WITHIN_MS } from '../refresh/active-key-sync.ts'
import { createActiveKeys } from '../refresh/active-keys.ts'
import { createAlerts } from '../refresh/alerts.ts'
import { createKeySample } from '../refresh/key-sample.ts'
import { createLeaseKeeper } from '../refresh/lease-keeper.ts'
import { createKeptRuns, type KeptRuns, type Run, type RunFilter, type Runs, unlistedRun } from '../refresh/runs.ts'
import { createSchedule } from '../refresh/schedule.ts'
import { createScheduler } from '../refresh/scheduler.ts'
import { createRuntime, type LoadedDefinitions, type Runtime } from '../runtime/runtime.ts'
import { judge } from '../serving/freshness.ts'
import type { Serving } from '../serving/serving.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import type { HistoryQuery, HistoryRow } from '../store/ports/offline-store.ts'
import type { SourceEngine } from '../store/ports/source-engine.ts'
import { createRecorder } from '../store/recording/recorder.ts'
import type { TrainingJob, TrainingReport } from '../training/job.ts'
import { createTraining } from '../training/training-set.ts'
import { checkedDefinitions } from './checked-definitions.ts'
import { createLiveDefinitions, type LiveDefinitions, type LiveDefinitionsDependencies } from './live-definitions.ts'
import { createRefilling, rewarm } from './online-recovery.ts'
import { openStores, slowSourcesOf } from './open-stores.ts'
import { processMetrics } from './process-metrics.ts'
import { sourceFiles, sourceFolders } from './source-paths.ts'
import type { StoreAddresses, Stores } from './stores.ts'
import { warmNewVersions } from './warm-up.ts'

/** How long a server may say that it is not ready because it computes values of new feature versions. */
const LONGEST_WARMING_MS = 60_000

export interface FeatureStoreOptions {
  readonly files: readonly string[]
  readonly stores: Omit<StoreAddresses, 'onProblem' | 'onLoaded'>
  readonly clock: Clock
  readonly clockOffset: Micros
  /** Latest values are not brought back from history: nobody will ask for them. */
  readonly cold: boolean
  readonly log: Logger
  /** Told of failing refreshes and values that are too old. */
  readonly notify?: (event: WebhookEvent) => void
  /** Made for these files and this clock, perhaps loading already. Closed by the project. */
  readonly runtime?: Runtime
}

export interface FeatureStore {
  readonly sourceEngine: SourceEngine
  /** API keys and kept runs. */
  readonly admin: AdminStore
  /** The definitions being served; another object after each reload. */
  serving(): Serving
  /** Store → `ok`, or what is wrong with it. */
  stores(): Readonly<Record<string, string>>
  metrics(): readonly Metric[]
  /** False while values of new feature versions are computed for the keys in use, a minute at most. */
  warm(): boolean
  /** What refreshes did, newest first. */
  runs(filter: RunFilter): Promise<readonly Run[]>
  /** Compute keys again now: those given, or all in use. @throws FabraError not_refreshable */
  refresh(feature: Feature, keys: List<EntityKey> | null): Promise<Run>
  /** Recorded values of one key, newest first, up to this moment. */
  history(query: HistoryQuery): Promise<readonly HistoryRow[]>
  readonly training: FeatureStoreTraining
  /** Data that comes in. */
  readonly ingest: Ingest
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

/** Training sets over the definitions being served when they are begun. */
export interface FeatureStoreTraining {
  /** @throws FabraError overloaded */
  begin(id: string): Promise<TrainingJob>
  report(id: string): TrainingReport | undefined
}

/** @throws InvalidDefinitions with every problem found; FabraError data_dir_locked, data_file_corrupt, io_failed */
export async function openFeatureStore(options: FeatureStoreOptions): Promise<FeatureStore> {
  const { files, clockOffset, log } = options
  const runtime = options.runtime ?? createRuntime({ files, clockOffset, log: (level, message, fields) => log[level](message, fields) })
  const opening = openStores({
    ...options.stores,
    onProblem: (message, error) => log.warn(message, { error }),
    onLoaded: (source, file, rows) => log.info('a file was loaded into PostgreSQL as the table of its source', { source, file, rows }),
  })
  opening.catch(() => undefined)
  try {
    const [loaded, stores] = await Promise.all([runtime.load(), opening])
    try {
      const kept = createKeptRuns(stores.admin, (message, error) => log.warn(message, { error }))
      return await assemble(await openDependencies(options, runtime, stores, kept.runs), loaded, { stores, kept, options })
    } catch (error) {
      await stores.close()
      throw stores.damage() ?? error
    }
  } catch (error) {
    await runtime.close()
    throw error
  }
}

async function openDependencies(
  options: FeatureStoreOptions,
  runtime: Runtime,
  stores: Stores,
  runs: Runs,
): Promise<LiveDefinitionsDependencies> {
  const { clock, log } = options
  const { sourceEngine, offline, online } = stores
  const recorder = await createRecorder({ online, offline, clock, onProblem: (message, error) => log.error(message, { error }) })
  const shared = { runtime, sourceEngine, offline, online, recorder, clock, log, claims: stores.claims, seenSources: stores.seenSources }
  return { ...shared, activeKeys: createActiveKeys(clock, { collect: stores.activeKeys !== null }), schedule: createSchedule(), runs }
}

interface Around {
  readonly stores: Stores
  readonly kept: KeptRuns
  readonly options: Pick<FeatureStoreOptions, 'notify' | 'cold'>
}

async function assemble(
  dependencies: LiveDefinitionsDependencies,
  loaded: LoadedDefinitions,
  { stores, kept, options }: Around,
): Promise<FeatureStore> {
  const { notify, cold } = options
  const { runtime, sourceEngine, offline, online, recorder, clock, log, activeKeys, schedule } = dependencies
  let files = loaded.files
  let warm = true
  let closing = false
  const training = createTraining()
  let version = await take(loaded, undefined)
  const leases = createLeaseKeeper({ leases: stores.leases, nowMs: () => performance.now(), log })
  const scheduler = createScheduler({
    features: () => version.serving.registry.features.values(),
    refresh: (feature, keys, before, skipped) => refreshed(feature, keys, { reason: 'schedule', before, skipped }),
    activeKeys,
    mayRefresh: (feature) => leases.hold(leaseOf(feature)),
    pull: async (feature) => shared?.pull(feature),
    listedKeys: (entity) => version.listKeys(entity),
    onUnlisted(feature, error) {
      const run = unlistedRun(dependencies.runs, feature, error, clock.now())
      alerts?.ran(run)
    },
    schedule,
    clock,
    log,
  })

  // Keys of pushed features are nobody's to refresh; some of them tell those who want to be told whether pushes still come.
  const pushed = notify ? createKeySample() : undefined
  const keysInUse: IngestKeys = {
    of: (feature) => activeKeys.of(feature),
    markUsed: (feature, key) => (isPushed(feature) ? pushed?.note(feature, key) : activeKeys.markUsed(feature, key)),
    drop(feature, key) {
      if (isPushed(feature)) return pushed?.drop(feature, key)
      activeKeys.drop(feature, key)
      shared?.drop(feature, key)
    },
    pull: (feature) => shared?.pull(feature),
  }
  const shared =
    stores.activeKeys &&
    createSharedKeys({
      store: stores.activeKeys,
      online,
      activeKeys,
      erasures: recorder.erasures,
      registry: () => version.serving.registry,
      onForgotten: (entity, key, erasure) => ingest.applyErasure(entity, key, erasure),
      clock,
      log,
    })
  const alerts =
    notify &&
    createAlerts({
      features: () => version.serving.registry.features.values(),
      keysInUse: (feature, count) => (isPushed(feature) ? (pushed?.of(feature) ?? []) : activeKeys.some(feature, count)),
      online,
      isLate: (feature, eventAt) => isLate(version.serving, feature, eventAt, clock.now()),
      send: notify,
      clock,
    })

  async function refreshed(...args: Parameters<LiveDefinitions['refresher']['run']>): Promise<Run> {
    const run = await version.refresher.run(...args)
    alerts?.ran(run)
    return run
  }

  const ingest = createIngest({
    online,
    offline,
    recorder,
    sourceRows: stores.sourceRows,
    version: () => version.ingest,
    keysInUse,
    sharedWithinMs: shared ? SHARED_WITHIN_MS : null,
    clock,
    log,
  })

  /** Check loaded definitions and put them into use, or leave everything as it is. */
  async function take(next: LoadedDefinitions, before: LiveDefinitions | undefined): Promise<LiveDefinitions> {
    try {
      const definitions = await checkedDefinitions(next, sourceEngine)
      const taken = createLiveDefinitions(dependencies, definitions)
      if (!cold) await rewarm(dependencies, definitions.registry, before?.serving.registry)
      next.activate()
      return taken
    } catch (error) {
      next.discard()
      throw error
    }
  }

  function storeStates(): Readonly<Record<string, string>> {
    const health = stores.health()
    const words = recorder.words()
    if (words === null || (isOk(words) && health[stores.historyIn] !== 'ok')) return health
    return { ...health, [stores.historyIn]: words }
  }

  const refilling = createRefilling(dependencies, () => version.serving.registry, ingest.changed)
  async function reload(): Promise<void> {
    const next = await runtime.load()
    files = next.files
    version = await take(next, version)
  }

  return {
    sourceEngine,
    admin: stores.admin,
    runs: (filter) => kept.list(filter),
    serving: () => version.serving,
    stores: storeStates,
    metrics: () => processMetrics(recorder.counters(), storeStates(), online.isShared ? online.doubts : null),
    async refresh(feature, keys) {
      refuseRefresh(feature)
      const listed = keys ? { keys, skipped: undefined } : await version.listKeys(feature.entity)
      const due = listed?.keys ?? (await activeKeys.of(feature))
      return kept.keep(await refreshed(feature, due, { reason: 'request', before: null, skipped: listed?.skipped }))
    },
    async history(query) {
      await recorder.flush()
      return offline.history(query)
    },
    ingest,
    training: {
      begin(id) {
        const { training: computing, serving } = version
        const own = { store: stores.trainingStore, slowSources: slowSourcesOf(serving.registry, stores), now: clock.now }
        return training.begin(serving.registry, { ...computing, ...own, flush: recorder.flush, version: packageJson.version }, id)
      },
      report: training.report,
    },
    warm: () => warm,
    start(refreshes) {
      refilling.start()
      warm = false
      const done = () => {
        warm = true
      }
      const timer = setTimeout(done, LONGEST_WARMING_MS)
      timer.unref()
      warmNewVersions(dependencies, version)
        .catch((error) => log.warn('warming new feature versions failed', { error }))
        .finally(() => {
          clearTimeout(timer)
          done()
          if (closing) return
          if (refreshes) scheduler.start()
          shared?.start()
          alerts?.start()
          ingest.start().catch((error) => log.warn('events from before the start could not be followed', { error }))
        })
    },
    files: () => [...files, ...sourceFiles(version.serving.registry)],
    folders: () => sourceFolders(version.serving.registry),
    reload,
    async close(graceMs) {
      closing = true
      alerts?.stop()
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, graceMs)
      const ending = [scheduler.stop(), refilling.stop(), shared?.stop(), ingest.close(), version.serving.engine.idle()]
      await Promise.race([Promise.all(ending), late.promise])
      clearTimeout(timer)
      // What still computes is given up here: its callers are answered, and none can start anew.
      await runtime.close()
      await recorder.close()
      await kept.close()
      await leases.close()
      await stores.close()
    },
  }
}

function leaseOf(feature: Feature): string {
  return `refresh:${fieldOf(feature)}`
}

/** Expired or, where nothing expires, stale. */
function isLate({ planned }: Serving, feature: Feature, eventAt: Micros, now: Micros): boolean {
  const rule = planned.get(feature.name)?.rule
  return rule !== undefined && judge(rule, eventAt, now, null) === (rule.maxStaleness === null ? 'stale' : 'expired')
}

function refuseRefresh(feature: Feature): void {
  const refuse = (why: string, hint: string) =>
    new FabraError('not_refreshable', `"${feature.name}" cannot be refreshed: ${why}.`, { hint })
  if (isPushed(feature)) throw refuse('its values are pushed', 'Push a value instead.')
  if (isRealtime(feature)) throw refuse('it is computed in every request', 'Just read it.')
  if (takesInputs(feature)) throw refuse('it needs inputs that only a request has', 'Just read it.')
}
