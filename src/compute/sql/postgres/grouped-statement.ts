/**
 * A plain query of one source over the row list, for a table that no index finds the key's rows in. There the LATERAL form reads the table once for
 * each key; this one joins it with the list, so that it is read once:
 *
 *   - aggregates: the user's own SELECT, FROM and WHERE with the list beside the source, and a group for each row of the list; rows of the list that
 *     meet nothing have the user's statement over nothing;
 *   - `… ORDER BY … LIMIT 1`: the same, and of each row of the list the first.
 *
 * Only where the two cannot differ: one SELECT without subqueries over one source, of aggregates that do not care about order, or of none. The proof is
 * that of the LATERAL form, whose body is in here: the tree of what is run must be that of our frame with exactly the parts of the proven body in it.
 */
import { type SourceEngine, SqlError, type TableColumn } from '../../../store/ports/source-engine.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import type { Edit } from '../rewrite/edits.ts'
import { isFirstOfOrder, isWord } from '../rewrite/lexer.ts'
import { setPrelude } from '../rewrite/parameters.ts'
import { canonical, HOLE } from '../rewrite/proof-tree.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import { bodyFor, nameAt, type RowReference } from '../rewrite/statement.ts'
import { nameOf } from './tree-reader.ts'

const AGGREGATES = new Set('count sum avg min max bool_and bool_or every'.split(' '))
/** Of their arguments alone, and of one row. What is not here may be an aggregate that cares about order, or give many rows. */
const SCALARS = new Set(
  (
    'abs btrim ceil ceiling char_length character_length concat date_part date_trunc exp extract floor length ln lower ltrim mod power replace round ' +
    'rtrim sign sqrt substr substring timezone trunc upper'
  ).split(' '),
)
const PARTS = new Set(['targetList', 'fromClause', 'whereClause', 'sortClause', 'limitCount', 'limitOption', 'op'])
const NONE: ReadonlySet<string> = new Set()
const UNFIT = /^(?:SubLink|SelectStmt|Xml|Json)/
const ORD = '__fabra_row.__fabra_ord'

/** What a statement is made for. */
export interface GroupedRow {
  /** As in the LATERAL form, which is proven. */
  readonly row: RowReference
  readonly keyTypes: readonly string[]
  /** Of the query alone. */
  readonly columns: readonly TableColumn[]
}

/** @returns null where the LATERAL form is the one to run. @throws SqlError unavailable */
export async function groupedStatement(sql: AnalysedSql, given: GroupedRow, store: SourceEngine): Promise<string | null> {
  const [shadow] = sql.shadows
  const indexed = shadow?.table.indexed
  const isFirst = isFirstOfOrder(sql.tokens)
  if (!indexed || sql.shadows.length !== 1 || sql.undeclared.length > 0 || !(sql.tree.alwaysOneRow || isFirst)) return null
  const texts = (isFirst ? firstOf : groupsOf)(sql, given)
  if (!texts) return null
  try {
    const body = await selectOf(store, bodyFor(sql, sql.shadows, given.row).text)
    if (!isPlain(body, isFirst) || !isSoughtUnindexed(body, indexed)) return null
    const wanted = filled(await selectOf(store, texts.frame), body)
    if (canonical(wanted) !== canonical(await selectOf(store, texts.text))) return null
    const { columns } = await store.prepare(setPrelude(given.keyTypes) + texts.text)
    return isSameColumns(columns.slice(2), given.columns) ? texts.text : null
  } catch (error) {
    if (error instanceof SqlError && error.kind !== 'unavailable') return null
    throw error
  }
}

export function isSameColumns(found: readonly TableColumn[], wanted: readonly TableColumn[]): boolean {
  return found.length === wanted.length && found.every(({ type }, i) => type === wanted[i]?.type)
}

/** A statement, and the same with holes where the parts of the user's go. */
interface Texts {
  readonly text: string
  readonly frame: string
}

/** Null where the clauses are not found. */
function groupsOf(sql: AnalysedSql, { row, keyTypes }: GroupedRow): Texts | null {
  const places = placesOf(sql)
  if (!places) return null
  const group = [ORD, '__fabra_row.__fabra_as_of', ...keyTypes.map((_, i) => `__fabra_row.__fabra_k${i}`)].join(', ')
  const end = sql.text.length
  const first = ` ${ORD}, 1 AS __fabra_hit,`
  const last = `\nGROUP BY ${group}`
  const met = bodyFor(sql, sql.shadows, row, { added: [at(places.select, first), at(places.from, LIST), at(end, last)] }).text
  const unmet = bodyFor(sql, sql.shadows, row, { added: [at(places.where, ' FALSE AND ('), at(end, '\n)')] }).text
  const metFrame = `SELECT${first} 1 AS ${HOLE} FROM${LIST}(SELECT 1) AS ${HOLE} WHERE ${HOLE}${last}`
  return { text: both(met, unmet), frame: both(metFrame, `SELECT 1 AS ${HOLE} FROM (SELECT 1) AS ${HOLE} WHERE FALSE AND (${HOLE})`) }
}

function both(met: string, unmet: string): string {
  return (
    `SELECT * FROM (\nWITH __fabra_met AS MATERIALIZED (\n${met}\n)\nSELECT * FROM __fabra_met\nUNION ALL\n` +
    `SELECT ${ORD}, __fabra_answer.*\nFROM __fabra_row JOIN LATERAL (\n` +
    `SELECT 1 AS __fabra_hit, __fabra_body.* FROM (\n${unmet}\n) AS __fabra_body\n) AS __fabra_answer ON TRUE\n` +
    `WHERE NOT EXISTS (SELECT FROM __fabra_met WHERE __fabra_met.__fabra_ord = ${ORD})\n) AS __fabra_both`
  )
}

function firstOf(sql: AnalysedSql, { row }: GroupedRow): Texts | null {
  const places = placesOf(sql)
  const [limit, one] = sql.tokens.slice(-2)
  const order = sql.tokens.findLastIndex((token, i) => isWord(token, 'order') && isWord(sql.tokens[i + 1], 'by'))
  const by = sql.tokens[order + 1]
  if (!places || !limit || !one || !by) return null
  const first = ` DISTINCT ON (${ORD}) ${ORD}, 1 AS __fabra_hit,`
  const sorted = ` ${ORD}, `
  const cut = { start: limit.start, end: one.end, text: '' }
  const added = [at(places.select, first), at(places.from, LIST), at(by.end, sorted), cut]
  const text = bodyFor(sql, sql.shadows, row, { added }).text
  return { text, frame: `SELECT${first} 1 AS ${HOLE} FROM${LIST}(SELECT 1) AS ${HOLE} WHERE ${HOLE} ORDER BY${sorted}${HOLE}` }
}

const LIST = ' __fabra_row, LATERAL '

function at(place: number, text: string): Edit {
  return { start: place, end: place, text }
}

/** Where the clauses' words end. */
function placesOf({ tokens, shadows }: AnalysedSql): { readonly select: number; readonly from: number; readonly where: number } | null {
  const [select, second] = tokens
  const name = nameAt(tokens, shadows[0]?.ref.at ?? -1)
  const from = name ? tokens[name.first - 1] : undefined
  const where = name ? tokens.find((token, i) => i > name.last && isWord(token, 'where')) : undefined
  const isFound = select && isWord(select, 'select') && !isWord(second, 'all') && from && isWord(from, 'from') && where
  return isFound ? { select: select.end, from: from.end, where: where.end } : null
}

async function selectOf(store: SourceEngine, text: string): Promise<Json> {
  const [only, ...more] = asList(asObject(await store.parse(text))?.['stmts'])
  return more.length > 0 ? {} : (asObject(asObject(asObject(only)?.['stmt'])?.['SelectStmt']) ?? {})
}

/** The frame with the parts of the body where its holes are. */
function filled(frame: unknown, body: Json): unknown {
  if (Array.isArray(frame)) {
    return frame.flatMap((item) => {
      if (asObject(asObject(item)?.['ResTarget'])?.['name'] === HOLE) return asList(body['targetList'])
      return isHole(asObject(asObject(asObject(item)?.['SortBy'])?.['node'])) ? asList(body['sortClause']) : [filled(item, body)]
    })
  }
  const node = asObject(frame)
  if (!node) return frame
  const subselect = asObject(node['RangeSubselect'])
  if (asObject(subselect?.['alias'])?.['aliasname'] === HOLE) {
    const source = asObject(asObject(asList(body['fromClause'])[0])?.['RangeSubselect'])
    return { RangeSubselect: subselect?.['lateral'] === true ? { lateral: true, ...source } : source }
  }
  if (isHole(node)) return body['whereClause']
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, filled(value, body)]))
}

function isHole(node: Json | undefined): boolean {
  return node !== undefined && fieldsOf(node).join('.') === HOLE
}

function fieldsOf(node: Json): string[] {
  return asList(asObject(node['ColumnRef'])?.['fields']).map(nameOf)
}

function isPlain(body: Json, isFirst: boolean): boolean {
  const hasParts = Object.keys(body).every((part) => PARTS.has(part)) && body['op'] === 'SETOP_NONE'
  const [source, ...more] = asList(body['fromClause'])
  if (!hasParts || isFirst !== 'sortClause' in body || more.length > 0 || !asObject(asObject(source)?.['RangeSubselect'])) return false
  // A number is a place in the list of columns, which is another one.
  const byPlace = asList(body['sortClause']).some((item) => 'A_Const' in (asObject(asObject(asObject(item)?.['SortBy'])?.['node']) ?? {}))
  return !byPlace && ['targetList', 'whereClause', 'sortClause'].every((part) => isOfRows(body[part], isFirst ? NONE : AGGREGATES))
}

/** Holds no subquery and no bare `*`, and calls nothing but known functions. */
function isOfRows(value: unknown, aggregates: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.every((item) => isOfRows(item, aggregates))
  const node = asObject(value)
  if (!node) return true
  const isBareStar = 'ColumnRef' in node && asObject(asList(asObject(node['ColumnRef'])?.['fields'])[0])?.['A_Star'] !== undefined
  if (isBareStar || Object.keys(node).some((kind) => UNFIT.test(kind))) return false
  const call = asObject(node['FuncCall'])
  if (call) {
    const names = asList(call['funcname']).map(nameOf)
    const name = names.at(-1) ?? ''
    const isKnown = (aggregates.has(name) || SCALARS.has(name)) && (names.length === 1 || names[0] === 'pg_catalog')
    if (!isKnown || call['over'] || call['agg_within_group']) return false
  }
  return Object.values(node).every((item) => isOfRows(item, aggregates))
}

/** By columns that no index begins with: by one of them alone it would be found. */
function isSoughtUnindexed(body: Json, indexed: readonly string[]): boolean {
  const sought = conjuncts(body['whereClause']).flatMap((condition) => {
    const equation = asObject(asObject(condition)?.['A_Expr'])
    if (equation?.['kind'] !== 'AEXPR_OP' || nameOf(asList(equation['name'])[0]) !== '=') return []
    const sides = [equation['lexpr'], equation['rexpr']].map((side) => fieldsOf(asObject(side) ?? {}))
    const isKey = (fields: readonly string[]) => fields[0] === '__fabra_row' && textOf(fields[1]).startsWith('__fabra_k')
    return sides.some(isKey) ? sides.filter((fields) => !isKey(fields)).flatMap((fields) => fields.at(-1) ?? []) : []
  })
  return sought.length > 0 && !sought.some((column) => indexed.includes(column))
}

function conjuncts(condition: unknown): unknown[] {
  const both = asObject(asObject(condition)?.['BoolExpr'])
  return both?.['boolop'] === 'AND_EXPR' ? asList(both['args']).flatMap(conjuncts) : [condition]
}
