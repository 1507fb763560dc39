/** One version of the definitions over the stores that outlive it: executors, read path and refreshes. */

import type { Clock, Micros } from '../clock.ts'
import type { Db } from '../compute/db.ts'
import type { Executor } from '../compute/executor.ts'
import { createPastReader, type PastReader } from '../compute/functions/as-of-reader.ts'
import { createWorkerExecutor } from '../compute/functions/function-executor.ts'
import { createSeenSources, type SeenSources } from '../compute/functions/observed-sources.ts'
import { type Answered, createComputations } from '../compute/single-flight/computations.ts'
import { CLAIM_LIMITS, type ClaimLimits, createCrossProcess } from '../compute/single-flight/cross-process.ts'
import { createClientSql } from '../compute/sql/client-sql.ts'
import { createKeyLister, type KeyLister } from '../compute/sql/key-lister.ts'
import { hasAnyKey } from '../compute/sql/known-keys.ts'
import { overCopies } from '../compute/sql/portable/over-copies.ts'
import type { SqlDefinitions } from '../compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../compute/sql/sql-executor.ts'
import { createDb } from '../compute/sql/user-queries.ts'
import { isRealtime, isScheduled, replays } from '../definition/feature-traits.ts'
import type { Feature, Registry } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { RecomputeVersion } from '../ingest/recompute.ts'
import type { Logger } from '../observability/logger.ts'
import type { ActiveKeys } from '../refresh/active-keys.ts'
import { createRefresher, type Refresher } from '../refresh/refresher.ts'
import type { Runs } from '../refresh/runs.ts'
import type { Schedule } from '../refresh/schedule.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { createEngine, type Engine } from '../serving/engine.ts'
import { createPartReader } from '../serving/feature-reader.ts'
import { createLastKnown, type Patience } from '../serving/last-known.ts'
import { createServing, type Serving } from '../serving/serving.ts'
import type { ClaimStore } from '../store/ports/claim-store.ts'
import type { HistoryRemoval } from '../store/ports/history-removal.ts'
import type { ObservedSourceStore } from '../store/ports/observed-source-store.ts'
import type { OfflineStore } from '../store/ports/offline-store.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import type { RowsRemoval } from '../store/ports/rows-removal.ts'
import type { SourceEngine } from '../store/ports/source-engine.ts'
import { fromHistoryText } from '../store/recording/history-text.ts'
import type { RecordedWrite } from '../store/recording/recorded-write.ts'
import type { Recorder } from '../store/recording/recorder.ts'
import type { TrainingDependencies } from '../training/job.ts'
import { refuseRemoved, refuseRowsRemoved } from '../training/kept-history.ts'
import { storedValue } from './late-value.ts'
import type { RecalledStore } from './recalled-store.ts'
import type { ComputationTraces } from './traced-parts.ts'
import { createWholeSince } from './whole-since.ts'

/** History rows in the queue from which on those who add to it wait until they are durable. */
const DURABLE_FROM = 20_000

/** What is no older than this stays in history whatever the settings are. */
const NEVER_REMOVED: Micros = 43_200_000_000

/** What lives as long as the process. */
export interface LiveDefinitionsDependencies {
  readonly runtime: Runtime
  readonly sourceEngine: SourceEngine
  readonly offline: OfflineStore
  /** Since when history is whole, of features of which something left it. */
  readonly keptSince: HistoryRemoval['keptSince']
  /** Rows that left sources. */
  readonly rowsRemoval?: Pick<RowsRemoval, 'keptSince'>
  /** How long rows of sources stay; null: for ever. */
  readonly rowsKeep?: Micros | null
  readonly online: OnlineStore
  /** The same, where it is in this process and is filled from history while it is read; null: it is not. */
  readonly recalled?: RecalledStore | null
  readonly recorder: Recorder
  readonly activeKeys: ActiveKeys
  /** Who computes what, among many processes; null where there is only this one. */
  readonly claims: ClaimStore | null
  /** Given by tests only, whose processes share a machine that may be busy. */
  readonly limits?: { readonly claims: ClaimLimits; readonly history: Patience }
  /** What functions read, among many processes; null where there is only this one. */
  readonly seenSources: ObservedSourceStore | null
  readonly schedule: Schedule
  readonly runs: Runs
  readonly clock: Clock
  /** Of one computation in a request, of features that do not say it. */
  readonly requestTimeoutMs: number
  readonly log: Logger
  /** Null, or left out: computations are not traced. */
  readonly tracing?: ComputationTraces | null
}

/** What training needs of one version of the definitions. */
export type VersionTraining = Pick<
  TrainingDependencies,
  | 'executor'
  | 'pastStatement'
  | 'pastMerges'
  | 'portability'
  | 'overCopies'
  | 'pastOfKey'
  | 'pastRefusal'
  | 'sourcesOf'
  | 'hasAnyKey'
  | 'explain'
  | 'clientSql'
  | 'nextFiring'
  | 'wholeSince'
>

export type ExecutorOf = (
  dependencies: LiveDefinitionsDependencies,
  definitions: SqlDefinitions,
  serving: () => Serving,
  seen?: SeenSources,
) => Executor

export interface LiveDefinitions {
  readonly serving: Serving
  readonly listKeys: KeyLister
  readonly refresher: Refresher
  readonly ingest: RecomputeVersion
  readonly training: VersionTraining
}

/** @param executorOf Where features are computed; given another one by tests only. */
export function createLiveDefinitions(
  dependencies: LiveDefinitionsDependencies,
  definitions: SqlDefinitions,
  executorOf: ExecutorOf = createExecutor,
): LiveDefinitions {
  const { online, recorder, clock, schedule, log, runs, tracing = null } = dependencies
  const { registry } = definitions
  const holder: { serving?: Serving } = {}
  const serving = () => {
    if (!holder.serving) throw new FabraError('internal', 'A feature was asked for before the definitions were ready.')
    return holder.serving
  }
  const seen = createSeenSources(dependencies.seenSources)
  const untraced = executorOf(dependencies, definitions, serving, seen)
  const executor = tracing ? tracing.executor(untraced) : untraced
  const own = createComputations({
    executor,
    clock,
    random: Math.random,
    shared:
      dependencies.claims &&
      createCrossProcess({
        ...{ claims: dependencies.claims, online, limits: dependencies.limits?.claims ?? CLAIM_LIMITS },
        ...{ random: Math.random, nowMs: () => performance.now() },
      }),
    async onComputed(feature, answers) {
      // Whoever computes faster than history takes it waits for history.
      await recorder.record(writes(registry, feature, answers, clock), { durable: recorder.counters().queued >= DURABLE_FROM })
    },
  })
  const computations = tracing ? tracing.computations(own) : own
  const followers = [...registry.features.values()].filter((feature) => feature.computation.kind === 'function' && !isRealtime(feature))
  const lastKnown = createLastKnown(dependencies.offline, undefined, dependencies.limits?.history)
  const engine: Engine = createEngine({
    online,
    computations,
    clock,
    requestTimeoutMs: dependencies.requestTimeoutMs,
    lastKnown: async (feature, key) => {
      const row = await lastKnown(feature, key)
      return row && !recorder.erasures.isErased(feature.entity, key.encoded, row.eventAt) ? storedValue(feature, row) : undefined
    },
    isErased: recorder.erasures.isErased,
    onUnusable: dependencies.activeKeys.drop,
    onRead(feature, key, at) {
      if (isScheduled(feature)) dependencies.activeKeys.markUsed(feature, key, at)
    },
  })
  holder.serving = createServing({ registry, engine, nextFiring: schedule.nextFiring })
  const listKeys = createKeyLister({ registry, db: createDb({ sourceEngine: dependencies.sourceEngine, registry }), clock })
  const refresher = createRefresher({
    computations,
    online,
    clock,
    runs,
    log,
    forgottenAt: recorder.erasures.at,
    dropKey: dependencies.activeKeys.drop,
  })
  return {
    serving: holder.serving,
    listKeys,
    refresher: tracing ? tracing.refresher(refresher) : refresher,
    ingest: {
      registry,
      computations,
      listKeys,
      sourcesOf: (feature) => definitions.get(feature.name)?.sources.map(({ name }) => name) ?? seen.of(feature),
      readObservedSources: () => seen.recordRemote(followers),
    },
    training: versionTraining(dependencies, definitions, executor),
  }
}

/** Training learns by itself which way of running a query is quick for its many rows. */
function versionTraining(dependencies: LiveDefinitionsDependencies, definitions: SqlDefinitions, executor: Executor): VersionTraining {
  const sql = createSqlExecutor({ sourceEngine: dependencies.sourceEngine, definitions })
  const queries = dependencies.tracing ? dependencies.tracing.executor(sql) : sql
  return {
    executor: { compute: (feature, rows, at) => (feature.computation.kind === 'sql' ? queries : executor).compute(feature, rows, at) },
    pastStatement: (feature, rowCount, sample) => sql.pastStatement(feature.name, rowCount, sample),
    pastMerges: (features, rowCount, fits) => {
      const names = features.map((feature) => feature.name)
      return sql.pastMerges(names, rowCount, fits)
    },
    portability: (feature) => definitions.get(feature.name)?.portability ?? null,
    overCopies: (features, engine) =>
      overCopies(
        definitions,
        features.map(({ name }) => name),
        engine,
      ),
    pastOfKey: sql.pastOfKey,
    explain: (feature) => sql.explain(feature.name),
    pastRefusal: (feature) => definitions.get(feature.name)?.past ?? null,
    sourcesOf: (feature) => definitions.get(feature.name)?.sources.map(({ name }) => name) ?? null,
    clientSql: createClientSql({ sourceEngine: dependencies.sourceEngine, registry: definitions.registry, clock: dependencies.clock }),
    nextFiring: dependencies.schedule.nextFiring,
    wholeSince: createWholeSince(dependencies.rowsRemoval, definitions),
    hasAnyKey: (source, column, keys) => hasAnyKey(dependencies.sourceEngine, { source, column }, keys),
  }
}

/** SQL features run in the source's engine, functions in workers; a function's `get` comes back to the read path. */
export function createExecutor(
  dependencies: LiveDefinitionsDependencies,
  definitions: SqlDefinitions,
  serving: () => Serving,
  seen = createSeenSources(null),
  db: Db = createDb({ sourceEngine: dependencies.sourceEngine, registry: definitions.registry }),
): Executor {
  const { sourceEngine, runtime, log } = dependencies
  const sql = createSqlExecutor({ sourceEngine, definitions })
  const holder: { past?: PastReader } = {}
  const past = () => {
    if (!holder.past) throw new FabraError('internal', 'The past was asked for before the executors were ready.')
    return holder.past
  }
  const functions = createWorkerExecutor({
    runtime,
    db,
    reader: createPartReader(serving, past),
    onRead: seen.note,
    log: (level, message, fields) => log[level](message, fields),
  })
  const executor: Executor = {
    compute: (feature, rows, at) => (feature.computation.kind === 'sql' ? sql : functions).compute(feature, rows, at),
  }
  const wholeSince = createWholeSince(dependencies.rowsRemoval, definitions)
  holder.past = createPastReader({
    executor: {
      async compute(feature, rows, at) {
        const since = await wholeSince(feature)
        if (since !== null) for (let i = 0; i < rows.length; i++) refuseRowsRemoved(feature.name, rows.at(i)?.asOf ?? since, since)
        return executor.compute(feature, rows, at)
      },
    },
    recomputable: (feature) => (feature.computation.kind === 'sql' ? definitions.get(feature.name)?.past === null : replays(feature)),
    async recordedAt(feature, key, asOf) {
      const { name, fingerprint } = feature
      const reach = feature.lookBack ?? feature.maxStaleness
      const from = reach === null ? null : asOf - reach
      const query = { feature: name, fingerprint, entityKey: key.encoded, from, to: asOf, availableBy: asOf, limit: 1 }
      const [row] = await dependencies.offline.history(query)
      if (asOf < dependencies.clock.now() - NEVER_REMOVED) refuseRemoved(name, asOf, await dependencies.keptSince([name]))
      return row && { texts: fromHistoryText(feature, row.value), eventAt: row.eventAt }
    },
  })
  return executor
}

/** Answers with inputs belong to one request and are not stored. */
function writes(registry: Registry, feature: Feature, answers: readonly Answered[], clock: Clock): RecordedWrite[] {
  const entity = registry.entities.get(feature.entity)
  if (!entity) throw new FabraError('internal', `Entity ${feature.entity} is not in the registry.`)
  const availableAt = clock.now()
  return answers
    .filter((answer) => answer.inputs === undefined)
    .map(({ key, computed, asOf }) => ({
      feature,
      entity,
      key,
      value: {
        texts: computed.kind === 'value' ? computed.texts : null,
        eventAt: asOf,
        availableAt,
        origin: 'computed' as const,
        oldestInputAt: computed.kind === 'value' ? computed.oldestInputAt : null,
      },
    }))
}
