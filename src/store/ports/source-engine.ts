import type { Micros } from '../../clock.ts'
import type { List } from '../../collections/chunked-list.ts'
import type { KeyColumn, Source } from '../../definition/model.ts'

/**
 * A value as an engine gives it, exact: whole numbers are numbers when safe, else bigint; decimals and timestamps are texts of their own
 * class so that nothing passes through a float or a Date.
 */
export type SqlValue = null | boolean | number | bigint | string | SqlDecimal | SqlTimestamp | SqlOther | readonly SqlValue[] | SqlStruct

export class SqlDecimal {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }

  /** As JavaScript has numbers: whole ones exactly, whatever their scale; with a fraction the nearest there is. */
  toNumber(): number | bigint {
    const number = Number(this.text)
    const whole = /^([+-]?\d+)(?:\.0*)?$/.exec(this.text)?.[1]
    return whole === undefined || Number.isSafeInteger(number) ? number : BigInt(whole)
  }
}
/** An instant. Naive timestamps are read as UTC. */
export class SqlTimestamp {
  readonly micros: Micros
  constructor(micros: Micros) {
    this.micros = micros
  }
}
/** A value with no JSON of its own (interval, blob, time, date, uuid …): its text as the engine writes it. */
export class SqlOther {
  readonly type: string
  readonly text: string
  constructor(type: string, text: string) {
    this.type = type
    this.text = text
  }
}
export class SqlStruct {
  readonly fields: ReadonlyMap<string, SqlValue>
  constructor(fields: ReadonlyMap<string, SqlValue>) {
    this.fields = fields
  }
}

export interface TableColumn {
  readonly name: string
  /** The engine's own name of the type, upper case. */
  readonly type: string
}

export interface Table {
  readonly schema: string
  readonly name: string
  /** Views have no rows of their own. */
  readonly kind: 'table' | 'view'
  /** Found by its name alone, without its schema. */
  readonly isOnPath: boolean
  readonly columns: readonly TableColumn[]
  /** The columns that an index begins with: by others a row is found by reading them all. Null: the engine needs none, or it is not known. */
  readonly indexed: readonly string[] | null
}

export interface SqlFunction {
  readonly name: string
  readonly kind: 'scalar' | 'aggregate' | 'table' | 'macro' | 'table_macro' | 'pragma'
  /** `consistent`: same answer for same arguments. `within_query`: reads the present or the session. `volatile`: random and the like. */
  readonly stability: 'consistent' | 'within_query' | 'volatile' | 'unknown'
  /** Part of the engine, not made by a user. */
  readonly builtIn: boolean
}

/** What the engine says of a statement without running it. */
export interface Prepared {
  readonly columns: readonly TableColumn[]
  /** Types of `$1`, `$2`, … as the engine infers them from where they stand; empty where it does not tell. */
  readonly parameters: readonly string[]
}

/** SQL the engine refuses. `position` is a character offset into the text given, where known. */
export class SqlError extends Error {
  override readonly name = 'SqlError'
  readonly position: number | null
  /** `internal`: the engine itself failed (another strategy may work). `timeout`, `interrupted`, `unavailable`: not the text's fault. */
  readonly kind: 'syntax' | 'binding' | 'runtime' | 'internal' | 'timeout' | 'interrupted' | 'unavailable'
  constructor(kind: SqlError['kind'], message: string, position: number | null, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
    this.position = position
  }
}

/** The rows a statement is computed for: one text array per key column, and the as-of times. */
export interface RowList {
  /** SQL type of each key column. */
  readonly types: readonly string[]
  /** `keys[column][row]`: canonical texts. */
  readonly keys: readonly List<string>[]
  readonly asOf: readonly Micros[]
}

export interface RunOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

/** Some rows of a result, in their order: of half a million nobody then holds all. */
export type TakeRows = (rows: readonly (readonly SqlValue[])[], columns: readonly TableColumn[]) => void

export interface ResultRows {
  readonly columns: readonly TableColumn[]
  readonly rows: readonly (readonly SqlValue[])[]
}

export interface LoadFinding {
  readonly source: string
  readonly message: string
  readonly hint: string
  /** The source is loaded; this is only to be known. Told when its file is read, which is not every time. */
  readonly isNote?: true
}

/** Who follows how sources are loaded, and may end it. */
export interface LoadWatch {
  /** Aborted: what is being loaded is given up, as if it had not been begun. */
  readonly signal: AbortSignal
  /** Its files are read now. @param bytes Of all of them, as they lie on disk. */
  began(source: string, bytes: number): void
}

/** A table that holds what a statement gives. */
export interface Copy {
  /** `__fabra_…`, plain. */
  readonly name: string
  readonly text: string
  readonly parameters: readonly SqlValue[]
}

/** For many statements that read the same part of large tables. */
export interface Copies {
  /** @param work Its statements alone find the copies, which are gone when it is over. @throws SqlError */
  use<T>(copies: readonly Copy[], options: RunOptions, work: (query: SourceEngine['query']) => Promise<T>): Promise<T>
}

/** Where user SQL runs: the engine that holds the sources. Read-only, in UTC, every statement with a deadline. */
export interface SourceEngine {
  readonly dialect: 'duckdb' | 'postgres'
  /**
   * Make these sources readable: load files (only when size, mtime or content changed), create tables from `columns`.
   * @returns per source what is wrong with it, if anything (a broken row, a missing time column), and what is to be known of how a file was read.
   */
  load(
    sources: readonly { readonly source: Source; readonly keyTypes: Readonly<Record<string, KeyColumn['type']>> }[],
    watch?: LoadWatch,
  ): Promise<readonly LoadFinding[]>
  /**
   * Syntax tree of one SELECT in the engine's own form: DuckDB's json_serialize_sql, or libpg_query's. Locations are byte offsets.
   * @throws SqlError syntax; also for what is no SELECT.
   */
  parse(text: string): Promise<unknown>
  tables(): Promise<readonly Table[]>
  /**
   * What is to be known of the functions of these names (in lower case; operators as they are written): those made by users, and those of the
   * engine whose answer depends on more than their arguments. Others are left out.
   */
  functions(names: readonly string[]): Promise<readonly SqlFunction[]>
  /** Bind without running. @throws SqlError binding */
  prepare(text: string): Promise<Prepared>
  /** Run one statement with bound parameters (`$1` …). @throws SqlError */
  query(text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<ResultRows>
  /** The same, for results that may be large. @param take Is called at least once. @throws SqlError */
  queryInto(take: TakeRows, text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<void>
  /**
   * Run a statement over a row list. `text` reads the table `__fabra_row` with columns `__fabra_ord` (BIGINT, row number from 0), `__fabra_k0` …
   * (of the types given) and `__fabra_as_of` (TIMESTAMPTZ).
   * @param take Is called at least once.
   */
  queryOver(take: TakeRows, text: string, rows: RowList, options: RunOptions): Promise<void>
  /** Null: an index finds the rows of a key, so that many statements about one key read little each. */
  readonly copies: Copies | null
  close(): Promise<void>
}
