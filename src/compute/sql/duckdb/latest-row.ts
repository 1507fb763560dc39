/**
 * Recognises the latest row of a key: one source, the key's columns equal to the key, perhaps bounds of time counted from the present, filters that
 * look at a row alone, and of what is left the first by time, latest first: `ORDER BY time DESC … LIMIT 1`, or `QUALIFY row_number() OVER (…
 * ORDER BY time DESC …) = 1`. Such rows are found for all keys and times by one join (`latest-row-statement.ts`). Whatever is the least bit
 * different is not one.
 */
import type { Entity } from '../../../definition/model.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf } from '../rewrite/visibility.ts'
import {
  columnIn,
  conjuncts,
  hasPlainFrom,
  hidesColumns,
  isOfEvent,
  isOneRowEach,
  isPlainNode,
  isPresent,
  keyEquality,
  mapChildren,
  ownColumn,
  starColumns,
  withAsOf,
} from './event-syntax.ts'

/** A bound of time; the present is `__fabra_row.__fabra_as_of`. */
export interface TimeBound {
  readonly side: 'lower' | 'upper'
  readonly expression: Json
  readonly inclusive: boolean
}

export interface LatestRow {
  readonly shadow: Shadow
  /** Column of the source per key column. */
  readonly keyColumns: readonly string[]
  readonly bounds: readonly TimeBound[]
  readonly filters: readonly Json[]
  /** What decides between rows of one time. */
  readonly ties: readonly { readonly expression: Json; readonly way: string }[]
  readonly select: readonly Json[]
  /** Columns of the source that the select list and the ties look at. */
  readonly columns: readonly string[]
  /** Functions and operators that the user's text calls. */
  readonly functions: ReadonlySet<string>
  /** The whole statement's syntax, to put parts back into. */
  readonly root: Json
}

export interface Ordered {
  readonly orders: readonly unknown[]
  readonly partitions: readonly unknown[]
}

export function latestRowOf(sql: AnalysedSql, entity: Entity): LatestRow | null {
  const { root } = sql.tree
  const [shadow] = sql.shadows
  if (!shadow || sql.shadows.length !== 1 || sql.undeclared.length > 0 || !isLatestSource(shadow)) return null
  if (sql.tokens.filter((token) => token.kind === 'parameter').length !== entity.key.length || !isOneRowEach(sql)) return null
  const ordered = hasPlainFrom(root) ? firstOf(root) : null
  const where = ordered && readWhere(root, entity, shadow)
  // Which rows were seen, and which of them are before another time, are two orders: the join knows one.
  if (shadow.source.available !== null && where?.bounds.some(({ side }) => side === 'upper')) return null
  const ties = where && readOrder(ordered, where.keyColumns, shadow)
  const select = ties && readSelect(asList(root['select_list']), shadow)
  if (!where || !ties || !select || hidesColumns(root, shadow)) return null
  const looked = [...select, ...ties.map(({ expression }) => expression)].flatMap((expression) => columnsIn(expression, shadow))
  const functions = new Set(sql.tree.functions.map(({ name }) => name))
  return { shadow, ...where, ties, select, columns: [...new Set(looked)], functions, root }
}

/** Rows of a table, which have numbers, seen from a time on and for good. */
function isLatestSource({ source, table }: Shadow): boolean {
  if (source.timestamp === null || source.until !== null || source.id !== null) return false
  if (table.kind !== 'table' || columnOf(table, 'rowid') !== undefined) return false
  return [source.timestamp, source.available ?? source.timestamp].every((name) => {
    const type = columnOf(table, name)?.type ?? ''
    return /^TIMESTAMPTZ$|^TIMESTAMP WITH TIME ZONE$/.test(type) || (/^TIMESTAMP$|^DATE$/.test(type) && source.timezone === 'UTC')
  })
}

/** How rows are ordered of which the first alone is the answer. */
export function firstOf(root: Json): Ordered | null {
  return firstOfOrder(root) ?? firstOfWindow(root)
}

/** `ORDER BY … LIMIT 1` and nothing besides. */
function firstOfOrder(root: Json): Ordered | null {
  const [order, limit, ...more] = asList(root['modifiers']).map(asObject)
  const isFirst = order?.['type'] === 'ORDER_MODIFIER' && limit?.['type'] === 'LIMIT_MODIFIER' && more.length === 0 && !root['qualify']
  return isFirst && isOne(limit['limit']) && !limit['offset'] ? { orders: asList(order['orders']), partitions: [] } : null
}

/** `QUALIFY row_number() OVER (…) = 1` and nothing besides. */
function firstOfWindow(root: Json): Ordered | null {
  const qualify = asObject(root['qualify'])
  if (asList(root['modifiers']).length > 0 || qualify === undefined) return null
  const [left, right] = [asObject(qualify['left']), asObject(qualify['right'])]
  const isFirst = qualify['type'] === 'COMPARE_EQUAL' || (qualify['type'] === 'COMPARE_LESSTHANOREQUALTO' && isOne(right))
  const [window, one] = isOne(right) ? [left, right] : [right, left]
  const isNumber = window?.['type'] === 'WINDOW_ROW_NUMBER' && window['distinct'] !== true && !window['filter_expr']
  const plain = ['children', 'arg_orders'].every((part) => asList(window?.[part]).length === 0)
  const frame =
    window?.['start'] === 'UNBOUNDED_PRECEDING' && window['end'] === 'CURRENT_ROW_RANGE' && window['exclude_clause'] === 'NO_OTHER'
  if (!isFirst || !isOne(one) || !isNumber || !plain || !frame) return null
  return { orders: asList(window['orders']), partitions: asList(window['partitions']) }
}

function isOne(expression: unknown): boolean {
  const constant = asObject(expression)
  return constant?.['class'] === 'CONSTANT' && asObject(constant['value'])?.['value'] === 1 && typeOf(constant) === 'INTEGER'
}

function typeOf(constant: Json): string {
  return textOf(asObject(asObject(constant['value'])?.['type'])?.['id'])
}

function readWhere(root: Json, entity: Entity, shadow: Shadow): Pick<LatestRow, 'keyColumns' | 'bounds' | 'filters'> | null {
  const keyColumns = new Array<string | undefined>(entity.key.length)
  const filters: Json[] = []
  const bounds: TimeBound[] = []
  for (const condition of conjuncts(asObject(root['where_clause']))) {
    const key = keyEquality(condition, entity, shadow)
    if (key && keyColumns[key.index] === undefined) keyColumns[key.index] = key.column
    else if (isOfSource(condition, shadow)) filters.push(condition)
    else {
      const found = boundsIn(condition, shadow)
      if (!found) return null
      bounds.push(...found)
    }
  }
  const complete = keyColumns.filter((column) => column !== undefined)
  return complete.length === entity.key.length ? { keyColumns: complete, bounds, filters } : null
}

const COMPARISONS: Readonly<Record<string, readonly [side: TimeBound['side'], inclusive: boolean]>> = {
  COMPARE_GREATERTHAN: ['lower', false],
  COMPARE_GREATERTHANOREQUALTO: ['lower', true],
  COMPARE_LESSTHAN: ['upper', false],
  COMPARE_LESSTHANOREQUALTO: ['upper', true],
}

/** `created_at > NOW() - …`, either way round, and `created_at BETWEEN … AND …`. */
function boundsIn(condition: Json, shadow: Shadow): readonly TimeBound[] | null {
  if (condition['type'] === 'COMPARE_BETWEEN') {
    const [lower, upper] = [asObject(condition['lower']), asObject(condition['upper'])].map((end) => end && boundOf(end))
    if (!isTime(condition['input'], shadow) || !lower || !upper) return null
    return [
      { side: 'lower', expression: lower, inclusive: true },
      { side: 'upper', expression: upper, inclusive: true },
    ]
  }
  const [side, inclusive] = COMPARISONS[textOf(condition['type'])] ?? []
  if (side === undefined || inclusive === undefined) return null
  const isLeft = isTime(condition['left'], shadow)
  if (!isLeft && !isTime(condition['right'], shadow)) return null
  const expression = boundOf(asObject(condition[isLeft ? 'right' : 'left']) ?? {})
  const turned = side === 'lower' ? 'upper' : 'lower'
  return expression && [{ side: isLeft ? side : turned, expression, inclusive }]
}

function boundOf(expression: Json): Json | null {
  return withAsOf(expression)
}

function isTime(expression: unknown, shadow: Shadow): boolean {
  const node = asObject(expression)
  return node?.['class'] === 'COLUMN_REF' && columnIn(shadow, node)?.name === columnOf(shadow.table, shadow.source.timestamp ?? '')?.name
}

/** Time first, latest first: no row that is seen has none. Then whatever tells rows of one time apart. */
function readOrder({ orders, partitions }: Ordered, keyColumns: readonly string[], shadow: Shadow): LatestRow['ties'] | null {
  const isKey = (expression: unknown) => keyColumns.includes(columnIn(shadow, asObject(expression))?.name ?? '')
  if (!partitions.every((part) => asObject(part)?.['class'] === 'COLUMN_REF' && isKey(part))) return null
  const [time, ...more] = orders.map((order) => asObject(order) ?? {})
  if (time?.['type'] !== 'DESCENDING' || !isTime(time['expression'], shadow)) return null
  const ties: { readonly expression: Json; readonly way: string }[] = []
  for (const order of more) {
    const expression = asObject(order['expression']) ?? {}
    const way = wayOf(order)
    // A constant is a place in the select list.
    if (way === null || expression['class'] === 'CONSTANT' || !isOfSource(expression, shadow)) return null
    ties.push({ expression, way })
  }
  return ties
}

export function wayOf(order: Json): string | null {
  const direction = { ORDER_DEFAULT: '', ASCENDING: ' ASC', DESCENDING: ' DESC' }[textOf(order['type'])]
  const nulls = { ORDER_DEFAULT: '', 'NULLS FIRST': ' NULLS FIRST', 'NULLS LAST': ' NULLS LAST' }[textOf(order['null_order'])]
  return direction === undefined || nulls === undefined ? null : direction + nulls
}

/** Of the row that is found, and of the present. */
function readSelect(items: readonly unknown[], shadow: Shadow): Json[] | null {
  const replace = (expression: Json): Json | null => {
    if (isPresent(expression)) return withAsOf(expression)
    if (!isPlainNode(expression)) return null
    if (expression['class'] === 'COLUMN_REF') return ownColumn(shadow, expression) ? expression : null
    return mapChildren(expression, replace)
  }
  const select = items.flatMap((item) => {
    const node = asObject(item) ?? {}
    return starColumns(node, shadow) ?? [replace({ ...node, alias: '' })]
  })
  const complete = select.filter((expression) => expression !== null)
  return complete.length === select.length ? complete : null
}

/** Whether an expression looks at columns of the source and constants alone. */
function isOfSource(expression: Json, shadow: Shadow): boolean {
  return isOfEvent(expression) && refsIn(expression).every((ref) => ownColumn(shadow, ref))
}

function columnsIn(expression: Json, shadow: Shadow): string[] {
  return refsIn(expression).flatMap((ref) => ownColumn(shadow, ref)?.name ?? [])
}

function refsIn(value: unknown): Json[] {
  if (Array.isArray(value)) return value.flatMap(refsIn)
  const node = asObject(value)
  if (!node) return []
  return node['class'] === 'COLUMN_REF' ? [node] : Object.values(node).flatMap(refsIn)
}
