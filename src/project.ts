/** The user's definitions over open stores: everything but HTTP. */
import { join } from 'node:path'
import type { Clock, Micros } from './clock.ts'
import { type Answered, createComputations } from './compute/computations.ts'
import type { Executor } from './compute/executor.ts'
import { createPastReader } from './compute/past-reader.ts'
import { createDb } from './compute/sql-db.ts'
import { createSqlDefinitions, type SqlDefinitions } from './compute/sql-definitions.ts'
import { createSqlExecutor } from './compute/sql-executor.ts'
import { createWorkerExecutor } from './compute/worker-executor.ts'
import { decodeKey } from './definition/entity-key.ts'
import type { Feature, KeyType, Problem, Registry } from './definition/model.ts'
import { InvalidDefinitions } from './definition/problems.ts'
import { FabraError } from './errors.ts'
import type { Logger } from './observability/logger.ts'
import { createActiveKeys } from './refresh/active-keys.ts'
import { createRefresher } from './refresh/refresher.ts'
import { createRuns } from './refresh/runs.ts'
import { createSchedule, cronProblem } from './refresh/schedule.ts'
import { createScheduler } from './refresh/scheduler.ts'
import { createRuntime } from './runtime/runtime.ts'
import { createEngine } from './serving/engine.ts'
import { createPartReader } from './serving/part-reader.ts'
import { createServing, type Serving } from './serving/serving.ts'
import { openDatabase } from './store/duckdb/database.ts'
import { createDuckdbOfflineStore } from './store/duckdb/offline-store.ts'
import { createDuckdbSourceStore } from './store/duckdb/source-store.ts'
import { fromHistoryText } from './store/history-text.ts'
import { createMemoryOnlineStore } from './store/memory/online-store.ts'
import type { HistoryRow } from './store/offline-store.ts'
import type { StoredValue } from './store/online-store.ts'
import { createRecorder, fieldOf, type RecordedWrite } from './store/recorder.ts'
import type { SourceStore } from './store/source-store.ts'

/** Keys per feature that come back into memory at start. */
const MAX_REWARMED = 1_000_000

export interface ProjectOptions {
  readonly files: readonly string[]
  readonly dataDir: string
  readonly clock: Clock
  readonly clockOffset: Micros
  readonly log: Logger
}

export interface Project {
  readonly sourceStore: SourceStore
  serving(): Serving
  /** Store → `ok`, or what is wrong with it. */
  stores(): Readonly<Record<string, string>>
  /** What `fabra check` mentions: tables no source declares, sources without a time. */
  readonly warnings: readonly Problem[]
  /** Begin refreshing. */
  start(): void
  close(): Promise<void>
}

/** @throws InvalidDefinitions with every problem found; FabraError data_dir_locked, io_failed */
export async function openProject(options: ProjectOptions): Promise<Project> {
  const { log } = options
  const runtime = createRuntime({
    files: options.files,
    clockOffset: options.clockOffset,
    log: (level, message, fields) => log[level](message, fields),
  })
  const opening = openDatabase({ file: join(options.dataDir, 'fabra.duckdb') })
  opening.catch(() => undefined)
  try {
    const loaded = await runtime.load()
    if (loaded.problems.length > 0) {
      await opening.then((database) => database.close()).catch(() => undefined)
      throw new InvalidDefinitions(loaded.problems)
    }
    const database = await opening
    const sourceStore = createDuckdbSourceStore(database)
    const offline = createDuckdbOfflineStore(database)
    try {
      const definitions = await checkedDefinitions(loaded.registry, sourceStore)
      loaded.activate()
      return await assemble({ options, runtime, sourceStore, offline, definitions })
    } catch (error) {
      await database.close()
      throw error
    }
  } catch (error) {
    await runtime.close()
    throw error
  }
}

/** What is wrong with definition files, found without serving and without touching the data folder. */
export async function checkProject(
  files: readonly string[],
): Promise<{ readonly registry: Registry; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] }> {
  const runtime = createRuntime({ files, log: () => undefined })
  try {
    const { registry, problems } = await runtime.load()
    if (problems.length > 0) return { registry, problems, warnings: [] }
    const database = await openDatabase({ file: ':memory:' })
    try {
      const definitions = await checkedDefinitions(registry, createDuckdbSourceStore(database))
      return { registry: definitions.registry, problems: [], warnings: definitions.warnings }
    } catch (error) {
      if (error instanceof InvalidDefinitions) return { registry, problems: error.problems, warnings: [] }
      throw error
    } finally {
      await database.close()
    }
  } finally {
    await runtime.close()
  }
}

/** Sources loaded, SQL bound, cron patterns read: every problem at once. */
async function checkedDefinitions(registry: Registry, sourceStore: SourceStore): Promise<SqlDefinitions> {
  const keyTypes = keyColumnTypes(registry)
  const failures = await sourceStore.load([...registry.sources.values()].map((source) => ({ source, keyTypes })))
  const problems: Problem[] = failures.map((failure) => ({
    place: registry.sources.get(failure.source)?.place ?? null,
    subject: `source "${failure.source}"`,
    message: failure.message,
    hint: failure.hint,
  }))
  for (const feature of registry.features.values()) {
    if (feature.refresh?.kind !== 'cron') continue
    const wrong = cronProblem(feature.refresh.pattern)
    if (wrong === undefined) continue
    const message = `refresh "${feature.refresh.pattern}" is not a cron pattern: ${wrong}.`
    problems.push({
      place: feature.place,
      subject: `feature "${feature.name}"`,
      message,
      hint: 'Write minute, hour, day, month and weekday: "0 6 * * *".',
    })
  }
  if (failures.length > 0) throw new InvalidDefinitions(problems)
  const definitions = await createSqlDefinitions(registry, sourceStore)
  problems.push(...definitions.problems)
  if (problems.length > 0) throw new InvalidDefinitions(problems)
  return definitions
}

/** Columns of files that are named as a key column load with the key's type. */
function keyColumnTypes(registry: Registry): Record<string, KeyType> {
  const types: Record<string, KeyType> = {}
  for (const entity of registry.entities.values()) for (const column of entity.key) types[column.name] = column.type
  return types
}

interface Parts {
  readonly options: ProjectOptions
  readonly runtime: ReturnType<typeof createRuntime>
  readonly sourceStore: SourceStore
  readonly offline: ReturnType<typeof createDuckdbOfflineStore>
  readonly definitions: SqlDefinitions
}

async function assemble({ options, runtime, sourceStore, offline, definitions }: Parts): Promise<Project> {
  const { clock, log } = options
  const { registry } = definitions
  const online = createMemoryOnlineStore()
  const recorder = await createRecorder({ online, offline, clock, onProblem: (message, error) => log.error(message, { error }) })
  const activeKeys = createActiveKeys(clock)
  const schedule = createSchedule()
  const runs = createRuns()
  const db = createDb({ sourceStore, registry })
  const sqlExecutor = createSqlExecutor({ sourceStore, definitions })
  let serving: Serving
  const executor: Executor = {
    compute: (feature, rows, at) => (feature.computation.kind === 'sql' ? sqlExecutor : workerExecutor).compute(feature, rows, at),
  }
  const pastReader = createPastReader({
    executor,
    recomputable: (feature) => (feature.computation.kind === 'sql' ? definitions.get(feature.name)?.past === null : replays(feature)),
    recordedAt: async (feature, key, asOf) => {
      const { name, fingerprint } = feature
      const rows = await offline.history({ feature: name, fingerprint, entityKey: key.encoded, from: null, to: asOf, limit: 100 })
      const row = rows.find((candidate) => candidate.availableAt <= asOf)
      return row && { texts: fromHistoryText(feature, row.value), eventAt: row.eventAt }
    },
  })
  const reader = createPartReader(
    () => serving,
    () => pastReader,
  )
  const workerExecutor = createWorkerExecutor({ runtime, db, reader, log: (level, message, fields) => log[level](message, fields) })
  const computations = createComputations({
    executor,
    clock,
    random: Math.random,
    async onComputed(feature, answers) {
      await recorder.record(writes(registry, feature, answers, clock), { durable: false })
    },
  })
  const engine = createEngine({
    online,
    computations,
    clock,
    lastKnown: async (feature, key) => {
      const [row] = await offline.latestOf(feature.name, feature.fingerprint, [key.encoded])
      return row && storedValue(feature, row)
    },
    onRead: (feature, key, at) => activeKeys.touch(feature, key, at),
  })
  serving = createServing({ registry, engine, nextFiring: schedule.nextFiring })
  await rewarm()
  const refresher = createRefresher({ computations, online, clock, runs, log })
  const scheduler = createScheduler({
    features: () => registry.features.values(),
    refresher,
    activeKeys,
    listedKeys: async () => undefined,
    schedule,
    clock,
    log,
  })

  /** Latest values come back from history, with the times they had. */
  async function rewarm(): Promise<void> {
    for (const feature of registry.features.values()) {
      const entity = registry.entities.get(feature.entity)
      if (!entity || feature.history === 'off') continue
      for await (const rows of offline.latest(feature.name, feature.fingerprint, { before: clock.now(), limit: MAX_REWARMED })) {
        await online.write(
          rows.map((row) => ({ entity: entity.name, key: row.entityKey, field: fieldOf(feature), value: storedValue(feature, row) })),
        )
        for (const row of rows) activeKeys.touch(feature, decodeKey(entity, row.entityKey), row.eventAt)
      }
    }
  }

  return {
    sourceStore,
    serving: () => serving,
    stores: () => ({ duckdb: 'ok', memory: 'ok' }),
    warnings: definitions.warnings,
    start: () => scheduler.start(),
    async close() {
      await scheduler.stop()
      await engine.idle()
      await runtime.close()
      await recorder.close()
      await online.close()
      await offline.close()
    },
  }
}

/** Functions that may run again for any past time: those whose every answer is made in the request anyway, and those that say so. */
function replays(feature: Feature): boolean {
  return feature.computation.kind === 'function' && (feature.refresh?.kind === 'realtime' || feature.replay)
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

function storedValue(feature: Feature, row: HistoryRow): StoredValue {
  return {
    texts: fromHistoryText(feature, row.value),
    eventAt: row.eventAt,
    availableAt: row.availableAt,
    token: row.seq,
    origin: row.origin,
    oldestInputAt: null,
  }
}
