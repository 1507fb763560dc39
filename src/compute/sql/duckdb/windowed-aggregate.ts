/**
 * Recognises the plain windowed aggregate: one source, the key's columns equal to the key, perhaps a lower bound of time counted from the
 * present, filters that look at the event alone, and COUNT, SUM, AVG, MIN and MAX of it. Such a query may be answered by walking the events of
 * a key once, in order of time (`sql-joined.ts`). Whatever is the least bit different is not plain.
 */
import type { Entity } from '../../../definition/model.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf } from '../rewrite/visibility.ts'
import { columnIn, columnRef, conjuncts, isOfEvent, isPlainNode, keyEquality, mapChildren, withAsOf } from './event-syntax.ts'

export interface PlainAggregate {
  readonly shadow: Shadow
  /** Column of the source per key column. */
  readonly keyColumns: readonly string[]
  /** Syntax of the lower bound of time; the present is `__fabra_row.__fabra_as_of`. */
  readonly lower: { readonly expression: Json; readonly inclusive: boolean } | null
  readonly filters: readonly Json[]
  readonly aggregates: readonly { readonly name: string; readonly argument: Json | null; readonly filter: Json | null }[]
  /** The select list; aggregate i is the column `__fabra_ai`. */
  readonly select: readonly Json[]
  /** Functions and operators that the user's text calls. */
  readonly functions: ReadonlySet<string>
  /** The whole statement's syntax, to put parts back into. */
  readonly root: Json
}

const AGGREGATES = new Set(['count_star', 'count', 'sum', 'avg', 'min', 'max'])

export function plainAggregateOf(sql: AnalysedSql, entity: Entity): PlainAggregate | null {
  const { root } = sql.tree
  const [shadow] = sql.shadows
  if (!shadow || sql.shadows.length !== 1 || sql.undeclared.length > 0 || !hasPlainFrame(root) || !isPlainSource(shadow)) return null
  if (sql.tokens.filter((token) => token.kind === 'parameter').length !== entity.key.length) return null
  const parts = readWhere(root, entity, shadow)
  const select = parts && readSelect(asList(root['select_list']))
  const functions = new Set(sql.tree.functions.map(({ name }) => name))
  return select && { shadow, ...parts, ...select, functions, root }
}

function hasPlainFrame(root: Json): boolean {
  if (root['type'] !== 'SELECT_NODE' || asObject(root['from_table'])?.['type'] !== 'BASE_TABLE') return false
  if (asList(asObject(root['from_table'])?.['column_name_alias']).length > 0) return false
  const empty = ['modifiers', 'group_expressions', 'group_sets'].every((part) => asList(root[part]).length === 0)
  const ctes = asList(asObject(root['cte_map'])?.['map']).length
  return empty && ctes === 0 && !root['having'] && !root['qualify'] && !root['sample'] && root['aggregate_handling'] === 'STANDARD_HANDLING'
}

function isPlainSource({ source, table }: Shadow): boolean {
  if (source.timestamp === null || source.available !== null || source.until !== null || source.id !== null) return false
  const column = columnOf(table, source.timestamp)
  return (
    column?.type === 'TIMESTAMP WITH TIME ZONE' ||
    column?.type === 'TIMESTAMPTZ' ||
    (column?.type === 'TIMESTAMP' && source.timezone === 'UTC')
  )
}

function readWhere(root: Json, entity: Entity, shadow: Shadow): Pick<PlainAggregate, 'keyColumns' | 'lower' | 'filters'> | null {
  const keyColumns = new Array<string | undefined>(entity.key.length)
  const filters: Json[] = []
  let lower: PlainAggregate['lower'] = null
  for (const condition of conjuncts(asObject(root['where_clause']))) {
    const key = keyEquality(condition, entity, shadow)
    const bound = key ? null : lowerBound(condition, shadow)
    if (key && keyColumns[key.index] === undefined) keyColumns[key.index] = key.column
    else if (bound && lower === null) lower = bound
    else if (isOfEvent(condition)) filters.push(condition)
    else return null
  }
  const complete = keyColumns.filter((column) => column !== undefined)
  return complete.length === entity.key.length ? { keyColumns: complete, lower, filters } : null
}

/** `created_at > NOW() - …`, either way round. An upper bound of NOW() itself says nothing new only when it is not strict about the present. */
function lowerBound(condition: Json, shadow: Shadow): PlainAggregate['lower'] {
  const types: Readonly<Record<string, readonly [column: string, other: string, inclusive: boolean]>> = {
    COMPARE_GREATERTHAN: ['left', 'right', false],
    COMPARE_GREATERTHANOREQUALTO: ['left', 'right', true],
    COMPARE_LESSTHAN: ['right', 'left', false],
    COMPARE_LESSTHANOREQUALTO: ['right', 'left', true],
  }
  const shape = types[textOf(condition['type'])]
  if (!shape) return null
  const [column, other, inclusive] = [asObject(condition[shape[0]]), asObject(condition[shape[1]]), shape[2]]
  if (columnIn(shadow, column)?.name.toLowerCase() !== shadow.source.timestamp?.toLowerCase()) return null
  const expression = other && withAsOf(other)
  return expression ? { expression, inclusive } : null
}

function readSelect(items: readonly unknown[]): Pick<PlainAggregate, 'aggregates' | 'select'> | null {
  const aggregates: { name: string; argument: Json | null; filter: Json | null }[] = []
  const replace = (expression: Json): Json | null => {
    const name = textOf(expression['function_name'])
    if (expression['class'] === 'FUNCTION' && AGGREGATES.has(name)) {
      const [argument, ...more] = asList(expression['children']).map((child) => asObject(child) ?? {})
      const filter = asObject(expression['filter']) ?? null
      const ordered = asList(asObject(expression['order_bys'])?.['orders']).length > 0
      const fits = (argument === undefined) === (name === 'count_star') && more.length === 0 && !ordered && expression['distinct'] !== true
      if (!fits || (argument && !isOfEvent(argument)) || (filter && !isOfEvent(filter))) return null
      const index = aggregates.push({ name, argument: argument ?? null, filter }) - 1
      // An alias inside an expression is the name of a struct's field.
      return columnRef([`__fabra_a${index}`], textOf(expression['alias']))
    }
    if (expression['class'] === 'COLUMN_REF' || !isPlainNode(expression)) return null
    return mapChildren(expression, replace)
  }
  const select = items.map((item) => replace({ ...asObject(item), alias: '' }))
  const complete = select.filter((expression) => expression !== null)
  return aggregates.length > 0 && complete.length === select.length ? { aggregates, select: complete } : null
}
