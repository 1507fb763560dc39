/**
 * SQL features on the engine that holds their sources:
 *
 *     const definitions = await createSqlDefinitions(registry, sourceStore)
 *     const executor = createSqlExecutor({ sourceStore, definitions })
 *     await executor.compute(feature, rows, { signal, timeoutMs, mode })
 *
 * There are several ways to run one query for many rows, all with one meaning. Set-based: the query is the body of a LATERAL subquery over the
 * list of rows. Row by row: the same body with bound parameters. Joined: plain aggregates over many rows (`sql-joined.ts`).
 * Which is taken is settled by the number of rows and a trial on a few of them (`sql-strategies.ts`). When the engine refuses a statement
 * set-based, or one row of a set fails, smaller pieces are tried, down to single rows, so that each row gets its own answer.
 */
import type { Micros } from '../../clock.ts'
import { stringifyExact } from '../../definition/exact-json.ts'
import type { Feature, ValueType } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import { LongList } from '../../collections/chunked-list.ts'
import { createPace } from '../../collections/yielding.ts'
import {
  type RowList,
  type RunOptions,
  type SourceStore,
  SqlError,
  SqlTimestamp,
  type SqlValue,
  type TakeRows,
} from '../../store/ports/source-engine.ts'
import { type Computed, type ComputeOptions, type ComputeRow, type ComputeRows, type Executor, listOf } from '../executor.ts'
import { computeError, notOneRow, refusedForPast, unknownDefinition } from './failures.ts'
import type { SqlDefinition, SqlDefinitions } from './sql-definitions.ts'
import { keyCheck, unfitKey } from './key-types.ts'
import { mergedStatements } from './duckdb/merged-statements.ts'
import type { RowSql } from './rewrite/parameters.ts'
import { createStrategies, JOINED_FROM, type Strategies, type Strategy, TRIAL } from './strategies.ts'
import { sqlValueText } from './result-values.ts'

export interface SqlExecutorParts {
  readonly sourceStore: SourceStore
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
  /** How a feature is computed, in a line; null for one that is not SQL. */
  explain(feature: string): string | null
}

/** Both ways of running a query are tried on a few rows; a row may be slow. */
const TRIAL_MS = 600_000
/** Rows in one set-based statement: the engine holds all their pairs with events at once. */
const SET_ROWS = 250_000
/** Rows in one statement of a plain aggregate, each of which reads all events once. */
const JOINED_ROWS = 1_000_000
/** Rows told apart without a look at the clock. */
const STEP_ROWS = 500
/** Answers of one batch that are kept for rows that give the same: most counts are small, and a million keys share them. */
const MAX_SHARED = 1_000
/** Texts longer than this are seldom the same. */
const MAX_SHARED_LENGTH = 32
const MISSING: Computed = { kind: 'missing' }
/** Sets up to this size are told apart row by row when one of their rows fails. */
const SMALL_SET = 8
/** Statements spent on finding the failing rows of one batch; when all of them fail, the rest are told so without being run one by one. */
const MAX_PROBES = 256

export function createSqlExecutor(parts: SqlExecutorParts): SqlExecutor {
  const strategies = createStrategies(parts.sourceStore, parts.strategy)
  return {
    explain(name) {
      const definition = parts.definitions.get(name)
      return definition ? strategies.explain(definition) : null
    },
    async pastStatement(name, rowCount, sample) {
      const definition = parts.definitions.get(name)
      if (!definition || definition.past !== null) return null
      if (strategies.wantsTrial(definition, rowCount)) {
        const options: ComputeOptions = { signal: new AbortController().signal, timeoutMs: TRIAL_MS, mode: 'past', chain: [] }
        await new Batch({ store: parts.sourceStore, strategies, definition }, await sample(TRIAL.from), options).run()
      }
      const plan = await strategies.plan(definition, Math.max(2, rowCount))
      if (plan.strategy === 'rows') return null
      const how = plan.strategy === 'joined' ? 'rows and events joined' : 'set-based'
      return { text: plan.text, columns: definition.columns, alwaysOneRow: definition.alwaysOneRow, how }
    },
    async pastMerges(names, rowCount, fits) {
      if (rowCount < JOINED_FROM) return []
      const definitions = names.flatMap((name) => parts.definitions.get(name) ?? []).filter(({ columns }) => fits(columns))
      const merges = await mergedStatements(definitions, parts.sourceStore)
      return merges.map((merge) => ({
        features: merge.definitions.map(({ feature }) => feature.name),
        text: merge.text,
        columns: merge.definitions.map(({ columns }, i) =>
          columns.map((column) => ({ ...column, index: column.index + (merge.offsets[i] ?? 0) })),
        ),
      }))
    },
    async compute(feature, rows, options) {
      const definition = parts.definitions.get(feature.name)
      if (!definition) return same(rows, asError(unknownDefinition(feature)))
      if (options.mode === 'past' && definition.past !== null) {
        return same(rows, asError(refusedForPast(feature, definition.past)))
      }
      const run = (some: ComputeRows) => new Batch({ store: parts.sourceStore, strategies, definition }, some, options).run()
      const check = keyCheck(definition.entity, definition.keyTypes)
      if (!check) return run(rows)
      const all = listOf(rows)
      const wrong = all.map((row) => check(row.key.values))
      const answers = (await run(all.filter((_, i) => wrong[i] === null)))[Symbol.iterator]()
      return wrong.map((error) => (error ? asError(error) : (answers.next().value as Computed)))
    },
  }
}

interface Work {
  readonly store: SourceStore
  readonly strategies: Strategies
  readonly definition: SqlDefinition
}

/** One call of compute: holds the deadline and the answers so far. */
class Batch {
  private readonly answers: LongList<Computed | undefined>
  private readonly deadline: number
  private readonly shared = new Map<SqlValue, Computed>()
  private probes = 0

  private readonly store: SourceStore
  private readonly strategies: Strategies
  private readonly definition: SqlDefinition
  private readonly rows: ComputeRows
  private readonly options: ComputeOptions

  constructor(work: Work, rows: ComputeRows, options: ComputeOptions) {
    this.store = work.store
    this.strategies = work.strategies
    this.definition = work.definition
    this.rows = rows
    this.options = options
    this.answers = LongList.filled(rows.length, undefined)
    this.deadline = performance.now() + options.timeoutMs
  }

  async run(): Promise<LongList<Computed>> {
    let from = 0
    if (this.strategies.wantsTrial(this.definition, this.rows.length)) from = await this.trial()
    const size = this.definition.plain ? JOINED_ROWS : SET_ROWS
    for (; from < this.rows.length; from += size) await this.piece(from, Math.min(this.rows.length, from + size))
    // Each piece has answered all of its rows, whatever came of it.
    return this.answers as LongList<Computed>
  }

  private get feature(): Feature {
    return this.definition.feature
  }

  /** A few rows each way; their answers count. @returns how many rows are answered. */
  private async trial(): Promise<number> {
    const first = performance.now()
    await this.rowByRow(0, TRIAL.rows)
    const rows = (performance.now() - first) / TRIAL.rows
    const until = TRIAL.rows + TRIAL.set
    const started = performance.now()
    const patienceMs = Math.min(this.runOptions().timeoutMs, Math.max(1_000, 4 * rows * TRIAL.set))
    try {
      const { text } = this.definition.set
      await this.runSet(text ?? '', TRIAL.rows, until, { signal: this.options.signal, timeoutMs: patienceMs })
      this.strategies.tried(this.definition, { rows, set: (performance.now() - started) / TRIAL.set })
      return until
    } catch (caught) {
      const error = asSqlError(caught)
      if (error.kind === 'timeout') this.strategies.tried(this.definition, { rows, set: null })
      return TRIAL.rows
    }
  }

  /** Answers rows `from` to `to`, whatever it takes. */
  private async piece(from: number, to: number): Promise<void> {
    const plan = await this.strategies.plan(this.definition, to - from)
    if (plan.strategy === 'rows') return this.rowByRow(from, to)
    try {
      await this.runSet(plan.text, from, to, this.runOptions())
    } catch (error) {
      await this.recover(asSqlError(error), plan.strategy, from, to)
    }
  }

  private async recover(error: SqlError, strategy: Strategy, from: number, to: number): Promise<void> {
    if (error.kind === 'timeout' || error.kind === 'interrupted') return this.fail(error, from, to)
    if (strategy === 'joined' || error.kind !== 'runtime') {
      this.strategies.refuse(this.definition, strategy, error)
      return this.piece(from, to)
    }
    if (to - from <= SMALL_SET) return this.rowByRow(from, to)
    if (this.probes > MAX_PROBES) return this.fail(error, from, to)
    this.probes += 2
    const middle = from + Math.ceil((to - from) / 2)
    await this.piece(from, middle)
    await this.piece(middle, to)
  }

  private async rowByRow(from: number, to: number): Promise<void> {
    for (let i = from; i < to; i++) {
      const row = this.rows.at(i)
      if (!row) continue
      try {
        const result = await this.store.query(this.definition.row.text, bindRow(this.definition.row, row), this.runOptions())
        this.answers.set(i, this.answerOf(result.rows, 1))
      } catch (caught) {
        const error = asSqlError(caught)
        if (error.kind === 'timeout' || error.kind === 'interrupted') return this.fail(error, i, to)
        const unfit = await unfitKey(this.definition, row.key.values, error, (text, type) => this.converts(text, type))
        this.answers.set(i, asError(unfit ?? computeError(this.feature, error, this.options.timeoutMs)))
      }
    }
  }

  private async converts(text: string, type: string): Promise<boolean> {
    try {
      await this.store.query(`SELECT CAST(CAST($1 AS VARCHAR) AS ${type})`, [text], this.runOptions())
      return true
    } catch (error) {
      return !(error instanceof SqlError) || error.kind !== 'runtime'
    }
  }

  /** One statement for the rows `from` to `to`. */
  private async runSet(text: string, from: number, to: number, options: RunOptions): Promise<void> {
    const { answers } = this
    // An attempt that failed on its way may have answered some.
    for (let at = from; at < to; at++) answers.set(at, undefined)
    const take: TakeRows = (rows) => {
      for (const row of rows) {
        const at = from + Number(row[0])
        answers.set(at, answers.at(at) === undefined ? this.sharedAnswer(row) : asError(notOneRow(this.feature)))
      }
    }
    await this.store.queryOver(take, text, await this.rowList(from, to), options)
    this.fill(MISSING, from, to)
  }

  /** Of a row of a set. Rows with equal values share one answer: they are the bulk of what a refresh of many keys holds on to. */
  private sharedAnswer(row: readonly SqlValue[]): Computed {
    const value =
      this.definition.columns.length === 1 && row[1] !== null ? (row[2 + (this.definition.columns[0]?.index ?? 0)] ?? null) : null
    if (!isShared(value)) return this.answerOf([row], 2)
    let answer = this.shared.get(value)
    if (!answer) {
      answer = this.answerOf([row], 2)
      if (this.shared.size < MAX_SHARED) this.shared.set(value, answer)
    }
    return answer
  }

  /** @param first Column where the user's own begin; the one before is the mark of a row that is there. */
  private answerOf(rows: readonly (readonly SqlValue[])[], first: number): Computed {
    const [row] = rows
    if (rows.length > 1) return asError(notOneRow(this.feature))
    if (!row || row[first - 1] === null) return { kind: 'missing' }
    const texts: string[] = []
    for (const column of this.definition.columns) {
      try {
        texts.push(sqlValueText(column.type, row[first + column.index] ?? null, column.sqlType))
      } catch (error) {
        if (!(error instanceof FabraError)) throw error
        return asError(valueError(this.feature, column.name, error))
      }
    }
    return { kind: 'value', texts, oldestInputAt: null }
  }

  private fail(error: SqlError, from: number, to: number): void {
    this.fill(asError(computeError(this.feature, error, this.options.timeoutMs)), from, to)
  }

  /** Where there is no answer yet. */
  private fill(answer: Computed, from: number, to: number): void {
    for (let at = from; at < to; at++) if (this.answers.at(at) === undefined) this.answers.set(at, answer)
  }

  private runOptions(): RunOptions {
    return { signal: this.options.signal, timeoutMs: Math.max(1, Math.floor(this.deadline - performance.now())) }
  }

  private async rowList(from: number, to: number): Promise<RowList> {
    const keys = this.definition.entity.key.map(() => new LongList<string>())
    const asOf: Micros[] = []
    const pace = createPace()
    for (let i = from; i < to; i++) {
      const wait = i % STEP_ROWS === STEP_ROWS - 1 ? pace() : undefined
      if (wait) await wait
      const row = this.rows.at(i) as ComputeRow
      for (const [column, text] of row.key.values.entries()) keys[column]?.push(text)
      asOf.push(row.asOf)
    }
    return { types: this.definition.keyTypes, keys, asOf }
  }
}

function same(rows: ComputeRows, answer: Computed): LongList<Computed> {
  return LongList.filled(rows.length, answer)
}

/** Minus zero is not zero, though a map takes it for the same. */
function isShared(value: SqlValue): boolean {
  return (typeof value === 'number' && value !== 0) || (typeof value === 'string' && value.length <= MAX_SHARED_LENGTH)
}

function bindRow(sql: RowSql, row: ComputeRow): SqlValue[] {
  return sql.parameters.map((parameter) => {
    if (parameter.kind === 'asOf') return new SqlTimestamp(row.asOf)
    if (parameter.kind === 'key') return row.key.values[parameter.index] ?? null
    return inputValue(row.inputs?.[parameter.name])
  })
}

function inputValue(value: unknown): SqlValue {
  if (value === undefined || value === null) return null
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return value
  return stringifyExact(value)
}

function valueError(feature: Feature, column: string | null, error: FabraError): FabraError {
  const name = column === null ? feature.name : `${feature.name}.${column}`
  return new FabraError(error.code, `Feature "${name}": ${error.message}`, { hint: error.hint, cause: error.cause })
}

function asSqlError(error: unknown): SqlError {
  if (!(error instanceof SqlError)) throw error
  if (error.kind === 'unavailable') {
    throw new FabraError('store_unavailable', 'The database that holds the sources cannot be reached.', {
      hint: 'Try again in a moment.',
      cause: error,
    })
  }
  return error
}

function asError(error: FabraError): Computed {
  return { kind: 'error', error }
}
