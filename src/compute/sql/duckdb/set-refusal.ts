import { asList, asObject, type Json } from '../rewrite/sql-tree.ts'
import type { ParsedSql } from '../rewrite/statement.ts'

/**
 * What a set-based statement would answer otherwise than the query alone, found by trying every aggregate and kind of grouping over nothing: the
 * engine turns LATERAL into a join, and what a key without rows gets is then null or nothing. It puts that right for COUNT only.
 */
const NOT_NULL_OF_NOTHING = new Set(['approx_count_distinct', 'entropy', 'regr_count'])

/** Why a query may only be run row by row; null when it may be run as a set. */
export function setRefusal({ tree }: ParsedSql): string | null {
  const call = tree.functions.find(({ name }) => NOT_NULL_OF_NOTHING.has(name))
  if (call) return `${call.name}() of nothing is not null`
  return hasGrandTotal(tree.root) ? 'its grouping sets have a total, which is there without any row too' : null
}

/** ROLLUP, CUBE and the like: the empty set among others. Alone it is an aggregate without groups. */
function hasGrandTotal(node: Json): boolean {
  const sets = asList(node['group_sets'])
  if (sets.length > 1 && sets.some((set) => asList(set).length === 0)) return true
  return Object.values(node).some((value) =>
    Array.isArray(value) ? value.some((item) => hasGrandTotal(asObject(item) ?? {})) : hasGrandTotal(asObject(value) ?? {}),
  )
}
