/**
 * Which tables of a text give it only rows of the key: those whose column is held equal to a key column by the outermost AND of a WHERE beside the
 * FROM that names them. Rows of other keys then cannot matter, and may be left out before the statement begins. What is the least bit unclear
 * is not told of.
 */
import type { Entity } from '../../../definition/model.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { byteOffsets } from '../rewrite/edits.ts'
import { keyIndex } from '../rewrite/parameters.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf } from '../rewrite/visibility.ts'

export interface KeyCondition {
  readonly column: string
  /** Which column of the entity's key. */
  readonly key: number
}

export function keyConditions(sql: AnalysedSql, entity: Entity): ReadonlyMap<Shadow, readonly KeyCondition[]> {
  const characterAt = byteOffsets(sql.text)
  const found = new Map<Shadow, readonly KeyCondition[]>()
  const shadowAt = (table: Json) => {
    const place = table['query_location']
    const at = typeof place === 'number' && Number.isSafeInteger(place) ? characterAt(place) : null
    return sql.shadows.find(({ ref }) => ref.at === at)
  }
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item)
      return
    }
    const node = asObject(value)
    if (!node) return
    if (node['type'] === 'SELECT_NODE')
      for (const [shadow, conditions] of conditionsOf(node, shadowAt, entity)) found.set(shadow, conditions)
    for (const child of Object.values(node)) visit(child)
  }
  visit(sql.tree.root)
  return found
}

function conditionsOf(
  node: Json,
  shadowAt: (table: Json) => Shadow | undefined,
  entity: Entity,
): readonly (readonly [Shadow, readonly KeyCondition[]])[] {
  const from = asObject(node['from_table'])
  const equalities = conjuncts(asObject(node['where_clause'])).flatMap((condition) => equality(condition, entity) ?? [])
  if (!from || equalities.length === 0) return []
  const isAlone = from['type'] === 'BASE_TABLE'
  return tablesKept(from).flatMap((table) => {
    const shadow = shadowAt(table)
    if (!shadow || asList(table['column_name_alias']).length > 0) return []
    const called = (textOf(table['alias']) || shadow.ref.name).toLowerCase()
    const conditions = equalities.flatMap(({ names: [first = '', second], key }) => {
      // Beside other tables it is not told whose column it is.
      if (second === undefined ? !isAlone : first.toLowerCase() !== called) return []
      const column = columnOf(shadow.table, second ?? first)
      return column ? [{ column: column.name, key }] : []
    })
    return conditions.length > 0 ? [[shadow, conditions] as const] : []
  })
}

/** Tables of which every row that WHERE sees comes by itself: what an outer join fills up is not among them. */
function tablesKept(from: Json): readonly Json[] {
  if (from['type'] === 'BASE_TABLE') return [from]
  if (from['type'] !== 'JOIN') return []
  const kind = textOf(from['ref_type'])
  const isLeftAlone = kind === 'ASOF' || from['join_type'] !== 'INNER'
  const [left, right] = [asObject(from['left']), asObject(from['right'])]
  if (!left || !right || !KINDS.has(kind) || !LEFT_KEPT.has(textOf(from['join_type']))) return []
  return isLeftAlone ? tablesKept(left) : [...tablesKept(left), ...tablesKept(right)]
}

const KINDS = new Set(['REGULAR', 'CROSS', 'NATURAL', 'ASOF'])
const LEFT_KEPT = new Set(['INNER', 'LEFT'])

function conjuncts(condition: Json | undefined): readonly Json[] {
  if (!condition) return []
  if (condition['type'] !== 'CONJUNCTION_AND') return [condition]
  return asList(condition['children']).flatMap((child) => conjuncts(asObject(child)))
}

function equality(condition: Json, entity: Entity): { readonly names: readonly string[]; readonly key: number } | null {
  if (condition['type'] !== 'COMPARE_EQUAL') return null
  const sides = [asObject(condition['left']), asObject(condition['right'])]
  const parameter = sides.find((side) => side?.['class'] === 'PARAMETER')
  const column = sides.find((side) => side?.['class'] === 'COLUMN_REF')
  const names = asList(column?.['column_names']).map(String)
  const key = keyIndex(`$${textOf(parameter?.['identifier'])}`, entity)
  return parameter && key >= 0 && (names.length === 1 || names.length === 2) ? { names, key } : null
}
