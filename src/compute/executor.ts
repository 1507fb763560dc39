import type { Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { FabraError } from '../errors.ts'

/** One question: what is this feature for this key, seen from this time? */
export interface ComputeRow {
  readonly key: EntityKey
  readonly asOf: Micros
  /** Values of the feature's declared inputs; checked against their types by the caller. */
  readonly inputs?: Readonly<Record<string, unknown>>
}

/** The questions of one call; a list is one. Rows may be made for who asks. */
export interface ComputeRows {
  readonly length: number
  at(row: number): ComputeRow | undefined
}

export function listOf(rows: ComputeRows): ComputeRow[] {
  return Array.from({ length: rows.length }, (_, row) => rows.at(row) as ComputeRow)
}

export interface ComputeOptions {
  /** Aborted when nobody waits any more or the deadline has passed. */
  readonly signal: AbortSignal
  /** Milliseconds for the whole batch. */
  readonly timeoutMs: number
  /**
   * `present`: asOf is now; serving and refreshing. On PostgreSQL the present is then the database's own clock.
   * `past`: training and backfill. A source without a time is refused, and a function that leaves its context throws.
   */
  readonly mode: 'present' | 'past'
  /** Features being computed further up, outermost first: a function that asks for one of them with `get` has found a cycle. */
  readonly chain: readonly string[]
  /** Somebody looks, and no model reads: parts that a function asks for do not come into use by it. Default false. */
  readonly isLook?: boolean
  /**
   * Nobody waits for all of the rows: each is to be told of as soon as it is answered, and none waits for another one's turn. An executor that cannot
   * do that does not call it.
   */
  readonly onAnswer?: (row: number, computed: Computed) => void
}

/** The answer to one question. Errors are answers: one failing row does not fail its neighbours. */
export type Computed =
  | {
      readonly kind: 'value'
      /** JSON text per column of the feature, in declared order, checked against the declared types. */
      readonly texts: readonly string[]
      /** Oldest event timestamp among the features it was derived from; null when it read none. */
      readonly oldestInputAt: Micros | null
    }
  /** The query gave no row: nothing is known. Different from a null value. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'error'; readonly error: FabraError }

/**
 * The one primitive: serving, refreshing and training are three callers of it.
 * SQL runs in the source's engine, functions run in workers; both are executors.
 */
export interface Executor {
  /**
   * @returns one answer per row, in the order given. Duplicated rows get equal answers.
   * Never rejects for what a feature does: a throw, a timeout or a wrong type is an `error` answer.
   * @throws StoreUnavailable if the engine itself cannot be reached.
   */
  compute(feature: Feature, rows: ComputeRows, options: ComputeOptions): Promise<List<Computed>>
}
