/**
 * Recognises a plain look-up by key, with whatever stands for the key: one source, at least one column equal to a parameter, other conditions that look
 * at a row of the source alone or compare something of it with something of the call; and of that COUNT, SUM, AVG, MIN and MAX, or the first row of
 * an order. Calls of it are answered together by one join with the list of calls (`keyed-query-statement.ts`), which the engine plans and runs in a
 * third of the time of LATERAL. Whatever is the least bit different is not one.
 */
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import type { RowReference, Shadow } from '../rewrite/statement.ts'
import {
  columnRef,
  conjuncts,
  hasPlainFrom,
  hidesColumns,
  isOneRowEach,
  isPlainNode,
  isPresent,
  mapChildren,
  ownColumn,
  starColumns,
  withAsOf,
} from './event-syntax.ts'
import { firstOf, wayOf } from './latest-row.ts'

export interface KeyedQuery {
  readonly shadow: Shadow
  /** Of a row of the source alone. */
  readonly filters: readonly Json[]
  /** Of a row of the source and a call. */
  readonly meets: readonly Json[]
  /** In the select list, aggregate i is the column `__fabra_ai`; empty: the first row of an order. */
  readonly aggregates: readonly KeyedAggregate[]
  readonly orders: readonly { readonly expression: Json; readonly way: string }[]
  readonly select: readonly Json[]
  readonly functions: ReadonlySet<string>
  readonly root: Json
}

export interface KeyedAggregate {
  readonly name: string
  readonly isDistinct: boolean
  readonly argument: Json | null
  readonly filter: Json | null
}

/** What an expression looks at. */
type Side = 'source' | 'call' | 'both' | 'neither'

const AGGREGATES = new Set(['count_star', 'count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or'])
const COMPARISONS = new Set([
  'COMPARE_EQUAL',
  'COMPARE_GREATERTHAN',
  'COMPARE_GREATERTHANOREQUALTO',
  'COMPARE_LESSTHAN',
  'COMPARE_LESSTHANOREQUALTO',
])

/** @param parameter SQL of a column of the list, as in the LATERAL form. */
export function keyedQueryOf(sql: AnalysedSql, parameter: RowReference['parameter']): KeyedQuery | null {
  const { root } = sql.tree
  const [shadow] = sql.shadows
  if (!shadow || sql.shadows.length !== 1 || sql.undeclared.length > 0 || !isKeyedSource(shadow)) return null
  if (!hasPlainFrom(root) || !isOneRowEach(sql)) return null
  const reader = new Reader(shadow, parameter)
  const where = reader.where(root)
  const body = where && (root['qualify'] || asList(root['modifiers']).length > 0 ? reader.first(root) : reader.aggregates(root))
  const functions = new Set(sql.tree.functions.map(({ name }) => name))
  return body && { shadow, ...where, ...body, functions, root }
}

/** Seen by comparisons of its columns, as they are, with the time of the call. */
function isKeyedSource({ source, table }: Shadow): boolean {
  return (
    source.until === null &&
    source.id === null &&
    /^UTC$/i.test(source.timezone) &&
    !table.columns.some(({ name }) => /^rowid$/i.test(name))
  )
}

class Reader {
  private readonly shadow: Shadow
  private readonly parameter: RowReference['parameter']

  constructor(shadow: Shadow, parameter: RowReference['parameter']) {
    this.shadow = shadow
    this.parameter = parameter
  }

  where(root: Json): Pick<KeyedQuery, 'filters' | 'meets'> | null {
    const filters: Json[] = []
    const meets: Json[] = []
    let isKeyed = false
    for (const condition of conjuncts(asObject(root['where_clause'])).flatMap(bothEnds)) {
      const written = this.put(condition)
      if (!written) return null
      const [left, right] = [sideOf(asObject(written['left'])), sideOf(asObject(written['right']))]
      const isMeeting = COMPARISONS.has(textOf(written['type'])) && [left, right].includes('source') && [left, right].includes('call')
      if (sideOf(written) === 'source') filters.push(written)
      else if (isMeeting) meets.push(written)
      else return null
      if (isMeeting && written['type'] === 'COMPARE_EQUAL') isKeyed ||= isKey(condition)
    }
    return isKeyed ? { filters, meets } : null
  }

  first(root: Json): Pick<KeyedQuery, 'aggregates' | 'orders' | 'select'> | null {
    const ordered = firstOf(root)
    if (!ordered || ordered.partitions.length > 0 || ordered.orders.length === 0 || hidesColumns(root, this.shadow)) return null
    const orders: { readonly expression: Json; readonly way: string }[] = []
    for (const order of ordered.orders.map((one) => asObject(one) ?? {})) {
      const expression = asObject(order['expression']) ?? {}
      const [written, way] = [this.put(expression), wayOf(order)]
      // What is no column may be a place in the select list.
      if (way === null || !written || sideOf(written) !== 'source') return null
      orders.push({ expression: written, way })
    }
    const select = asList(root['select_list']).flatMap((item) => {
      const node = asObject(item) ?? {}
      return starColumns(node, this.shadow) ?? [this.put({ ...node, alias: '' })]
    })
    const complete = select.filter((expression) => expression !== null)
    return complete.length === select.length ? { aggregates: [], orders, select: complete } : null
  }

  aggregates(root: Json): Pick<KeyedQuery, 'aggregates' | 'orders' | 'select'> | null {
    const aggregates: KeyedAggregate[] = []
    const replace = (expression: Json): Json | null => {
      const name = textOf(expression['function_name'])
      if (expression['class'] === 'FUNCTION' && AGGREGATES.has(name)) {
        const aggregate = this.aggregate(name, expression)
        if (!aggregate) return null
        // An alias inside an expression is the name of a struct's field.
        return columnRef([`__fabra_a${aggregates.push(aggregate) - 1}`], textOf(expression['alias']))
      }
      const ofCall = this.ofCall(expression)
      if (ofCall) return ofCall
      if (expression['class'] === 'COLUMN_REF' || !isPlainNode(expression)) return null
      return mapChildren(expression, replace)
    }
    const select = asList(root['select_list']).map((item) => replace({ ...asObject(item), alias: '' }))
    const complete = select.filter((expression) => expression !== null)
    return aggregates.length > 0 && complete.length === select.length ? { aggregates, orders: [], select: complete } : null
  }

  private aggregate(name: string, expression: Json): KeyedAggregate | null {
    const [argument, ...more] = asList(expression['children']).map((child) => this.put(asObject(child) ?? {}))
    const filter = expression['filter'] ? this.put(asObject(expression['filter']) ?? {}) : undefined
    const isOrdered = asList(asObject(expression['order_bys'])?.['orders']).length > 0
    const isWhole = (argument === undefined) === (name === 'count_star') && more.length === 0 && !isOrdered
    if (!isWhole || argument === null || filter === null) return null
    return { name, isDistinct: expression['distinct'] === true, argument: argument ?? null, filter: filter ?? null }
  }

  /** With the list's columns for the call's values and its present; null where it holds anything that is not plain. */
  private put(expression: Json): Json | null {
    const ofCall = this.ofCall(expression)
    if (ofCall) return ofCall
    if (!isPlainNode(expression)) return null
    if (expression['class'] === 'COLUMN_REF') return ownColumn(this.shadow, expression) ? expression : null
    return mapChildren(expression, (child) => this.put(child))
  }

  private ofCall(expression: Json): Json | null {
    if (isPresent(expression)) return withAsOf(expression)
    if (expression['class'] !== 'PARAMETER') return null
    const names = this.parameter(`$${textOf(expression['identifier'])}`, 0).split('.')
    return /^__fabra_k\d+$/.test(names[1] ?? '') ? columnRef(names, textOf(expression['alias'])) : null
  }
}

/** `BETWEEN` as the two comparisons that it is. */
function bothEnds(condition: Json): Json[] {
  if (condition['type'] !== 'COMPARE_BETWEEN') return [condition]
  const compared = (type: string, right: unknown) => ({
    class: 'COMPARISON',
    type,
    alias: '',
    query_location: 0,
    left: condition['input'],
    right,
  })
  return [compared('COMPARE_GREATERTHANOREQUALTO', condition['lower']), compared('COMPARE_LESSTHANOREQUALTO', condition['upper'])]
}

/** A bare column beside a bare parameter. */
function isKey({ left, right }: Json): boolean {
  const classes = [asObject(left)?.['class'], asObject(right)?.['class']]
  return classes.includes('COLUMN_REF') && classes.includes('PARAMETER')
}

function sideOf(value: unknown): Side {
  if (Array.isArray(value)) return value.map(sideOf).reduce(joined, 'neither')
  const node = asObject(value)
  if (!node) return 'neither'
  if (node['class'] === 'COLUMN_REF') return asList(node['column_names'])[0] === '__fabra_row' ? 'call' : 'source'
  return Object.values(node).map(sideOf).reduce(joined, 'neither')
}

function joined(a: Side, b: Side): Side {
  if (a === b || b === 'neither') return a
  return a === 'neither' ? b : 'both'
}
