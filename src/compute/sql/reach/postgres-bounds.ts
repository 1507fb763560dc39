/** As PostgreSQL's parser gives it. */
import type { Micros } from '../../../clock.ts'
import { nameOf as stringOf } from '../postgres/tree-reader.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { byteOffsets } from '../rewrite/edits.ts'
import { presentFunction } from '../rewrite/now-functions.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import { type Bound, type IsTimestamp, NO_AGGREGATE, SCALARS, timestampTest } from './bound.ts'
import { DAY, longest, negative, type Span, spanOf, times, truncation, unitOf } from './span.ts'

const JOINS = new Set(['JOIN_INNER', 'JOIN_LEFT', 'JOIN_RIGHT', 'JOIN_FULL'])
const same = (a: string, b: string) => a === b

export function postgresBounds(sql: AnalysedSql): readonly Bound[] {
  const characterAt = byteOffsets(sql.text)
  const found: Bound[] = []
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item)
      return
    }
    const node = asObject(value)
    if (!node) return
    const select = asObject(node['SelectStmt'])
    if (select) found.push(...boundsOf(select, sql, characterAt))
    // The halves of a UNION are written without their kind.
    for (const half of ['larg', 'rarg']) {
      const one = asObject(node[half])
      if (one && 'fromClause' in one) found.push(...boundsOf(one, sql, characterAt))
    }
    for (const child of Object.values(node)) visit(child)
  }
  visit(sql.tree.root)
  return found
}

function boundsOf(select: Json, sql: AnalysedSql, characterAt: (byte: number) => number): Bound[] {
  const items = asList(select['fromClause'])
  const tables = items.flatMap((item) => tablesOf(asObject(item)))
  const isAlone = items.length === 1 && asObject(items[0])?.['RangeVar'] !== undefined
  return tables.flatMap((table) => {
    const at = characterAt(Number(table['location'] ?? 0))
    const shadow = sql.shadows.find(({ ref }) => ref.at === at)
    if (!shadow || asList(asObject(table['alias'])?.['colnames']).length > 0) return []
    const isTimestamp = timestampTest(shadow, isAlone, same)
    const reaches = conjuncts(select['whereClause']).flatMap((condition) => reachIn(condition, isTimestamp) ?? [])
    const targets = asList(select['targetList']).map((target) => asObject(asObject(target)?.['ResTarget'])?.['val'])
    const filtered = isAlone && !GROUPED.some((part) => part in select) ? filteredReach(targets, isTimestamp) : null
    return [...reaches, ...(filtered === null || filtered === NO_AGGREGATE ? [] : [filtered])].map((reach) => ({ at, reach }))
  })
}

/** Those of which a row that WHERE drops is as good as none. */
function tablesOf(item: Json | undefined): readonly Json[] {
  const table = asObject(item?.['RangeVar'])
  if (table) return [table]
  const join = asObject(item?.['JoinExpr'])
  if (!join || !JOINS.has(textOf(join['jointype'])) || join['alias'] || join['join_using_alias']) return []
  return [...tablesOf(asObject(join['larg'])), ...tablesOf(asObject(join['rarg']))]
}

function conjuncts(condition: unknown): Json[] {
  const node = asObject(condition)
  const both = asObject(node?.['BoolExpr'])
  if (both?.['boolop'] === 'AND_EXPR') return asList(both['args']).flatMap(conjuncts)
  return node ? [node] : []
}

const GROUPED = ['groupClause', 'havingClause', 'distinctClause', 'windowClause', 'sortClause', 'limitCount', 'limitOffset']

/** Where nothing is selected but aggregates of rows that a FILTER lets through, and what is made of them: how far back the furthest looks. */
function filteredReach(items: readonly unknown[], isTimestamp: IsTimestamp): Micros | null {
  let most: Micros = NO_AGGREGATE
  for (const item of items) {
    const reach = reachOfItem(asObject(item) ?? {}, isTimestamp)
    if (reach === null) return null
    most = Math.max(most, reach)
  }
  return most
}

function reachOfItem(node: Json, isTimestamp: IsTimestamp): Micros | null {
  if ('A_Const' in node) return NO_AGGREGATE
  const call = asObject(node['FuncCall'])
  if (call?.['agg_filter'] && !call['over']) {
    const own = conjuncts(call['agg_filter']).flatMap((condition) => reachIn(condition, isTimestamp) ?? [])
    return own.length === 0 ? null : Math.min(...own)
  }
  const plain = callOf(node)
  if (plain) return SCALARS.has(plain.name) ? filteredReach(plain.given, isTimestamp) : null
  const around = asObject(node['CoalesceExpr']) ?? asObject(node['MinMaxExpr'])
  if (around) return filteredReach(asList(around['args']), isTimestamp)
  const cast = asObject(node['TypeCast'])
  if (cast) return filteredReach([cast['arg']], isTimestamp)
  const expression = asObject(node['A_Expr'])
  const [operator, ...more] = asList(expression?.['name']).map((name) => stringOf(name))
  const isPlain = expression?.['kind'] === 'AEXPR_NULLIF' || (expression?.['kind'] === 'AEXPR_OP' && SCALARS.has(operator ?? ''))
  if (!isPlain || more.length > 0) return null
  return filteredReach(
    [expression['lexpr'], expression['rexpr']].filter((side) => side !== undefined),
    isTimestamp,
  )
}

function reachIn(condition: Json, isTimestamp: IsTimestamp): Micros | null {
  const expression = asObject(condition['A_Expr'])
  const [left, right] = [asObject(expression?.['lexpr']), asObject(expression?.['rexpr'])]
  if (expression?.['kind'] === 'AEXPR_BETWEEN') {
    const [lower] = asList(asObject(right?.['List'])?.['items'])
    return isUpTo(left, isTimestamp) ? ageOf(asObject(lower)) : null
  }
  const operator = operatorOf(expression)
  if (operator === '>' || operator === '>=') return isUpTo(left, isTimestamp) ? ageOf(right) : null
  return (operator === '<' || operator === '<=') && isUpTo(right, isTimestamp) ? ageOf(left) : null
}

function isUpTo(node: Json | undefined, isTimestamp: IsTimestamp): boolean {
  const fields = asObject(node?.['ColumnRef'])?.['fields']
  if (fields) return isTimestamp(asList(fields).map((field) => stringOf(field)))
  const call = callOf(node)
  if (call?.name === 'date_trunc' && call.given.length === 2)
    return truncation(textIn(call.given[0]) ?? '') !== null && isUpTo(call.given[1], isTimestamp)
  const cast = castOf(node)
  return cast !== null && TIMES.has(cast.type) && isUpTo(cast.of, isTimestamp)
}

const TIMES = new Set(['date', 'timestamp', 'timestamptz'])

function ageOf(node: Json | undefined): Micros | null {
  const present = presentOf(node)
  if (present !== null) return present
  const cast = castOf(node)
  if (cast) {
    const age = TIMES.has(cast.type) ? ageOf(cast.of) : null
    return age === null ? null : age + (cast.type === 'date' ? DAY : 0)
  }
  const call = callOf(node)
  if (call?.name === 'date_trunc' && call.given.length === 2) {
    const [cut, age] = [truncation(textIn(call.given[0]) ?? ''), ageOf(call.given[1])]
    return cut === null || age === null ? null : age + cut
  }
  const expression = asObject(node?.['A_Expr'])
  const operator = operatorOf(expression)
  if (operator !== '-' && operator !== '+') return null
  const [age, right] = [ageOf(asObject(expression?.['lexpr'])), asObject(expression?.['rexpr'])]
  const days = numberIn(right)
  const span = spanIn(right) ?? (days === null ? null : { months: 0, micros: days * DAY })
  return age === null || span === null ? null : age + longest(operator === '-' ? span : negative(span))
}

const WORDS: Readonly<Record<string, Micros>> = {
  SVFOP_CURRENT_TIMESTAMP: 0,
  SVFOP_CURRENT_TIMESTAMP_N: 1_000_000,
  SVFOP_LOCALTIMESTAMP: 0,
  SVFOP_LOCALTIMESTAMP_N: 1_000_000,
  SVFOP_CURRENT_DATE: DAY,
}

function presentOf(node: Json | undefined): Micros | null {
  const word = asObject(node?.['SQLValueFunction'])
  if (word) return WORDS[textOf(word['op'])] ?? null
  const call = callOf(node)
  if (!call || call.given.length > 0 || !presentFunction(call.name) || /time$/.test(call.name)) return null
  return call.name === 'current_date' || call.name === 'today' ? DAY : 0
}

/** Which part of an interval a word after its text names. */
const FIELDS: Readonly<Record<number, string>> = { 2: 'month', 4: 'year', 8: 'day', 1024: 'hour', 2048: 'minute', 4096: 'second' }

function spanIn(node: Json | undefined): Span | null {
  const cast = castOf(node)
  if (cast?.type === 'interval') {
    const text = textIn(cast.of)
    if (text === null) return null
    if (cast.modifiers.length === 0) return spanOf(text)
    const field = FIELDS[numberIn(cast.modifiers[0]) ?? 0]
    const unit = field === undefined || cast.modifiers.length > 1 || !/^\s*[+-]?\d{1,9}\s*$/.test(text) ? null : unitOf(field)
    return unit && times(unit, Number(text))
  }
  const expression = asObject(node?.['A_Expr'])
  if (operatorOf(expression) === '*') {
    const [left, right] = [asObject(expression?.['lexpr']), asObject(expression?.['rexpr'])]
    const [span, count] = [spanIn(left) ?? spanIn(right), numberIn(left) ?? numberIn(right)]
    return span === null || count === null ? null : times(span, count)
  }
  const call = callOf(node)
  return call?.name === 'make_interval' ? madeOf(call.given) : null
}

function madeOf(given: readonly Json[]): Span | null {
  let sum: Span = { months: 0, micros: 0 }
  for (const one of given) {
    const named = asObject(one['NamedArgExpr'])
    const unit = unitOf(textOf(named?.['name']))
    const count = numberIn(asObject(named?.['arg']))
    const part = unit === null || count === null ? null : times(unit, count)
    if (part === null) return null
    sum = { months: sum.months + part.months, micros: sum.micros + part.micros }
  }
  return sum
}

function numberIn(node: Json | undefined): number | null {
  const constant = asObject(node?.['A_Const'])
  if (constant?.['ival']) return Number(asObject(constant['ival'])?.['ival'] ?? 0)
  const expression = asObject(node?.['A_Expr'])
  if (operatorOf(expression) !== '-' || expression?.['lexpr']) return null
  const number = numberIn(asObject(expression?.['rexpr']))
  return number === null ? null : -number
}

function textIn(node: Json | undefined): string | null {
  const text = asObject(asObject(node?.['A_Const'])?.['sval'])?.['sval']
  return typeof text === 'string' ? text : null
}

/** Null for operators that are written with their schema: they may be anybody's. */
function operatorOf(expression: Json | undefined): string | null {
  const names = asList(expression?.['name'])
  return expression?.['kind'] === 'AEXPR_OP' && names.length === 1 ? stringOf(names[0]) : null
}

interface Cast {
  readonly type: string
  readonly of: Json | undefined
  readonly modifiers: readonly Json[]
}

function castOf(node: Json | undefined): Cast | null {
  const cast = asObject(node?.['TypeCast'])
  const type = asObject(cast?.['typeName'])
  if (!cast || !type || asList(type['arrayBounds']).length > 0) return null
  const modifiers = asList(type['typmods']).map((one) => asObject(one) ?? {})
  return { type: stringOf(asList(type['names']).at(-1)), of: asObject(cast['arg']), modifiers }
}

function callOf(node: Json | undefined): { readonly name: string; readonly given: readonly Json[] } | null {
  const call = asObject(node?.['FuncCall'])
  if (!call || call['over'] || call['agg_filter'] || call['agg_star'] === true) return null
  return { name: stringOf(asList(call['funcname']).at(-1)), given: asList(call['args']).map((one) => asObject(one) ?? {}) }
}
