import type { Micros } from '../clock.ts'

/**
 * `plain`: decimals and times as TypeScript has them. `tagged`: what JSON has nothing for says what it is: `{ $ts: microseconds }`,
 * `{ $dec: "1.10" }`, `{ $uuid: "…" }`, `{ $float: "3" }` (a float that looks like a whole number, or is not finite), `{ $json: "…" }`; an object of the data whose first key begins with "$" is `{ $obj: … }`. Parameters may be tagged in both.
 */
export type CellForm = 'plain' | 'tagged'

/** A result in the form that crosses to a worker: strings, numbers (integers only when exact), bigint, booleans, null, lists and plain objects. */
export interface DbResult {
  readonly columns: readonly string[]
  /** Whole numbers beyond ±(2^53 − 1) are bigint, also where they are decimals; decimals with a fraction are the nearest number, timestamps RFC 3339 strings. */
  readonly rows: readonly (readonly unknown[])[]
}

export interface DbAnswer extends DbResult {
  /** Names of the declared sources that the statement reads. */
  readonly sources: readonly string[]
}

/** The time a query looks from, and how long its caller waits. */
export interface DbOptions {
  readonly asOf: Micros
  /** `past`: rows that were not visible at `asOf` are hidden, and a source without a time is refused. */
  readonly mode: 'present' | 'past'
  /** Default `plain`. */
  readonly form?: CellForm
  readonly signal: AbortSignal
  /** Where it is there: says once when `signal` would, and costs less. Of several who ask only the last is told. */
  whenGivenUp?(tell: () => void): void
  /** Milliseconds. */
  readonly timeoutMs: number
}

/** Reads results that may be large. */
export interface RowReader {
  /** As `query` of Db. @param take Is given the rows, some at a time: nobody then holds a million. Called at least once. */
  read(sql: string, at: DbOptions, take: (result: DbResult) => void): Promise<void>
}

/** `db` inside a user's function: reads the sources, as of the time being computed for. It never writes. */
export interface Db {
  /**
   * @param sql The user's text; `$1`, `?` and `%s` are placeholders.
   * @param params As many as there are placeholders; bound, never interpolated.
   * @throws FabraError `feature_failed` naming what is wrong with the statement, in words the feature's author may read;
   * StoreUnavailable if the engine cannot be reached.
   */
  query(sql: string, params: readonly unknown[], at: DbOptions): Promise<DbAnswer>
}
