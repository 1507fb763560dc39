import { join } from 'node:path'
import { createExecutor, createLiveDefinitions, type LiveDefinitionsDependencies } from '../../src/app/live-definitions.ts'
import type { Micros } from '../../src/clock.ts'
import type { Computed, ComputeOptions, Executor } from '../../src/compute/executor.ts'
import { createSqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { Entity, Feature, Registry } from '../../src/definition/model.ts'
import { parseTime } from '../../src/definition/time.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { createActiveKeys } from '../../src/refresh/active-keys.ts'
import { createRuns } from '../../src/refresh/runs.ts'
import { createSchedule } from '../../src/refresh/schedule.ts'
import { createRuntime } from '../../src/runtime/runtime.ts'
import type { Serving } from '../../src/serving/serving.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbHistoryRemoval } from '../../src/store/duckdb/history/history-removal.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { createMemoryOnlineStore } from '../../src/store/memory/online-store.ts'
import type { HistoryRemoval } from '../../src/store/ports/history-removal.ts'
import type { SourceEngine } from '../../src/store/ports/source-engine.ts'
import { createRecorder, type Recorder } from '../../src/store/recording/recorder.ts'
import { type MovableClock, movableClock } from './clock.ts'
import { REQUEST_TIMEOUT_MS } from './patience.ts'
import { projectFolder } from './project-folder.ts'

/** A user's project over real stores and real workers, asked for any time: what training and backfill will call. */
export interface PastBench extends AsyncDisposable {
  readonly clock: MovableClock
  readonly registry: Registry
  readonly serving: Serving
  readonly executor: Executor
  readonly recorder: Recorder
  readonly sourceEngine: SourceEngine
  readonly removal: HistoryRemoval
  /** What users' functions and their failures logged. */
  readonly lines: string[]
  ask(feature: string, rows: readonly PastRow[], options?: Partial<ComputeOptions>): Promise<readonly Computed[]>
  /** Records a value as a push would. */
  push(feature: string, key: readonly unknown[], value: { text: string | null; eventAt: string; availableAt?: string }): Promise<void>
}

export type PastRow = readonly [key: unknown, asOf: string | Micros, inputs?: Readonly<Record<string, unknown>>]

export async function pastBench(files: Readonly<Record<string, string>>): Promise<PastBench> {
  const folder = projectFolder(files)
  const lines: string[] = []
  const write = (message: string, fields?: object) => void lines.push(`${message} ${JSON.stringify(fields ?? {})}`)
  const log = { ...silentLogger, info: write, warn: write, error: write }
  const clock = movableClock('2026-06-01T00:00:00Z')
  const runtime = createRuntime({ files: [join(folder.path, 'features.ts')], log: (level, message, fields) => log[level](message, fields) })
  const loaded = await runtime.load()
  if (loaded.problems.length > 0) throw new Error(JSON.stringify(loaded.problems))
  const database = await openDatabase({ file: ':memory:', threads: 1 })
  const [sourceEngine, offline, online] = [
    createDuckdbSourceEngine(database),
    createDuckdbOfflineStore(database),
    createMemoryOnlineStore(),
  ]
  const removal = createDuckdbHistoryRemoval(database)
  const failures = await sourceEngine.load([...loaded.registry.sources.values()].map((source) => ({ source, keyTypes: {} })))
  if (failures.length > 0) throw new Error(JSON.stringify(failures))
  const definitions = await createSqlDefinitions(loaded.registry, sourceEngine)
  if (definitions.problems.length > 0) throw new Error(JSON.stringify(definitions.problems))
  const recorder = await createRecorder({ online, offline, clock, onProblem: (message, error) => log.error(message, { error }) })
  const stores = { runtime, sourceEngine, offline, online, recorder, clock, log }
  const parts: LiveDefinitionsDependencies = {
    ...stores,
    keptSince: removal.keptSince,
    activeKeys: createActiveKeys(clock),
    claims: null,
    seenSources: null,
    schedule: createSchedule(),
    runs: createRuns(),
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  }
  const made: { executor?: Executor } = {}
  const { serving } = createLiveDefinitions(parts, definitions, (...given) => {
    made.executor = createExecutor(...given)
    return made.executor
  })
  loaded.activate()
  const { registry } = definitions
  const executor = made.executor as Executor
  const find = (name: string): { feature: Feature; entity: Entity } => {
    const feature = registry.features.get(name) as Feature
    return { feature, entity: registry.entities.get(feature.entity) as Entity }
  }
  const keyOf = (entity: Entity, key: unknown) => entityKey(entity, Array.isArray(key) ? key : [key])
  return {
    clock,
    registry,
    serving,
    executor,
    recorder,
    sourceEngine,
    removal,
    lines,
    async ask(name, rows, options) {
      const { feature, entity } = find(name)
      const questions = rows.map(([key, asOf, inputs]) => ({
        key: keyOf(entity, key),
        asOf: typeof asOf === 'number' ? asOf : parseTime(asOf),
        inputs,
      }))
      const signal = new AbortController().signal
      return [...(await executor.compute(feature, questions, { signal, timeoutMs: 30_000, mode: 'past', chain: [], ...options }))]
    },
    async push(name, key, { text, eventAt, availableAt = eventAt }) {
      const { feature, entity } = find(name)
      const value = { eventAt: parseTime(eventAt), availableAt: parseTime(availableAt), origin: 'pushed' as const, oldestInputAt: null }
      await recorder.record([{ feature, entity, key: keyOf(entity, key), value: { ...value, texts: text === null ? null : [text] } }], {
        durable: true,
      })
    },
    async [Symbol.asyncDispose]() {
      await serving.engine.idle()
      await runtime.close()
      await recorder.close()
      await online.close()
      await offline.close()
      folder[Symbol.dispose]()
    },
  }
}
