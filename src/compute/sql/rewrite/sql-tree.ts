export interface TableRef {
  readonly catalog: string
  readonly schema: string
  readonly name: string
  /** The alias the user gave; empty when none. */
  readonly alias: string
  /** Where the (possibly qualified) name starts. */
  readonly at: number
}

export interface FunctionRef {
  readonly schema: string
  /** Lower case. */
  readonly name: string
  /** Used in FROM as a table. */
  readonly table: boolean
  readonly argumentCount: number
  /** Null where the parser gives no place: operators, and functions that stand for syntax. */
  readonly at: number | null
}

export interface ColumnRef {
  readonly names: readonly string[]
  readonly at: number | null
}

/** A text literal that reads as the present when it becomes a time. */
export interface TimeWord {
  readonly text: string
  /** Cast to a time: refused. Else it must stay a text. */
  readonly cast: boolean
  readonly at: number | null
}

/** A cast to a time of something that is not a literal (PostgreSQL). */
export interface TimeCast {
  /** Where `::`, `CAST` or the function's name is. */
  readonly at: number
  /** The first place known of what is cast. */
  readonly argumentAt: number
  readonly isParameter: boolean
}

export interface SqlTree {
  readonly tables: readonly TableRef[]
  readonly functions: readonly FunctionRef[]
  readonly columns: readonly ColumnRef[]
  readonly timeWords: readonly TimeWord[]
  /** Operators as written, where users may make their own (PostgreSQL). */
  readonly operators: readonly string[]
  /** Names after a dot, in lower case, where they may be functions (PostgreSQL). */
  readonly attributes: readonly string[]
  /** How many subqueries in FROM have no name (PostgreSQL). */
  readonly unnamedCount: number
  readonly timeCasts: readonly TimeCast[]
  /** Things no feature may hold, in words: `TABLESAMPLE`, `DESCRIBE`, … */
  readonly refused: readonly { readonly what: string; readonly at: number | null }[]
  /** An aggregate without groups: one row, whatever the tables hold. A hint about sizes, not a promise (UNNEST beside it gives more). */
  readonly alwaysOneRow: boolean
  readonly root: Json
}

export type Json = { readonly [key: string]: unknown }

export function asObject(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

export function isSet(value: unknown): boolean {
  return value !== null && value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0)
}
