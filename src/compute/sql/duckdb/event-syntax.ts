/**
 * Pieces of a query over one source, as DuckDB's parser gives them: which of them look at a row of the source alone, which are the present, and
 * which say whose rows are meant. For plans that put such pieces into statements of Fabra's own.
 */
import type { Entity } from '../../../definition/model.ts'
import type { TableColumn } from '../../../store/ports/source-engine.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { isBarePresent, presentFunction } from '../rewrite/now-functions.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf } from '../rewrite/visibility.ts'

const NOW = new Set(['now', 'current_timestamp', 'get_current_timestamp', 'transaction_timestamp'])
/** Syntax that an expression over one event may consist of. */
const EVENT_CLASSES = new Set(['COLUMN_REF', 'CONSTANT', 'COMPARISON', 'CONJUNCTION', 'OPERATOR', 'FUNCTION', 'CAST', 'CASE', 'BETWEEN'])
const KEY_TYPES: Readonly<Record<string, RegExp>> = {
  string: /^VARCHAR$/,
  int: /^(?:U?INTEGER|U?SMALLINT|U?TINYINT|BIGINT)$/,
  uuid: /^UUID$/,
}

export function conjuncts(condition: Json | undefined): Json[] {
  if (!condition) return []
  if (condition['type'] !== 'CONJUNCTION_AND') return [condition]
  return asList(condition['children']).flatMap((child) => conjuncts(asObject(child)))
}

export function keyEquality(condition: Json, entity: Entity, shadow: Shadow): { index: number; column: string } | null {
  if (condition['type'] !== 'COMPARE_EQUAL') return null
  const sides = [asObject(condition['left']), asObject(condition['right'])]
  const parameter = sides.find((side) => side?.['class'] === 'PARAMETER')
  const found = columnIn(
    shadow,
    sides.find((side) => side?.['class'] === 'COLUMN_REF'),
  )
  const index = entity.key.findIndex((candidate) => candidate.name.toLowerCase() === textOf(parameter?.['identifier']).toLowerCase())
  const key = entity.key[index]
  return key && found && KEY_TYPES[key.type]?.test(found.type) ? { index, column: found.name } : null
}

/** An expression of constants and the present, with the row's as-of time for the present; null when it holds anything else. */
export function withAsOf(expression: Json): Json | null {
  if (isPresent(expression)) return columnRef(['__fabra_row', '__fabra_as_of'], textOf(expression['alias']))
  if (expression['class'] === 'COLUMN_REF' || !isPlainNode(expression)) return null
  return mapChildren(expression, withAsOf)
}

/** The present as a TIMESTAMPTZ. */
export function isPresent(expression: Json): boolean {
  if (expression['class'] === 'FUNCTION') {
    return asList(expression['children']).length === 0 && NOW.has(textOf(expression['function_name']).toLowerCase())
  }
  const [name, ...more] = asList(expression['column_names']).map(String)
  return name !== undefined && more.length === 0 && isBarePresent(name) && NOW.has(name.toLowerCase())
}

/** Whether an expression looks at columns of the event and constants only. */
export function isOfEvent(expression: Json): boolean {
  if (!isPlainNode(expression) || (expression['class'] === 'COLUMN_REF' && columnName(expression) === null)) return false
  if (expression['class'] === 'COLUMN_REF' && presentFunction((columnName(expression) ?? '').toLowerCase())) return false
  return mapChildren(expression, (child) => (isOfEvent(child) ? child : null)) !== null
}

export function isPlainNode(node: Json): boolean {
  if (!EVENT_CLASSES.has(textOf(node['class']))) return false
  if (node['class'] !== 'FUNCTION') return isExactConstant(node)
  const name = textOf(node['function_name']).toLowerCase()
  if (presentFunction(name) || name === 'age' || name === 'unnest') return false
  return node['distinct'] !== true && !node['filter'] && asList(asObject(node['order_bys'])?.['orders']).length === 0
}

export function columnRef(names: readonly string[], alias: string): Json {
  return { class: 'COLUMN_REF', type: 'COLUMN_REF', alias, query_location: 0, column_names: names }
}

/** The tree came through JSON: whole numbers beyond doubles are no longer what the user wrote. */
function isExactConstant(node: Json): boolean {
  const value = asObject(node['value'])?.['value']
  return typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)
}

/** `amount` or `transactions.amount`; null for anything longer, whose first part may be a schema. */
export function columnName(expression: Json | undefined): string | null {
  const names = asList(expression?.['column_names']).map(String)
  return names.length === 1 || names.length === 2 ? (names.at(-1) ?? null) : null
}

/** The column of the source; undefined for anything else that may look like one, such as a field of a column that holds records. */
export function columnIn({ ref, table }: Shadow, expression: Json | undefined): TableColumn | undefined {
  const [first = '', second, ...more] = asList(expression?.['column_names']).map(String)
  if (second === undefined) return columnOf(table, first)
  const isSource = first.toLowerCase() === (ref.alias || ref.name).toLowerCase() && columnOf(table, first) === undefined
  return isSource && more.length === 0 ? columnOf(table, second) : undefined
}

/** The column that a name of the text is, or is a field of; undefined where it may be something else. */
export function ownColumn(shadow: Shadow, expression: Json): TableColumn | undefined {
  const { ref, table } = shadow
  const [first = '', second, ...more] = asList(expression['column_names']).map(String)
  const field = columnOf(table, first)
  if (second === undefined) return field
  const isSource = first.toLowerCase() === (ref.alias || ref.name).toLowerCase()
  if (isSource && field !== undefined) return undefined
  return isSource ? columnOf(table, second) : more.length === 0 ? field : undefined
}

/** Functions of a SELECT list that give more rows than they are given. */
const MANY_ROWS = new Set(['unnest', 'generate_subscripts', 'regexp_split_to_table'])

export function isOneRowEach({ tree }: Pick<AnalysedSql, 'tree'>): boolean {
  return !tree.functions.some(({ name }) => MANY_ROWS.has(name))
}

/** FROM one table, without groups. */
export function hasPlainFrom(root: Json): boolean {
  const from = asObject(root['from_table'])
  if (root['type'] !== 'SELECT_NODE' || from?.['type'] !== 'BASE_TABLE' || asList(from['column_name_alias']).length > 0) return false
  const ctes = asList(asObject(root['cte_map'])?.['map']).length
  const grouped = asList(root['group_expressions']).length + asList(root['group_sets']).length
  return ctes + grouped === 0 && !root['having'] && !root['sample'] && root['aggregate_handling'] === 'STANDARD_HANDLING'
}

/** The columns of `*` or `e.*`. */
export function starColumns(node: Json, { ref, table }: Shadow): Json[] | null {
  if (node['class'] !== 'STAR' || node['columns'] === true || node['expr'] || node['unpacked'] === true) return null
  const changed = ['exclude_list', 'replace_list', 'qualified_exclude_list', 'rename_list'].some((part) => asList(node[part]).length > 0)
  const name = ref.alias || ref.name
  const relation = textOf(node['relation_name'])
  if (changed || (relation !== '' && relation.toLowerCase() !== name.toLowerCase())) return null
  return table.columns.map((column) => columnRef([name, column.name], ''))
}

/** A name of the select list that the rest of the query may mean in place of the column of that name. */
export function hidesColumns(root: Json, shadow: Shadow): boolean {
  return asList(root['select_list']).some((item) => {
    const node = asObject(item) ?? {}
    const alias = textOf(node['alias'])
    if (alias === '') return false
    const isItself = node['class'] === 'COLUMN_REF' && columnIn(shadow, node)?.name.toLowerCase() === alias.toLowerCase()
    return columnOf(shadow.table, alias) !== undefined && !isItself
  })
}

/** A copy with each child expression replaced; null when one of them has no replacement. */
export function mapChildren(node: Json, map: (child: Json) => Json | null): Json | null {
  const copy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(node)) {
    if (Array.isArray(value)) {
      const items = value.map((item) => mapValue(item, map))
      if (items.includes(null)) return null
      copy[key] = items
    } else {
      const mapped = asObject(value) ? mapValue(value, map) : value
      if (mapped === null && value !== null) return null
      copy[key] = mapped
    }
  }
  return copy
}

function mapValue(value: unknown, map: (child: Json) => Json | null): unknown {
  const node = asObject(value)
  if (!node) return value
  return 'class' in node ? map(node) : mapChildren(node, map)
}
