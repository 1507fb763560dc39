import { join } from 'node:path'
import { type Computed, type ComputeRow, listOf } from '../../src/compute/executor.ts'
import type { Feature, Registry, ValueType } from '../../src/definition/model.ts'
import { parseExact } from '../../src/definition/value.ts'
import { createSchedule } from '../../src/refresh/schedule.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbTrainingStore, createRemoteTrainingStore } from '../../src/store/duckdb/training/training-store.ts'
import type { HistoryRow, OfflineStore } from '../../src/store/ports/offline-store.ts'
import type { Labels, TrainingStore } from '../../src/store/ports/training-store.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createPostgresSourceEngine } from '../../src/store/postgres/sources/source-engine.ts'
import { createPostgresTrainingEngine } from '../../src/store/postgres/training-engine.ts'
import type { TrainingDependencies, TrainingReport } from '../../src/training/job.ts'
import type { TrainingOptions } from '../../src/training/options.ts'
import { createTraining } from '../../src/training/training-set.ts'
import { registryOf } from './compute-bench.ts'
import type { TestServer } from './servers.ts'

export interface TrainingBench {
  readonly offline: OfflineStore
  /** @returns the rows of the result as JSON says them. Labels: CSV text, JSON rows, or a file. */
  train(registry: Registry, labels: GivenLabels, asked: BenchRequest): Promise<Trained>
  close(): Promise<void>
}

/** CSV text, a Parquet file's path, rows, or a query. */
export type GivenLabels = string | readonly Readonly<Record<string, unknown>>[] | { readonly sql: string }

export interface Trained {
  readonly rows: readonly Record<string, unknown>[]
  readonly text: string
  readonly bytes: Uint8Array
  readonly report: TrainingReport
}

export type BenchRequest = Partial<TrainingOptions> & {
  readonly features: readonly string[]
  readonly parts?: Partial<TrainingDependencies>
}

/** Training sets over a history and a stand-in for computing. @param threads of the engine. */
export async function openTrainingBench(threads?: number, pairsPerRow?: number): Promise<TrainingBench> {
  return trainingBenchOver(await openDatabase({ file: ':memory:', ...(threads === undefined ? {} : { threads }) }), pairsPerRow)
}

export function trainingBenchOver(database: Database, pairsPerRow?: number): TrainingBench {
  const store = createDuckdbTrainingStore(database, { pairsPerRow })
  return trainingBenchOf(store, createDuckdbOfflineStore(database), () => database.close())
}

/** The same over a history in PostgreSQL. @param rowsPerLook 0: each row is looked up there. */
export async function openPostgresTrainingBench(server: TestServer, rowsPerLook: number): Promise<TrainingBench> {
  const postgres = openPostgres({ url: server.url })
  await migrate(postgres)
  const sourceEngine = createPostgresSourceEngine({ reader: postgres, owner: postgres, loadFile: null })
  const store = createRemoteTrainingStore(createPostgresTrainingEngine({ postgres, reader: postgres, sourceEngine: sourceEngine }), {
    rowsPerLook,
  })
  const fail = (message: string, cause: unknown) => {
    throw new Error(message, { cause })
  }
  return trainingBenchOf(store, createPostgresOfflineStore({ postgres, random: Math.random, onProblem: fail }), () => postgres.close())
}

export function trainingBenchOf(store: TrainingStore, offline: OfflineStore, close: () => Promise<void>): TrainingBench {
  const training = createTraining()
  return {
    offline,
    async train(registry, labels, { parts, ...asked }) {
      const base: TrainingDependencies = {
        store,
        executor: { compute: (_feature, rows) => Promise.resolve(listOf(rows).map(() => ({ kind: 'missing' as const }))) },
        pastStatement: () => Promise.resolve(null),
        pastMerges: () => Promise.resolve([]),
        portability: () => null,
        overCopies: () =>
          Promise.resolve({ has: () => false, pastStatement: () => Promise.resolve(null), pastMerges: () => Promise.resolve([]) }),
        pastOfKey: () => Promise.resolve(),
        pastRefusal: () => null,
        sourcesOf: () => null,
        slowSources: () => Promise.resolve([]),
        hasAnyKey: () => Promise.resolve(null),
        now: () => Date.now() * 1000,
        nextFiring: createSchedule().nextFiring,
        explain: () => null,
        clientSql: (text) => Promise.resolve(text),
        keptSince: () => Promise.resolve(new Map()),
        flush: () => Promise.resolve(),
        version: '0.0.0',
      }
      const job = await training.begin(registry, { ...base, ...parts }, { id: crypto.randomUUID(), owner: null })
      try {
        const set = await job.build(await placed(job.folder, labels), { ...DEFAULTS, ...asked }, new AbortController().signal)
        const bytes = await Bun.file(set.path).bytes()
        const text = new TextDecoder().decode(bytes)
        const rows =
          (asked.format ?? 'jsonl') === 'jsonl'
            ? text
                .split('\n')
                .filter(Boolean)
                .map((line) => parseExact(line) as Record<string, unknown>)
            : []
        await set.delivered()
        return { rows, text, bytes, report: set.report }
      } finally {
        await job.close()
      }
    },
    close,
  }
}

async function placed(folder: string, labels: GivenLabels): Promise<Labels> {
  if (typeof labels === 'object' && 'sql' in labels) return labels
  const path = join(folder, 'labels')
  if (typeof labels !== 'string') {
    await Bun.write(
      path,
      labels
        .map(
          (row) =>
            `${JSON.stringify(row, (_key, value: unknown) => (typeof value === 'bigint' ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(`${value}`) : value))}\n`,
        )
        .join(''),
    )
    return { format: 'jsonl', path }
  }
  if (labels.endsWith('.parquet')) {
    await Bun.write(path, Bun.file(labels))
    return { format: 'parquet', path }
  }
  await Bun.write(path, labels)
  return { format: 'csv', path }
}

const DEFAULTS: Omit<TrainingOptions, 'features'> = {
  timestamp: 'event_timestamp',
  timezone: null,
  method: null,
  asServed: false,
  latestKnowledge: false,
  snapshot: null,
  deterministic: false,
  withStatus: false,
  withEventTimestamp: false,
  format: 'jsonl',
  fresh: false,
  sample: null,
}

/** A registry of pushed features of one entity. */
export function pushedRegistry(
  features: Readonly<Record<string, Partial<Feature> & { type?: ValueType }>>,
  key?: Parameters<typeof registryOf>[0]['key'],
): Registry {
  const registry = registryOf({ features: Object.fromEntries(Object.keys(features).map((name) => [name, ''])), ...(key ? { key } : {}) })
  const pushed = [...registry.features].map(([name, plain]) => {
    const { type = 'string', ...rest } = features[name] ?? {}
    return [name, { ...plain, computation: { kind: 'pushed' as const }, refresh: null, columns: [{ name: null, type }], ...rest }] as const
  })
  return { ...registry, features: new Map(pushed) }
}

/** An executor whose answers a test writes by itself. */
export function executorOf(answer: (row: ComputeRow, feature: Feature) => Computed): TrainingDependencies['executor'] {
  return { compute: (feature, rows) => Promise.resolve(listOf(rows).map((row) => answer(row, feature))) }
}

let seq = 0
/** A row of history; later calls are later by `seq`. */
export function recorded(facts: Partial<HistoryRow> & Pick<HistoryRow, 'value' | 'eventAt'>): HistoryRow {
  seq++
  const availableAt = facts.availableAt ?? facts.eventAt
  return {
    feature: 'f',
    fingerprint: '0123456789abcdef',
    entityKey: 'u1',
    availableAt,
    createdAt: availableAt,
    seq,
    origin: 'pushed',
    ...facts,
  }
}
