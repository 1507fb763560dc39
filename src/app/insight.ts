/** What the server knows of itself: figures of reads, runs, changes, sources and stores, put together for whoever looks. */
import { statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Clock, Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import type { Insight, ProcessFacts } from '../http/insight/insight.ts'
import { isOk } from '../http/readiness.ts'
import type { StoreState } from '../http/wire.ts'
import { EventFeed } from '../observability/event-feed.ts'
import type { Logger } from '../observability/logger.ts'
import { ReadStatistics } from '../observability/read-statistics.ts'
import { RequestSamples } from '../observability/request-samples.ts'
import type { ActiveKeys } from '../refresh/active-keys.ts'
import { RunCounters } from '../refresh/run-counters.ts'
import { createRunFigures, type RunFigures } from '../refresh/run-figures.ts'
import type { Run, RunWatch } from '../refresh/runs.ts'
import type { Schedule } from '../refresh/schedule.ts'
import { nextDueAt } from '../refresh/scheduler.ts'
import { ReadObserver, shapeOf } from '../serving/read-observer.ts'
import type { ChangeRecord } from '../store/ports/change-store.ts'
import type { FigureStore } from '../store/ports/figure-store.ts'
import { createChangeBook, type WritableChangeBook } from './change-book.ts'
import type { CurrentDefinitions } from './current-definitions.ts'
import { DATA_FILE } from './open-stores.ts'
import type { RecordedKeys } from './recorded-keys.ts'
import { createSharedFigures, type SharedFigures } from './shared-figures.ts'
import { createSourceLook } from './source-facts.ts'
import { createStorageLook } from './storage.ts'
import type { Stores } from './stores.ts'

const FRESHEN_MS = 5_000
/** How far a run is. */
const TELL_EVERY_MS = 1_000

/** What is looked at from the start on, before there are definitions. */
export interface Watching {
  readonly statistics: ReadStatistics | null
  readonly feed: EventFeed
  readonly samples: RequestSamples
  readonly runs: RunFigures
  readonly runCounters: RunCounters
  /** To be told of runs. */
  readonly runWatch: RunWatch
}

export function createWatching(clock: Clock, keepsStatistics: boolean): Watching {
  const feed = new EventFeed(crypto.randomUUID().slice(0, 8))
  const runs = createRunFigures()
  const runCounters = new RunCounters()
  const lastTold = new Map<string, number>()
  const tell = (run: Run) => {
    lastTold.set(run.id, performance.now())
    feed.add('run', { ...run })
  }
  return {
    statistics: keepsStatistics ? new ReadStatistics(() => clock.now() / 1_000) : null,
    feed,
    samples: new RequestSamples(),
    runs,
    runCounters,
    runWatch: {
      began(run) {
        runs.began(run)
        tell(run)
      },
      wentOn(run) {
        if (performance.now() - (lastTold.get(run.id) ?? 0) > TELL_EVERY_MS) tell(run)
      },
      ended(run) {
        runs.ended(run)
        runCounters.ended(run)
        tell(run)
        lastTold.delete(run.id)
      },
    },
  }
}

export interface InsightOptions {
  readonly watching: Watching
  readonly files: readonly string[]
  readonly dataDir: string
  readonly mode: ProcessFacts['mode']
  readonly processes: number
  readonly stores: Stores
  readonly recordedKeys: Pick<RecordedKeys, 'couldSample'>
  /** How long computed values stay in history; null: for ever. */
  readonly historyKeep: Micros | null
  readonly rowsKeep: Micros | null
  readonly health: () => Readonly<Record<string, string>>
  readonly trainingSets: Insight['trainingSets']
  readonly definitions: CurrentDefinitions
  readonly activeKeys: ActiveKeys
  readonly schedule: Schedule
  readonly clock: Clock
  readonly log: Logger
  /** Told of what changed. */
  readonly onChange?: (change: ChangeRecord) => void
}

export interface OwnInsight extends Insight {
  readonly changes: WritableChangeBook
  /** Begins to keep. */
  start(version: string): void
  stop(): Promise<void>
}

export function createInsight(options: InsightOptions): OwnInsight {
  const { watching, stores, definitions, activeKeys, schedule, clock, log } = options
  const { statistics, feed, samples, runs } = watching
  const facts = factsOf(options)
  const changes = createChangeBook({ store: stores.changes, admin: stores.admin, facts, clock, log, onNew: options.onChange })
  const look = createSourceLook(stores.sourceEngine, stores.changes)
  const shared = statistics && stores.figures && sharedFigures(options, statistics, stores.figures)
  let freshened = Number.NEGATIVE_INFINITY
  let freshening: Promise<unknown> = Promise.resolve()
  /** Who asks while somebody reads what is new waits for the same. */
  const readWhatIsNew = () => {
    if (performance.now() - freshened < FRESHEN_MS) return freshening
    freshened = performance.now()
    freshening = Promise.all([changes.freshen(), shared?.freshen(), runs.load(stores.admin).catch(() => undefined)])
    return freshening
  }
  let opening: Promise<void> | undefined
  /** Right after the start too, the versions that are served are known. */
  const freshen = async () => {
    await opening
    await readWhatIsNew()
  }
  return {
    covered: () => shared?.reads.processes ?? 1,
    observer: statistics && new ReadObserver({ statistics, feed, samples, clock }),
    statistics: shared?.reads ?? statistics,
    samples,
    feed,
    facts,
    runs,
    changes,
    freshen,
    nextDueAt: (feature) => nextDueAt(feature, clock.now(), schedule),
    keysInUse: (feature: Feature) => activeKeys.count(feature),
    sourcesOf: (feature) => definitions.live().ingest.sourcesOf(feature),
    sourceFacts: () => look.facts(definitions.registry().sources.values()),
    rowsOfKey: (entity, key, asOf) => look.rowsOfKey(definitions.registry().sources.values(), entity, key, asOf),
    trainingSets: options.trainingSets,
    storage: createStorageLook({
      offline: stores.offlineFigures,
      online: stores.onlineFigures,
      historyIn: stores.historyIn,
      registry: definitions.registry,
      couldSample: options.recordedKeys.couldSample,
      keep: options.historyKeep,
      rows: { growth: stores.sourceFigures, rowsKeep: options.rowsKeep },
      now: clock.now,
    }),
    async stores() {
      return storeStates(options)
    },
    start(version) {
      statistics?.start()
      shared?.start()
      opening = readWhatIsNew()
        .then(() => changes.open(definitions.registry(), version))
        .catch((error) => log.warn('what changed is not kept', { error }))
    },
    async stop() {
      statistics?.stop()
      await shared?.stop()
      await opening
      await changes.close()
    },
  }
}

function sharedFigures({ definitions, clock, log }: InsightOptions, statistics: ReadStatistics, store: FigureStore): SharedFigures {
  const featureShape = (name: string) => {
    const feature = definitions.registry().features.get(name)
    return feature && shapeOf(feature)
  }
  return createSharedFigures({ statistics, store, shapeOf: featureShape, nowMs: () => clock.now() / 1_000, log })
}

function factsOf({ files, mode, processes, clock }: InsightOptions): ProcessFacts {
  const folder = dirname(files[0] ?? process.cwd())
  return { mode, project: basename(folder), folder, startedAt: clock.now(), processes }
}

function storeStates({ health, dataDir }: InsightOptions): StoreState[] {
  return Object.entries(health()).map(([technology, state]) => ({
    role: technology === 'memory' || technology === 'redis' ? 'online' : 'offline',
    technology,
    state: isOk(state) ? 'ok' : state,
    size_bytes: technology === 'duckdb' ? sizeOf(join(dataDir, DATA_FILE)) : null,
    keys: null,
  }))
}

function sizeOf(file: string): number | null {
  return statSync(file, { throwIfNoEntry: false })?.size ?? null
}
