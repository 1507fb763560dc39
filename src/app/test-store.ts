/** Features with the rows of a test in the place of their sources: in memory, at a time that stands still, through the read path of serving. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock, Micros } from '../clock.ts'
import type { FunctionRunner } from '../compute/function-runner.ts'
import type { SqlDefinitions } from '../compute/sql/sql-definitions.ts'
import type { PythonSettings } from '../config/python-settings.ts'
import { replays } from '../definition/feature-traits.ts'
import type { Registry } from '../definition/model.ts'
import { InvalidDefinitions } from '../definition/problems.ts'
import { FabraError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import { createActiveKeys } from '../refresh/active-keys.ts'
import { createRuns } from '../refresh/runs.ts'
import { createSchedule } from '../refresh/schedule.ts'
import { createRuntime, type Runtime } from '../runtime/runtime.ts'
import { planRow } from '../serving/plan.ts'
import { wholeValue } from '../serving/serving.ts'
import { type Database, openDatabase } from '../store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../store/duckdb/history/offline-store.ts'
import { emptyTables } from '../store/duckdb/sources/empty-tables.ts'
import { createDuckdbSourceEngine } from '../store/duckdb/sources/source-engine.ts'
import { createDuckdbSourceRows } from '../store/duckdb/sources/source-rows.ts'
import { createMemoryOnlineStore } from '../store/memory/online-store.ts'
import { createRecorder } from '../store/recording/recorder.ts'
import { checkedDefinitions } from './checked-definitions.ts'
import { createLiveDefinitions } from './live-definitions.ts'
import { checkGiven, fillSources, type GivenRows, hasShape, keyRow, withGivenShapes } from './test-rows.ts'

const PATIENCE: Micros = 30_000_000

export interface TestQuestion {
  readonly at: Micros
  readonly given: GivenRows
  /** A feature, or a column of one. */
  readonly feature: string
  /** One value, or all key columns by name or in their order. */
  readonly key: unknown
  readonly inputs: Readonly<Record<string, unknown>>
}

export interface TestStore {
  /** Sources of which neither a file, nor a declaration, nor rows of a test show the columns. */
  readonly unknown: ReadonlySet<string>
  /** One at a time, whoever asks. @returns JSON text. @throws FabraError what the feature or the question has against it */
  value(question: TestQuestion): Promise<string>
  close(): Promise<void>
}

export interface TestStoreOptions {
  /** Absolute paths of the definition files. */
  readonly files: readonly string[]
  /** Rows of tests that are known already: they show the columns of sources that nothing else tells of. */
  readonly known: readonly GivenRows[]
  readonly python?: PythonSettings | undefined
  readonly log: Logger
}

interface Opened {
  readonly definitions: SqlDefinitions
  /** Of sources. */
  readonly tables: readonly string[]
  readonly runtime: Runtime
  readonly database: Database
  readonly log: Logger
}

/** @throws InvalidDefinitions, FabraError */
export async function openTestStore({ files, known, python, log }: TestStoreOptions): Promise<TestStore> {
  const runtime = createRuntime({ files, workers: 1, python, log: (level, message, fields) => log[level](message, fields) })
  const database = await openDatabase({ file: ':memory:' })
  const folder = await mkdtemp(join(tmpdir(), 'fabra-given-'))
  const close = async () => {
    await runtime.close()
    await database.close()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const loaded = await runtime.load()
    const sources = await withGivenShapes(loaded.registry, known, folder)
    const registry: Registry = { ...loaded.registry, sources, features: withPatience(loaded.registry.features) }
    const definitions = await checkedDefinitions({ ...loaded, registry }, createDuckdbSourceEngine(database)).catch(withRowsHint)
    loaded.activate()
    const unknown = new Set([...sources.values()].filter((source) => !hasShape(source)).map(({ name }) => name))
    const tables = [...sources.keys()].filter((name) => !unknown.has(name))
    let last: Promise<unknown> = Promise.resolve()
    return {
      unknown,
      value(question) {
        const answer = last.then(() => answerOf(question, { definitions, tables, runtime, database, log }))
        last = answer.catch(() => undefined)
        return answer
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** A test can show what a table is, too. */
function withRowsHint(error: unknown): never {
  if (!(error instanceof InvalidDefinitions)) throw error
  throw new InvalidDefinitions(
    error.problems.map((problem) =>
      problem.subject.startsWith('source "') && problem.message.startsWith('There is no table')
        ? { ...problem, hint: `${problem.hint} Or give rows of it in the test.` }
        : problem,
    ),
  )
}

/** A test asks what the value is, not how soon: it may run on a machine that is busy, and the first call pays for what serving has done long before. */
function withPatience(features: Registry['features']): Registry['features'] {
  return new Map([...features].map(([name, feature]) => [name, { ...feature, timeout: Math.max(feature.timeout ?? 0, PATIENCE) }]))
}

/** Each question finds stores that know nothing, so that no test sees what another has computed. */
async function answerOf(question: TestQuestion, opened: Opened): Promise<string> {
  const { definitions, tables, runtime, database, log } = opened
  const { registry } = definitions
  const clock: Clock = { now: () => question.at }
  checkGiven(registry, question.given)
  await emptyTables(database, tables)
  await fillSources(question.given, { registry, sourceRows: createDuckdbSourceRows(database), at: question.at })
  const online = createMemoryOnlineStore()
  const offline = createDuckdbOfflineStore(database)
  const recorder = await createRecorder({ online, offline, clock, onProblem: (message, error) => log.error(message, { error }) })
  const { serving } = createLiveDefinitions(
    {
      ...{ online, offline, keptSince: async () => new Map(), recorder, clock, log, claims: null, seenSources: null },
      runtime: { ...runtime, ...standingStill(runtime, registry) },
      sourceEngine: createDuckdbSourceEngine(database),
      activeKeys: createActiveKeys(clock, { collect: false }),
      schedule: createSchedule(),
      runs: createRuns(),
      // Never needed: each feature has a timeout here.
      requestTimeoutMs: PATIENCE / 1000,
    },
    definitions,
  )
  try {
    const plan = serving.planOne(question.feature)
    const entity = plan.groups[0]?.entity
    if (!entity) throw new FabraError('internal', `${question.feature} has no entity.`)
    const row = planRow(plan, { ...question.inputs, ...keyRow(entity, question.key) })
    const [result] = await serving.engine.read(plan, [row], { maxAge: null })
    const error = result?.errors?.find((one) => one !== undefined)
    if (error) throw error
    return wholeValue(plan, result?.values ?? [], result?.statuses?.every((status) => status === 'missing') ?? false)
  } finally {
    await serving.engine.idle()
    await recorder.close()
    await online.close()
  }
}

/** Functions see the time of the test on every clock, as in training; those that need the world see the machine's, as in serving. */
function standingStill(runtime: FunctionRunner, registry: Registry): FunctionRunner {
  const modeOf = (name: string) => {
    const feature = registry.features.get(name)
    return feature && replays(feature) ? ('past' as const) : ('present' as const)
  }
  return {
    call: (call) => runtime.call({ ...call, mode: modeOf(call.feature) }),
    callBatch: (call) => runtime.callBatch({ ...call, mode: modeOf(call.feature) }),
  }
}
