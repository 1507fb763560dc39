import type { Feature, ValueType } from '../../definition/model.ts'
import type { SourceEngine } from '../../store/ports/source-engine.ts'
import { type Computed, type ComputeOptions, type ComputeRow, type ComputeRows, type Executor, listOf } from '../executor.ts'
import { asError, Batch, same } from './batch.ts'
import { mergedStatements } from './duckdb/merged-statements.ts'
import { refusedForPast, unknownDefinition } from './failures.ts'
import { keyCheck } from './key-types.ts'
import { createPastOfKey, type PastOfKeyOptions } from './past-of-key.ts'
import type { SqlDefinitions } from './sql-definitions.ts'
import { createStrategies, JOINED_FROM, type Strategy, TRIAL } from './strategies.ts'

export interface SqlExecutorDependencies {
  readonly sourceEngine: SourceEngine
  /** Of one registry; a reload makes a new executor. */
  readonly definitions: Pick<SqlDefinitions, 'get'>
  /** Always this way where it is possible: for tests and measurements. */
  readonly strategy?: Strategy
}

/** How many rows of one feature are computed for the past in one statement over `__fabra_row`. */
export interface PastStatement {
  readonly text: string
  /** In the order of the feature's columns; `index` counts the columns after `__fabra_ord` and `__fabra_hit`. */
  readonly columns: readonly { readonly index: number; readonly type: ValueType; readonly sqlType: string }[]
  readonly alwaysOneRow: boolean
  /** One line for people. */
  readonly how: string
}

/** Several features in one statement. */
export interface MergedPast {
  readonly features: readonly string[]
  readonly text: string
  /** Per feature as in PastStatement; `index` counts the statement's columns. */
  readonly columns: readonly PastStatement['columns'][]
}

export type Sample = (count: number) => Promise<readonly ComputeRow[]>

export interface SqlExecutor extends Executor {
  /**
   * @param sample Some of the rows, asked for where the ways of running the query must be tried first.
   * @returns null where the feature goes row by row, or cannot be computed for the past.
   */
  pastStatement(feature: string, rowCount: number, sample: Sample): Promise<PastStatement | null>
  /**
   * Features that are computed together for many rows, because they look at the same events. Those left out go one by one.
   * @param fits Whether the caller can take columns of these types.
   */
  pastMerges(
    features: readonly string[],
    rowCount: number,
    fits: (columns: PastStatement['columns']) => boolean,
  ): Promise<readonly MergedPast[]>
  /**
   * Many features of one key as of one past time. Those that are not told of have to be asked for one by one, and those that fail are among them.
   * @throws SqlError interrupted
   */
  pastOfKey(features: readonly Feature[], row: ComputeRow, options: PastOfKeyOptions): Promise<void>
  /** How a feature is computed, in a line; null for one that is not SQL. */
  explain(feature: string): string | null
}

/** Both ways of running a query are tried on a few rows; a row may be slow. */
const TRIAL_MS = 600_000

export function createSqlExecutor(dependencies: SqlExecutorDependencies): SqlExecutor {
  const strategies = createStrategies(dependencies.sourceEngine, dependencies.strategy)
  const pastOfKey = createPastOfKey(dependencies.sourceEngine, dependencies.definitions)
  return {
    explain(name) {
      const definition = dependencies.definitions.get(name)
      return definition ? strategies.explain(definition) : null
    },
    async pastStatement(name, rowCount, sample) {
      const definition = dependencies.definitions.get(name)
      if (!definition || definition.past !== null) return null
      if (strategies.wantsTrial(definition, rowCount)) {
        const options: ComputeOptions = { signal: new AbortController().signal, timeoutMs: TRIAL_MS, mode: 'past', chain: [] }
        await new Batch({ store: dependencies.sourceEngine, strategies, definition }, await sample(TRIAL.from), options).run()
      }
      const plan = await strategies.plan(definition, Math.max(2, rowCount))
      if (plan.strategy === 'rows') return null
      const how = plan.strategy === 'set' ? 'set-based' : 'rows and events joined'
      return { text: plan.text, columns: definition.columns, alwaysOneRow: definition.alwaysOneRow, how }
    },
    async pastMerges(names, rowCount, fits) {
      if (rowCount < JOINED_FROM) return []
      const definitions = names.flatMap((name) => dependencies.definitions.get(name) ?? []).filter(({ columns }) => fits(columns))
      const merges = await mergedStatements(definitions, dependencies.sourceEngine)
      return merges.map((merge) => ({
        features: merge.definitions.map(({ feature }) => feature.name),
        text: merge.text,
        columns: merge.definitions.map(({ columns }, i) =>
          columns.map((column) => ({ ...column, index: column.index + (merge.offsets[i] ?? 0) })),
        ),
      }))
    },
    pastOfKey: pastOfKey.compute,
    async compute(feature, rows, options) {
      const definition = dependencies.definitions.get(feature.name)
      if (!definition) return same(rows, asError(unknownDefinition(feature)))
      if (options.mode === 'past' && definition.past !== null) {
        return same(rows, asError(refusedForPast(feature, definition.past)))
      }
      const run = (some: ComputeRows) => new Batch({ store: dependencies.sourceEngine, strategies, definition }, some, options).run()
      const check = keyCheck(definition.entity, definition.keyTypes)
      if (!check) return run(rows)
      const all = listOf(rows)
      const wrong = all.map((row) => check(row.key.values))
      const answers = (await run(all.filter((_, i) => wrong[i] === null)))[Symbol.iterator]()
      return wrong.map((error) => (error ? asError(error) : (answers.next().value as Computed)))
    },
  }
}
