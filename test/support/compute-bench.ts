import type { Micros } from '../../src/clock.ts'
import type { Computed, ComputeOptions, Executor } from '../../src/compute/executor.ts'
import { createSqlDefinitions, type SqlDefinition, type SqlDefinitions } from '../../src/compute/sql/sql-definitions.ts'
import { createSqlExecutor } from '../../src/compute/sql/sql-executor.ts'
import type { Strategy } from '../../src/compute/sql/strategies.ts'
import { entityKey } from '../../src/definition/entity-key.ts'
import type { Entity, Feature, KeyColumn, KeyType, Registry, Source, ValueType } from '../../src/definition/model.ts'
import { parseTime } from '../../src/definition/time.ts'
import { type Database, openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import type { SourceEngine } from '../../src/store/ports/source-engine.ts'
import { feature, source, User } from './stored-definitions.ts'

/** An engine with the tables a test makes, and the compute primitive over them. */
export interface SqlBench {
  readonly store: SourceEngine
  /** Statements of the test's own: CREATE TABLE, INSERT. */
  execute(sql: string): Promise<void>
  define(written: WrittenRegistry, strategy?: Strategy): Promise<Defined>
  close(): Promise<void>
}

/** A DuckDB in memory. */
export interface ComputeBench extends SqlBench {
  readonly database: Database
}

export interface Defined {
  readonly registry: Registry
  readonly definitions: SqlDefinitions
  readonly executor: Executor
  /** `rows`: key values and as-of times (RFC 3339 or microseconds). Answers in short: `=text` per value, `missing`, or the error's code. */
  ask(feature: string, rows: readonly BenchRow[], options?: Partial<ComputeOptions>): Promise<string[]>
  compute(feature: string, rows: readonly BenchRow[], options?: Partial<ComputeOptions>): Promise<readonly Computed[]>
}

export type BenchRow = readonly [key: unknown, asOf: string | Micros, inputs?: Readonly<Record<string, unknown>>]

export interface WrittenFeature extends Partial<Omit<Feature, 'columns'>> {
  readonly sql: string
  readonly type?: ValueType
  readonly columns?: Readonly<Record<string, ValueType | null>>
}

export interface WrittenRegistry {
  /** Default: User, keyed by user_id. */
  readonly key?: Readonly<Record<string, KeyType>>
  readonly sources?: Readonly<Record<string, Partial<Source>>>
  readonly features: Readonly<Record<string, string | WrittenFeature>>
}

/** Close its store after the tests. */
export async function openComputeBench(threads?: number): Promise<ComputeBench> {
  const database = await openDatabase({ file: ':memory:', threads })
  const store = createDuckdbSourceEngine(database)
  return {
    database,
    store,
    close: () => store.close(),
    execute: (sql) => database.loader.use(ownDeadline(), (session, left) => session.execute(sql, left)),
    async define(written, strategy) {
      const registry = registryOf(written)
      // A store lists functions when it is made; tests make macros later.
      const fresh = createDuckdbSourceEngine(database)
      const definitions = await createSqlDefinitions(registry, fresh)
      return defined(registry, definitions, createSqlExecutor({ sourceEngine: fresh, definitions, strategy }))
    },
  }
}

export function defined(registry: Registry, definitions: SqlDefinitions, executor: Executor): Defined {
  const entity = [...registry.entities.values()][0] as Entity
  const compute: Defined['compute'] = async (name, rows, options) => {
    const feature = registry.features.get(name) as Feature
    const questions = rows.map(([key, asOf, inputs]) => ({
      key: entityKey(entity, Array.isArray(key) ? key : [key]),
      asOf: typeof asOf === 'number' ? asOf : parseTime(asOf),
      inputs,
    }))
    const answers = await executor.compute(feature, questions, {
      signal: new AbortController().signal,
      timeoutMs: 60_000,
      mode: 'past',
      chain: [],
      ...options,
    })
    return [...answers]
  }
  return {
    registry,
    definitions,
    executor,
    compute,
    ask: async (name, rows, options) => (await compute(name, rows, options)).map(shortAnswer),
  }
}

/** What has no statement of its own for a strategy is answered by that for sets. */
export function hasItsOwn(strategy: Strategy, definition: SqlDefinition | undefined): boolean {
  const { plain, latest, grouped } = definition ?? { plain: null, latest: null, grouped: null }
  if (strategy === 'sorted') return plain !== null
  return strategy !== 'joined' || plain !== null || latest !== null || grouped !== null
}

export function shortAnswer(answer: Computed): string {
  if (answer.kind === 'value') return `=${answer.texts.join(' ')}`
  return answer.kind === 'missing' ? 'missing' : answer.error.code
}

export function registryOf(written: WrittenRegistry): Registry {
  const columns: Readonly<Record<string, KeyType>> = written.key ?? { user_id: 'string' }
  const key = Object.entries(columns).map(([name, type]): KeyColumn => ({ name, type }))
  const entity: Entity = { ...User, key, location: place }
  const sources = Object.entries(written.sources ?? {}).map(
    ([name, settings]) => [name, source(name, { location: place, ...settings })] as const,
  )
  const features = Object.entries(written.features).map(([name, text]) => [name, featureOf(name, text)] as const)
  return { entities: new Map([['User', entity]]), sources: new Map(sources), features: new Map(features), featureSets: new Map() }
}

const place = { file: '/features.ts', line: 1, column: 1 }

function featureOf(name: string, written: string | WrittenFeature): Feature {
  const { sql, type, columns, ...rest } = typeof written === 'string' ? { sql: written, type: undefined, columns: undefined } : written
  const named = columns && Object.entries(columns).map(([column, columnType]) => ({ name: column, type: columnType }))
  return feature({
    location: place,
    name,
    computation: { kind: 'sql', sql },
    columns: named ?? [{ name: null, type: type ?? null }],
    refresh: { kind: 'realtime' },
    fingerprint: '0123456789abcdef',
    ...rest,
  })
}
