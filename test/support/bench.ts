import { createLiveDefinitions, type LiveDefinitions, type LiveDefinitionsDependencies } from '../../src/app/live-definitions.ts'
import { createRefilling, rewarm } from '../../src/app/online-recovery.ts'
import { recalledFrom } from '../../src/app/recalled-store.ts'
import { withLatestOnly } from '../../src/app/recorded-keys.ts'
import { createStartRecovery, type StartRecovery } from '../../src/app/start-recovery.ts'
import { parseDuration } from '../../src/definition/duration.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import { fieldOf } from '../../src/definition/feature-version.ts'
import type { Computation, Entity, Feature, FeatureSet, KeyType, Refresh, Registry, ValueType } from '../../src/definition/model.ts'
import type { FabraError } from '../../src/errors.ts'
import { createIngest, type Ingest, type IngestKeys } from '../../src/ingest/ingest.ts'
import type { Logger } from '../../src/observability/logger.ts'
import { createSharedKeys, type SharedKeys } from '../../src/refresh/active-key-sync.ts'
import { createActiveKeys } from '../../src/refresh/active-keys.ts'
import { createLeaseKeeper } from '../../src/refresh/lease-keeper.ts'
import { createRuns } from '../../src/refresh/runs.ts'
import { createSchedule } from '../../src/refresh/schedule.ts'
import { createScheduler, type Scheduler } from '../../src/refresh/scheduler.ts'
import { createPartReader } from '../../src/serving/feature-reader.ts'
import type { Patience } from '../../src/serving/last-known.ts'
import { planRow } from '../../src/serving/plan.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbSourceRows } from '../../src/store/duckdb/sources/source-rows.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import { createMemoryOnlineStore } from '../../src/store/memory/online-store.ts'
import type { ActiveKeyStore } from '../../src/store/ports/active-key-store.ts'
import type { ClaimStore } from '../../src/store/ports/claim-store.ts'
import type { LeaseStore } from '../../src/store/ports/lease-store.ts'
import type { OfflineStore } from '../../src/store/ports/offline-store.ts'
import type { OnlineStore } from '../../src/store/ports/online-store.ts'
import type { SourceRows } from '../../src/store/ports/source-rows.ts'
import { createRecorder } from '../../src/store/recording/recorder.ts'
import { type MovableClock, movableClock } from './clock.ts'
import { PATIENT_CLAIMS, PATIENT_HISTORY, REQUEST_TIMEOUT_MS } from './patience.ts'
import { isProductionMode, productionStores } from './production-mode.ts'
import { createProgramme, type Programme } from './programmable-executor.ts'
import { feature } from './stored-definitions.ts'
import { until } from './until.ts'

/** A feature as a test writes it. Default: `json`, refreshed every five minutes, computed by SQL. */
export interface WrittenFeature {
  readonly entity?: string
  readonly kind?: Computation['kind']
  readonly type?: ValueType
  readonly columns?: Readonly<Record<string, ValueType>>
  /** `0`: realtime. Cron strings have spaces. */
  readonly refresh?: 0 | string
  readonly maxStaleness?: string
  readonly timeout?: string
  readonly batch?: number
  readonly keepWarm?: string
  readonly default?: unknown
  readonly inputs?: Readonly<Record<string, ValueType>>
  readonly history?: Feature['history']
  /** The share of its keys that are recorded; all where it is left out. */
  readonly sampled?: number
  readonly fingerprint?: string
}

export interface WrittenBench {
  /** Default: User, keyed by user_id. */
  readonly entities?: Readonly<Record<string, Readonly<Record<string, KeyType>>>>
  readonly features: Readonly<Record<string, WrittenFeature>>
  readonly featureSets?: Readonly<Record<string, readonly string[]>>
  /** Keys that an entity lists, asked at each refresh. */
  readonly listedKeys?: (entity: string) => readonly string[] | undefined
  /** Of one computation in a request, of features without a timeout. */
  readonly requestTimeoutMs?: number
  /** How long history may take in place of the online store. Default: longer than a busy machine does. */
  readonly historyPatience?: Patience
  /** Stands between the engine and the stores, to make them fail. */
  readonly wrapOnline?: (store: OnlineStore) => OnlineStore
  readonly wrapOffline?: (store: OfflineStore) => OfflineStore
  /** What history has comes back behind the start, when the test runs `recovery`, however short it is. Default: before it. */
  readonly recoversBehind?: boolean
  /** Stores that this process shares with others. Default: memory of its own. */
  readonly openShared?: () => Promise<BenchShared>
}

export interface BenchShared {
  readonly online: OnlineStore
  readonly leases: LeaseStore
  readonly activeKeys: ActiveKeyStore
  readonly claims: ClaimStore
}

/** One value as it is served. `value` is parsed; undefined stands for missing and error. */
export interface Served {
  readonly value: unknown
  readonly status: string
  readonly servedFrom: string | null
  readonly ageMs: number | null
  readonly eventAt: number | null
  readonly oldestInputAt: number | null
  readonly error: FabraError | undefined
}

export interface Bench {
  readonly clock: MovableClock
  readonly programme: Programme
  readonly registry: Registry
  readonly parts: () => LiveDefinitionsDependencies
  readonly version: () => LiveDefinitions
  /** Of the process that runs. */
  readonly recovery: () => StartRecovery
  readonly scheduler: () => Scheduler
  readonly ingest: () => Ingest
  /** Keys told to other processes, when there are any. */
  readonly shared: () => SharedKeys | undefined
  readonly log: readonly string[]
  read(name: string, key?: string | Readonly<Record<string, unknown>>, maxAge?: string): Promise<Served>
  readRows(names: readonly string[], rows: readonly Readonly<Record<string, unknown>>[], maxAge?: string): Promise<Served[][]>
  /** A write from outside: a pushed value, or a tombstone (`undefined`). */
  push(name: string, key: string, value: unknown, eventAt?: number): Promise<void>
  /** Resolves when nothing computes any more. */
  idle(): Promise<void>
  /** Resolves when all that was asked has come as far as it can by itself: what is computed waits in the programme. */
  settle(): Promise<void>
  /** Other definitions take the place of these, in the same process. */
  reload(features: WrittenBench['features']): Promise<void>
  /** The process ends in order, and another starts over the same history. */
  restart(): Promise<void>
  close(): Promise<void>
}

/**
 * The real engine, memory store, history and recorder, with a clock that the test moves and user code that the test plays.
 * @param shared Stores that many benches use one after the other; give their features fingerprints of their own.
 */
export async function openBench(written: WrittenBench, shared?: BenchStores): Promise<Bench> {
  let registry = registryOf(written)
  const clock = movableClock()
  const stores = shared ?? (await openBenchStores())
  const { offline, sourceRows } = stores
  const log: string[] = []
  const reader = createPartReader(
    () => process.version.serving,
    () => {
      throw new Error('The bench has no past.')
    },
  )
  const programme = createProgramme(() => reader)
  let process = await start(written, { registry, clock, offline, log, programme, sourceRows, online: stores.online })

  const bench: Bench = {
    clock,
    programme,
    get registry() {
      return registry
    },
    log,
    parts: () => process.parts,
    version: () => process.version,
    recovery: () => process.recovery,
    scheduler: () => process.scheduler,
    ingest: () => process.ingest,
    shared: () => process.shared,
    async read(name, key = 'u1', maxAge) {
      const { serving } = process.version
      const row = typeof key === 'string' ? { user_id: key } : key
      const [served] = await bench.readRows([name], [row], maxAge)
      const plan = serving.plan([name])
      if (!served?.[0]) throw new Error('No result.')
      if (plan.refs.length === 1) return served[0]
      const value = Object.fromEntries(plan.refs.map((ref, i) => [ref.feature.columns[ref.column]?.name, served[i]?.value]))
      return { ...served[0], value: served[0].value === undefined ? undefined : value }
    },
    async readRows(names, rows, maxAge) {
      const { serving } = process.version
      const plan = serving.plan(names)
      const options = { maxAge: maxAge === undefined ? null : (parseDuration(maxAge) ?? null) }
      const results = await serving.engine.read(
        plan,
        rows.map((row) => planRow(plan, row)),
        options,
      )
      return results.map((result) =>
        result.sources.map((source, i) => {
          const status = result.statuses?.[i] ?? 'fresh'
          return {
            value: status === 'missing' || status === 'error' ? undefined : JSON.parse(result.values[i] ?? ''),
            status,
            servedFrom: (result.servedFrom ? result.servedFrom[i] : 'online') ?? null,
            ageMs: result.freshnessMs[i] ?? null,
            eventAt: source.eventAt,
            oldestInputAt: source.oldestInputAt,
            error: result.errors?.[i],
          }
        }),
      )
    },
    async push(name, key, value, eventAt = clock.now()) {
      const feature = registry.features.get(name)
      const entity = feature && registry.entities.get(feature.entity)
      if (!feature || !entity) throw new Error(`No feature ${name}.`)
      const texts = value === undefined ? null : [JSON.stringify(value)]
      const pushed = { texts, eventAt, availableAt: clock.now(), origin: 'pushed' as const, oldestInputAt: null }
      await process.parts.recorder.record([{ feature, entity, key: entityKey(entity, [key]), value: pushed }], { durable: false })
    },
    idle: () => process.version.serving.engine.idle(),
    async settle() {
      const { online } = process.parts
      for (let i = 0; i < 3; i++) {
        // What was asked of a store before this is answered before this.
        if (stores.outlives) await until('the stores', 10_000, () => answered(online))
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
    async reload(features) {
      const before = registry
      registry = registryOf({ ...written, features })
      process.version = await versionOf(process.parts, registry, before, programme)
    },
    async restart() {
      await process.end()
      process = await start(written, { registry, clock, offline, log, programme, sourceRows, online: stores.online })
    },
    async close() {
      await process.end()
      if (!shared) await stores.close()
    },
  }
  return bench
}

export interface BenchStores {
  readonly offline: OfflineStore
  readonly sourceRows: SourceRows
  /** Empty in memory; in production mode what was put there stays. */
  readonly online: () => Promise<OnlineStore>
  /** Latest values are kept by a store of their own, which a restart of the process does not empty. */
  readonly outlives: boolean
  /** Latest values go. */
  emptyOnline(): Promise<void>
  close(): Promise<void>
}

/** The stores of a laptop, or of production where the tests run in that mode. */
export function openBenchStores(): Promise<BenchStores> {
  return isProductionMode ? productionStores() : laptopStores()
}

/** Whether reads and writes were answered; refused where too many wait already. */
async function answered(online: OnlineStore): Promise<true | undefined> {
  try {
    await Promise.all([online.read('User', ['nobody'], ['none@0']), online.filled(['none@0'])])
    return true
  } catch {
    return undefined
  }
}

async function laptopStores(): Promise<BenchStores> {
  const database = await openDatabase({ file: ':memory:' })
  return {
    offline: createDuckdbOfflineStore(database),
    sourceRows: createDuckdbSourceRows(database),
    online: async () => createMemoryOnlineStore(),
    outlives: false,
    emptyOnline: async () => undefined,
    close: () => database.close(),
  }
}

interface Kept {
  readonly online: () => Promise<OnlineStore>
  readonly registry: Registry
  readonly clock: MovableClock
  readonly offline: OfflineStore
  readonly log: string[]
  readonly programme: Programme
  readonly sourceRows: SourceRows
}

async function start(
  written: WrittenBench,
  { registry, clock, offline: history, log: lines, programme, sourceRows, online: openOnline }: Kept,
) {
  const common = await written.openShared?.()
  const offline = withLatestOnly((written.wrapOffline ?? ((store) => store))(history), (field) => SAMPLED.get(field))
  const store = (written.wrapOnline ?? ((store) => store))(common?.online ?? (await openOnline()))
  const recalled = written.recoversBehind ? recalledFrom({ online: store, offline }) : null
  const online = recalled ?? store
  const say = (message: string) => void lines.push(message)
  const log: Logger = { debug: () => undefined, info: () => undefined, warn: say, error: say }
  const recorder = await createRecorder({ online, offline, clock, onProblem: say })
  const activeKeys = createActiveKeys(clock, { collect: common !== undefined })
  const schedule = createSchedule()
  const shared = {
    online,
    recalled,
    offline,
    keptSince: async () => new Map(),
    recorder,
    activeKeys,
    claims: common?.claims ?? null,
    limits: { claims: PATIENT_CLAIMS, history: written.historyPatience ?? PATIENT_HISTORY },
    seenSources: null,
    schedule,
    runs: createRuns(),
    clock,
    requestTimeoutMs: written.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    log,
  }
  // What only the executor needs; the programme takes its place.
  const parts = { ...shared, runtime: unused('runtime'), sourceEngine: unused('sourceStore') } as LiveDefinitionsDependencies
  const recovery = createStartRecovery(parts, written.recoversBehind ? 0 : Number.MAX_SAFE_INTEGER)
  const running = {
    parts,
    recovery,
    version: await versionOf(parts, registry, recovery, programme),
    scheduler: unused('scheduler') as Scheduler,
    ingest: unused('ingest') as Ingest,
    shared: undefined as SharedKeys | undefined,
    end,
  }
  const version = () => running.version.ingest
  const keysInUse: IngestKeys = {
    ...activeKeys,
    pull: (feature) => running.shared?.pull(feature),
    drop(feature, key) {
      activeKeys.drop(feature, key)
      running.shared?.drop(feature, key)
    },
  }
  running.ingest = createIngest({ online, offline, recorder, sourceRows, version, keysInUse, sharedWithinMs: null, clock, log })
  if (common) {
    running.shared = createSharedKeys({
      store: common.activeKeys,
      online,
      activeKeys,
      erasures: recorder.erasures,
      registry: () => running.version.serving.registry,
      onForgotten: (entity, key, erasedAt) => running.ingest.applyErasure(entity, key, erasedAt),
      clock,
      log,
    })
  }
  const leases = createLeaseKeeper({
    leases: common?.leases ?? createMemoryLeaseStore(() => performance.now()),
    nowMs: () => performance.now(),
    log,
  })
  running.scheduler = createScheduler({
    features: () => running.version.serving.registry.features.values(),
    refresh: (feature, keys, before) => running.version.refresher.run(feature, keys, { reason: 'schedule', before }),
    activeKeys,
    mayRefresh: (feature) => leases.hold(fieldOf(feature)),
    pull: async (feature) => running.shared?.pull(feature),
    async listedKeys(name) {
      const entity = registry.entities.get(name)
      const listed = written.listedKeys?.(name)
      const keys = entity && listed?.map((key) => entityKey(entity, [key]))
      return keys && { keys, skipped: { count: 0, why: null } }
    },
    onUnlisted: () => undefined,
    schedule,
    clock,
    log,
  })
  const refilling = createRefilling(parts, () => running.version.serving.registry, running.ingest.changed)
  if (common) refilling.start()
  async function end() {
    await recovery.stop()
    await refilling.stop()
    await running.scheduler.stop()
    await running.ingest.close()
    await running.version.serving.engine.idle()
    await recorder.close()
    await leases.close()
    await online.close()
  }
  return running
}

async function versionOf(
  parts: LiveDefinitionsDependencies,
  registry: Registry,
  before: Registry | StartRecovery,
  programme: Programme,
): Promise<LiveDefinitions> {
  const definitions = { registry, problems: [], warnings: [], get: () => undefined }
  const version = createLiveDefinitions(parts, definitions, () => programme.executor)
  if ('begin' in before) await before.begin(registry)
  else await rewarm(parts, registry, before)
  return version
}

function unused(name: string): never {
  return new Proxy({}, { get: (_, property) => (property === 'then' ? undefined : unusedFailure(name)) }) as never
}

function unusedFailure(name: string): never {
  throw new Error(`The bench has no ${name}.`)
}

const undescribed = { description: null, owner: null, tags: [], location: null } as const

export function registryOf(written: WrittenBench): Registry {
  const entities = Object.entries(written.entities ?? { User: { user_id: 'string' as const } }).map(([name, columns]): [string, Entity] => [
    name,
    { ...undescribed, name, key: Object.entries(columns).map(([column, type]) => ({ name: column, type })), keys: null },
  ])
  const features = Object.entries(written.features).map(([name, facts]): [string, Feature] => [name, featureOf(name, facts)])
  const sets = Object.entries(written.featureSets ?? {}).map(([name, members]): [string, FeatureSet] => [
    name,
    { ...undescribed, name, features: members },
  ])
  return { entities: new Map(entities), sources: new Map(), features: new Map(features), featureSets: new Map(sets) }
}

/** By field, for the latest values that history does not know. */
const SAMPLED = new Map<string, Feature>()

function featureOf(name: string, written: WrittenFeature): Feature {
  const made = madeOf(name, written)
  if (written.sampled === undefined) {
    // Another bench may have had a feature of this name.
    SAMPLED.delete(fieldOf(made))
    return made
  }
  const sampled = { ...made, sampled: { share: written.sampled, from: 0 } }
  SAMPLED.set(fieldOf(sampled), sampled)
  return sampled
}

function madeOf(name: string, written: WrittenFeature): Feature {
  const kind = written.kind ?? 'sql'
  const columns = written.columns
    ? Object.entries(written.columns).map(([column, type]) => ({ name: column, type }))
    : [{ name: null, type: written.type ?? ('json' as const) }]
  const defaults = columns.map((column) =>
    JSON.stringify(column.name === null ? written.default : (written.default as Record<string, unknown> | undefined)?.[column.name]),
  )
  return feature({
    name,
    entity: written.entity ?? 'User',
    computation: kind === 'sql' ? { kind, sql: 'SELECT 1' } : { kind },
    columns,
    refresh: kind === 'pushed' ? null : refreshOf(written.refresh ?? '5m'),
    maxStaleness: micros(written.maxStaleness),
    lookBack: micros(written.maxStaleness),
    defaults: written.default === undefined ? null : defaults,
    timeout: micros(written.timeout),
    batch: written.batch ?? null,
    keepWarm: micros(written.keepWarm),
    keep: null,
    history: written.history ?? 'changes',
    inputs: written.inputs ?? {},
    fingerprint: written.fingerprint ?? Bun.hash(name).toString(16).padStart(16, '0'),
  })
}

function refreshOf(written: 0 | string): Refresh {
  if (written === 0) return { kind: 'realtime' }
  return written.includes(' ') ? { kind: 'cron', pattern: written } : { kind: 'interval', every: micros(written) ?? 0 }
}

function micros(duration: string | undefined): number | null {
  if (duration === undefined) return null
  const parsed = parseDuration(duration)
  if (parsed === undefined) throw new Error(`Not a duration: ${duration}`)
  return parsed
}
