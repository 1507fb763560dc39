/** A folder with the user's files, a runtime that loaded them, and an executor over it. All of it is gone after the test. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Db, DbOptions, DbResult } from '../../src/compute/db.ts'
import type { Computed, ComputeRow } from '../../src/compute/executor.ts'
import { createWorkerExecutor, type WorkerExecutorOptions } from '../../src/compute/functions/function-executor.ts'
import type { Reader, ReadFrom, ReadPart } from '../../src/compute/reader.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { Feature, Problem, Registry } from '../../src/definition/model.ts'
import { createRuntime, type LoadedDefinitions, type Runtime, type RuntimeOptions } from '../../src/runtime/runtime.ts'

/** The head that nearly all files of the tests share: entities with one and two key columns. */
export const HEAD = `import { entity, feature, source, featureSet } from 'fabra'
export const User = entity('User', { key: 'user_id' })
`

export type Files = Readonly<Record<string, string>>

export interface ProjectFolder {
  readonly folder: string
  write(files: Files): void
  path(name: string): string
  [Symbol.dispose](): void
}

export function project(files: Files): ProjectFolder {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fabra-runtime-')))
  const write = (more: Files) => {
    for (const [name, text] of Object.entries(more)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), text)
    }
  }
  write(files)
  return { folder, write, path: (name) => join(folder, name), [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

/** Loads `features.ts` (or the files named) once and tells what came of it. */
export async function loadOnce(
  files: Files,
  options: { entry?: string[] } & Pick<RuntimeOptions, 'loadTimeoutMs' | 'python' | 'isolation'> = {},
) {
  using on = project(files)
  const entry = (options.entry ?? ['features.ts']).map((name) => on.path(name))
  const { loadTimeoutMs = 20_000, python, isolation } = options
  const runtime = createRuntime({ files: entry, log: () => {}, loadTimeoutMs, python, isolation })
  const loaded = await runtime.load()
  loaded.discard()
  await runtime.close()
  const strip = (text: string) => text.replaceAll(`${on.folder}/`, '').replaceAll(on.folder, '.')
  return {
    registry: loaded.registry,
    files: loaded.files.map(strip).sort(),
    problems: loaded.problems.map((one: Problem) => ({
      at: one.location === null ? null : strip(`${one.location.file}:${one.location.line}`),
      says: strip(`${one.message} ${one.hint}`),
    })),
  }
}

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface AskOptions {
  readonly asOf?: number
  /** Of each key, in place of `asOf`. */
  readonly asOfs?: readonly number[]
  readonly mode?: 'present' | 'past'
  readonly timeoutMs?: number
  readonly inputs?: Readonly<Record<string, unknown>>
  readonly signal?: AbortSignal
  readonly chain?: readonly string[]
}

export interface Bench {
  readonly project: ProjectFolder
  readonly runtime: Runtime
  readonly lines: LogLine[]
  readonly queries: { sql: string; params: readonly unknown[]; at: DbOptions }[]
  readonly reads: { name: string; from: ReadFrom }[]
  loaded: LoadedDefinitions
  feature(name: string): Feature
  ask(feature: string, keys: readonly unknown[], options?: AskOptions): Promise<Computed>
  askMany(feature: string, keys: readonly (readonly unknown[])[], options?: AskOptions): Promise<readonly Computed[]>
  [Symbol.asyncDispose](): Promise<void>
}

export interface BenchOptions
  extends Pick<RuntimeOptions, 'workers' | 'clockOffset' | 'python' | 'isolation'>,
    Pick<WorkerExecutorOptions, 'maxRunning' | 'maxWaiting'> {
  readonly query?: (sql: string, params: readonly unknown[], at: DbOptions) => Promise<DbResult>
  readonly read?: (name: string, from: ReadFrom) => Promise<ReadPart>
  /** Files that define features. Default: features.ts alone. */
  readonly entry?: readonly string[]
}

/** 2026-01-02T03:04:05.123456Z */
export const AS_OF = 1_767_323_045_123_456

export async function bench(files: Files, options: BenchOptions = {}): Promise<Bench> {
  const on = project(files)
  const lines: LogLine[] = []
  const queries: Bench['queries'] = []
  const reads: Bench['reads'] = []
  const log = (level: string, message: string, fields: Readonly<Record<string, unknown>>) => void lines.push({ level, message, fields })
  const entry = (options.entry ?? ['features.ts']).map((name) => on.path(name))
  const runtime = createRuntime({ ...options, files: entry, log })
  const db: Db = {
    async query(sql, params, at) {
      queries.push({ sql, params, at })
      return { columns: [], rows: [], ...(await options.query?.(sql, params, at)), sources: [] }
    },
  }
  const reader: Reader = {
    read(name, from) {
      reads.push({ name, from })
      return options.read ? options.read(name, from) : Promise.resolve({ text: undefined, eventAt: null })
    },
  }
  const executor = createWorkerExecutor({
    runtime,
    db,
    reader,
    onRead: () => {},
    log,
    maxRunning: options.maxRunning,
    maxWaiting: options.maxWaiting,
  })
  const loaded = await runtime.load()
  if (loaded.problems.length > 0)
    throw new Error(loaded.problems.map((one) => `${one.location?.line}: ${one.subject}: ${one.message}`).join('\n'))
  loaded.activate()
  const bench: Bench = {
    project: on,
    runtime,
    lines,
    queries,
    reads,
    loaded,
    feature: (name) => definition(bench.loaded.registry, name),
    async ask(feature, keys, how = {}) {
      const [only] = await bench.askMany(feature, [keys], how)
      if (only === undefined) throw new Error('No answer.')
      return only
    },
    async askMany(name, keys, how = {}) {
      const feature = bench.feature(name)
      const entity = bench.loaded.registry.entities.get(feature.entity)
      if (entity === undefined) throw new Error(`No entity of "${name}".`)
      const rows: ComputeRow[] = keys.map((values, i) => ({
        key: entityKey(entity, values),
        asOf: how.asOfs?.[i] ?? how.asOf ?? AS_OF,
        inputs: how.inputs,
      }))
      const signal = how.signal ?? new AbortController().signal
      const answers = await executor.compute(feature, rows, {
        signal,
        timeoutMs: how.timeoutMs ?? 30_000,
        mode: how.mode ?? 'present',
        chain: how.chain ?? [],
      })
      return [...answers]
    },
    async [Symbol.asyncDispose]() {
      await runtime.close()
      on[Symbol.dispose]()
    },
  }
  return bench
}

function definition(registry: Registry, name: string): Feature {
  const feature = registry.features.get(name)
  if (feature === undefined) throw new Error(`No feature "${name}".`)
  return feature
}

/** The value of an answer, parsed; an error answer fails the test with its words. */
export function answered(answer: Computed): unknown {
  if (answer.kind === 'error') throw new Error(`${answer.error.code}: ${answer.error.message}`)
  if (answer.kind === 'missing') return undefined
  return answer.texts.length === 1 ? JSON.parse(answer.texts[0] ?? '') : answer.texts.map((text) => JSON.parse(text))
}

export function errorOf(answer: Computed): { code: string; message: string; hint: string } {
  if (answer.kind !== 'error') throw new Error(`Expected an error, got ${JSON.stringify(answer)}.`)
  return { code: answer.error.code, message: answer.error.message, hint: answer.error.hint ?? '' }
}
