import type { Micros } from '../../clock.ts'
import { ChunkedList } from '../../collections/chunked-list.ts'
import { createPace } from '../../collections/yielding.ts'
import { stringifyExact } from '../../definition/exact-json.ts'
import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import {
  type RowList,
  type RunOptions,
  type SourceEngine,
  SqlError,
  SqlTimestamp,
  type SqlValue,
  type TakeRows,
} from '../../store/ports/source-engine.ts'
import type { Computed, ComputeOptions, ComputeRow, ComputeRows } from '../executor.ts'
import { computeError, notOneRow } from './failures.ts'
import { unfitKey } from './key-types.ts'
import { sqlValueText } from './result-values.ts'
import type { RowSql } from './rewrite/parameters.ts'
import type { SqlDefinition } from './sql-definitions.ts'
import { type Strategies, type Strategy, TRIAL } from './strategies.ts'

/** Rows in one set-based statement: the engine holds all their pairs with events at once. */
const SET_ROWS = 250_000

/** Rows in one statement of a plain aggregate or of latest rows, each of which reads all events once. */
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
/** Of those, in a form that is not the only one. */
const MAX_GROUPED_PROBES = 64

interface Work {
  readonly store: SourceEngine
  readonly strategies: Strategies
  readonly definition: SqlDefinition
}

/** One call of compute: holds the deadline and the answers so far. */
export class Batch {
  private readonly answers: ChunkedList<Computed | undefined>
  private readonly deadline: number
  private readonly shared = new Map<SqlValue, Computed>()
  private probes = 0

  private readonly store: SourceEngine
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
    this.answers = ChunkedList.filled(rows.length, undefined)
    this.deadline = performance.now() + options.timeoutMs
  }

  async run(): Promise<ChunkedList<Computed>> {
    let from = 0
    if (this.strategies.wantsTrial(this.definition, this.rows.length)) from = await this.trial()
    const size = this.definition.plain || this.definition.latest ? JOINED_ROWS : SET_ROWS
    for (; from < this.rows.length; from += size) await this.piece(from, Math.min(this.rows.length, from + size))
    // Each piece has answered all of its rows, whatever came of it.
    return this.answers as ChunkedList<Computed>
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
    // A join looks at rows of other keys as well: where it is at fault itself, all of its parts fail.
    const isAtFault = strategy === 'joined' || (strategy === 'grouped' && this.probes > MAX_GROUPED_PROBES)
    if (isAtFault || error.kind !== 'runtime') {
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
        this.answers.set(i, answerOf(this.definition, result.rows, 1))
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
    if (!isShared(value)) return answerOf(this.definition, [row], 2)
    let answer = this.shared.get(value)
    if (!answer) {
      answer = answerOf(this.definition, [row], 2)
      if (this.shared.size < MAX_SHARED) this.shared.set(value, answer)
    }
    return answer
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
    const keys = this.definition.entity.key.map(() => new ChunkedList<string>())
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

export function same(rows: ComputeRows, answer: Computed): ChunkedList<Computed> {
  return ChunkedList.filled(rows.length, answer)
}

/** Minus zero is not zero, though a map takes it for the same. */
function isShared(value: SqlValue): boolean {
  return (typeof value === 'number' && value !== 0) || (typeof value === 'string' && value.length <= MAX_SHARED_LENGTH)
}

/** @param first Column where the user's own begin; the one before is the mark of a row that is there. */
export function answerOf({ feature, columns }: SqlDefinition, rows: readonly (readonly SqlValue[])[], first: number): Computed {
  const [row] = rows
  if (rows.length > 1) return asError(notOneRow(feature))
  if (!row || row[first - 1] === null) return { kind: 'missing' }
  const texts: string[] = []
  for (const column of columns) {
    try {
      texts.push(sqlValueText(column.element ?? column.type, row[first + column.index] ?? null, column.sqlType))
    } catch (error) {
      if (!(error instanceof FabraError)) throw error
      return asError(valueError(feature, column.name, error))
    }
  }
  return { kind: 'value', texts, oldestInputAt: null }
}

function bindRow(sql: Pick<RowSql, 'parameters'>, row: ComputeRow): SqlValue[] {
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

export function asError(error: FabraError): Computed {
  return { kind: 'error', error }
}
