/** As DuckDB's parser gives it. */
import type { Micros } from '../../../clock.ts'
import { conjuncts } from '../duckdb/event-syntax.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { byteOffsets } from '../rewrite/edits.ts'
import { presentFunction } from '../rewrite/now-functions.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import { columnOf } from '../rewrite/visibility.ts'
import { type Bound, type IsTimestamp, NO_AGGREGATE, SCALARS, timestampTest } from './bound.ts'
import { DAY, longest, negative, type Span, spanOf, times, truncation, unitOf } from './span.ts'

const JOINS = new Set(['INNER', 'LEFT', 'RIGHT', 'OUTER'])
const KINDS = new Set(['REGULAR', 'CROSS'])
const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase()

export function duckdbBounds(sql: AnalysedSql): readonly Bound[] {
  const characterAt = byteOffsets(sql.text)
  const found: Bound[] = []
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item)
      return
    }
    const node = asObject(value)
    if (!node) return
    if (node['type'] === 'SELECT_NODE' && !node['sample']) found.push(...boundsOf(node, sql, characterAt))
    for (const child of Object.values(node)) visit(child)
  }
  visit(sql.tree.root)
  return found
}

function boundsOf(node: Json, sql: AnalysedSql, characterAt: (byte: number) => number): Bound[] {
  const from = asObject(node['from_table'])
  const tables = tablesOf(from)
  const aliases = asList(node['select_list']).map((item) => textOf(asObject(item)?.['alias']))
  return tables.flatMap((table) => {
    const place = table['query_location']
    const at = typeof place === 'number' && Number.isSafeInteger(place) ? characterAt(place) : -1
    const shadow = sql.shadows.find(({ ref }) => ref.at === at)
    if (!shadow || asList(table['column_name_alias']).length > 0 || table['sample']) return []
    const timestamp = columnOf(shadow.table, shadow.source.timestamp ?? '')?.name ?? ''
    // What is selected under the column's name might be meant.
    const isAlone = from?.['type'] === 'BASE_TABLE' && !aliases.some((alias) => same(alias, timestamp))
    const isTimestamp = timestampTest(shadow, isAlone, same)
    const reaches = conjuncts(asObject(node['where_clause'])).flatMap((condition) => reachIn(condition, isTimestamp) ?? [])
    const filtered = isAlone && isOneGroup(node) ? filteredReach(asList(node['select_list']), isTimestamp) : null
    return [...reaches, ...(filtered === null || filtered === NO_AGGREGATE ? [] : [filtered])].map((reach) => ({ at, reach }))
  })
}

/** Those of which a row that WHERE drops is as good as none. */
function tablesOf(from: Json | undefined): readonly Json[] {
  if (from?.['type'] === 'BASE_TABLE') return [from]
  if (from?.['type'] !== 'JOIN' || !KINDS.has(textOf(from['ref_type'])) || !JOINS.has(textOf(from['join_type']))) return []
  if (asList(from['using_columns']).length > 0 && from['join_type'] === 'OUTER') return []
  return [...tablesOf(asObject(from['left'])), ...tablesOf(asObject(from['right']))]
}

/** Aggregates of all rows together. */
function isOneGroup(node: Json): boolean {
  const parts = ['modifiers', 'group_expressions', 'group_sets'].every((part) => asList(node[part]).length === 0)
  return parts && !node['having'] && !node['qualify'] && node['aggregate_handling'] === 'STANDARD_HANDLING'
}

/** Where nothing is selected but aggregates of rows that a FILTER lets through, and what is made of them: how far back the furthest looks. */
function filteredReach(items: readonly unknown[], isTimestamp: IsTimestamp): Micros | null {
  let most: Micros = NO_AGGREGATE
  for (const item of items) {
    const node = asObject(item) ?? {}
    const filter = asObject(node['filter'])
    const isAround =
      node['class'] === 'CAST' || (node['class'] === 'OPERATOR' && node['type'] === 'OPERATOR_COALESCE') || SCALARS.has(nameOf(node))
    const around = node['class'] === 'CAST' ? [node['child']] : asList(node['children'])
    const own = conjuncts(filter).flatMap((condition) => reachIn(condition, isTimestamp) ?? [])
    const reach =
      node['class'] === 'CONSTANT'
        ? NO_AGGREGATE
        : filter
          ? own.length === 0
            ? null
            : Math.min(...own)
          : isAround
            ? filteredReach(around, isTimestamp)
            : null
    if (reach === null) return null
    most = Math.max(most, reach)
  }
  return most
}

function reachIn(condition: Json, isTimestamp: IsTimestamp): Micros | null {
  const [left, right] = [asObject(condition['left']), asObject(condition['right'])]
  switch (condition['type']) {
    case 'COMPARE_GREATERTHAN':
    case 'COMPARE_GREATERTHANOREQUALTO':
      return isUpTo(left, isTimestamp) ? ageOf(right) : null
    case 'COMPARE_LESSTHAN':
    case 'COMPARE_LESSTHANOREQUALTO':
      return isUpTo(right, isTimestamp) ? ageOf(left) : null
    case 'COMPARE_BETWEEN':
      return isUpTo(asObject(condition['input']), isTimestamp) ? ageOf(asObject(condition['lower'])) : null
    default:
      return null
  }
}

/** The timestamp, or what is never later: its day, or it cut to a unit. */
function isUpTo(node: Json | undefined, isTimestamp: IsTimestamp): boolean {
  if (!node) return false
  if (node['class'] === 'COLUMN_REF') return isTimestamp(asList(node['column_names']).map(String))
  const [first, second] = childrenOf(node)
  if (nameOf(node) === 'date_trunc') return truncation(constantText(first) ?? '') !== null && isUpTo(second, isTimestamp)
  return /^(DATE|TIMESTAMP|TIMESTAMP WITH TIME ZONE)$/.test(castType(node)) && isUpTo(asObject(node['child']), isTimestamp)
}

/** By how much it is earlier than the present at most. */
function ageOf(node: Json | undefined): Micros | null {
  if (!node) return null
  const present = presentOf(node)
  if (present !== null) return present
  const cast = castType(node)
  if (cast !== '') {
    const age = /^(DATE|TIMESTAMP|TIMESTAMP WITH TIME ZONE)$/.test(cast) ? ageOf(asObject(node['child'])) : null
    return age === null ? null : age + (cast === 'DATE' ? DAY : 0)
  }
  const [first, second] = childrenOf(node)
  const name = nameOf(node)
  if (name === 'date_trunc') {
    const cut = truncation(constantText(first) ?? '')
    const age = ageOf(second)
    return cut === null || age === null ? null : age + cut
  }
  if (name !== '-' && name !== '+') return null
  const age = ageOf(first)
  const span = spanIn(second) ?? daysIn(second)
  return age === null || span === null ? null : age + longest(name === '-' ? span : negative(span))
}

/** 0, or a day where it is the day of the present; null for anything else. */
function presentOf(node: Json): Micros | null {
  const names = asList(node['column_names']).map(String)
  const word = node['class'] === 'FUNCTION' && childrenOf(node).length === 0 ? nameOf(node) : names.length === 1 ? (names[0] ?? '') : ''
  const name = word.toLowerCase()
  if (name === '' || !presentFunction(name) || /time$/.test(name)) return null
  return name === 'current_date' || name === 'today' ? DAY : 0
}

function spanIn(node: Json | undefined): Span | null {
  if (!node) return null
  if (castType(node) === 'INTERVAL') {
    const text = constantText(asObject(node['child']))
    return text === null ? null : spanOf(text)
  }
  const name = nameOf(node)
  const [first, second] = childrenOf(node)
  if (name === '*') {
    const [span, count] = [spanIn(first) ?? spanIn(second), numberIn(first) ?? numberIn(second)]
    return span === null || count === null ? null : times(span, count)
  }
  const unit = /^to_(\w+)$/.exec(name)?.[1]
  const count = numberIn(first)
  const length = unit === undefined ? null : unitOf(unit)
  return length === null || count === null || second ? null : times(length, count)
}

/** A day less a number is so many days before. */
function daysIn(node: Json | undefined): Span | null {
  const count = node?.['class'] === 'CONSTANT' ? numberIn(node) : null
  return count === null || !Number.isInteger(count) ? null : { months: 0, micros: count * DAY }
}

function numberIn(node: Json | undefined): number | null {
  if (!node) return null
  if (castType(node) !== '') return /INT|DOUBLE/.test(castType(node)) ? numberIn(asObject(node['child'])) : null
  const [first, second] = childrenOf(node)
  if (nameOf(node) === 'trunc' && !second) return numberIn(first)
  if (nameOf(node) === '-' && !second) {
    const number = numberIn(first)
    return number === null ? null : -number
  }
  const constant = asObject(node['value'])
  const value = constant?.['value']
  if (node['class'] !== 'CONSTANT' || constant?.['is_null'] === true) return null
  // Decimals are told without their point.
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && !/DECIMAL/.test(textOf(asObject(constant?.['type'])?.['id'])) ? value : null
  return typeof value === 'string' && /^[+-]?\d{1,12}$/.test(value.trim()) ? Number(value) : null
}

function constantText(node: Json | undefined): string | null {
  const value = asObject(node?.['value'])?.['value']
  return node?.['class'] === 'CONSTANT' && typeof value === 'string' ? value : null
}

function castType(node: Json): string {
  return node['class'] === 'CAST' && node['try_cast'] !== true ? textOf(asObject(node['cast_type'])?.['id']) : ''
}

function nameOf(node: Json): string {
  return node['class'] === 'FUNCTION' ? textOf(node['function_name']).toLowerCase() : ''
}

function childrenOf(node: Json): Json[] {
  return asList(node['children']).map((child) => asObject(child) ?? {})
}
