/** What the grammars of both engines tell of the tables that are named in a FROM. */
import type { Micros } from '../../../clock.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf } from '../rewrite/visibility.ts'

/** A name of the text, where the condition is: `created_at`, or `e.created_at`. */
export type IsTimestamp = (names: readonly string[]) => boolean

/** What the engine's grammar says of a table that is named in a FROM. @param at Where its name stands. */
export interface Bound {
  readonly at: number
  readonly reach: Micros
}

/** Tests whether names are the source's timestamp. @param isAlone No other table is beside it. */
export function timestampTest({ ref, source, table }: Shadow, isAlone: boolean, same: (a: string, b: string) => boolean): IsTimestamp {
  const wanted = source.timestamp === null ? undefined : columnOf(table, source.timestamp)?.name
  const called = ref.alias || ref.name
  return ([first = '', second, ...more]) => {
    if (wanted === undefined || more.length > 0) return false
    if (second === undefined) return isAlone && same(first, wanted)
    return same(first, called) && columnOf(table, first) === undefined && same(second, wanted)
  }
}

/** Scalars that may stand around aggregates: they are no aggregates themselves. */
export const SCALARS: ReadonlySet<string> = new Set(
  'abs ceil ceiling coalesce floor greatest ifnull least nullif round + - * / // %'.split(' '),
)

/** Without one, a row is given for every row. */
export const NO_AGGREGATE = Number.NEGATIVE_INFINITY
