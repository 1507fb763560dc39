/**
 * Rows that were appended to a source whose table comes from files. They are kept as they were sent, as JSON, and are put into every new table:
 * as exactly what they were, or the new files are refused.
 */
import type { TableColumn } from '../../ports/source-engine.ts'
import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { quoteName, quoteText } from '../sql.ts'
import { SourceProblem } from './source-problem.ts'

const LOAD = ownDeadline(30 * 60_000)

/** Which name of the rows is which column of the table. */
export interface KeptRows {
  readonly source: string
  /** Column → names of it in rows: cases differ where files did. */
  readonly names: ReadonlyMap<string, readonly string[]>
}

export type TypeNow = (column: TableColumn) => string | undefined

export interface Misfit {
  readonly column: string
  readonly type: string
  /** As JSON. */
  readonly value: string
}

/** @param columns Of the files. @returns undefined where nothing was appended. */
export async function findKeptRows(session: Session, source: string, columns: readonly TableColumn[]): Promise<KeptRows | undefined> {
  const text = `SELECT DISTINCT unnest(json_keys(row)) AS name FROM fabra.source_rows WHERE source = $1 ORDER BY name`
  const found = (await session.read(text, [source], LOAD)).rows.map(([name]) => String(name))
  if (found.length === 0) return undefined
  const names = new Map<string, string[]>()
  for (const name of found) {
    const column = columns.find((one) => one.name === name) ?? columns.find((one) => one.name.toLowerCase() === name.toLowerCase())
    // What the files have no more is kept all the same, and is there again when they have it.
    if (column) names.set(column.name, [...(names.get(column.name) ?? []), name])
  }
  return { source, names }
}

/**
 * Columns that would change what was appended, each with the first value that would.
 * @param columns With types by their own names. @param typeNow Of the column that the rows were put into last; in one of the same type they are what they were.
 */
export async function keptMisfits(session: Session, kept: KeptRows, columns: readonly TableColumn[], typeNow: TypeNow): Promise<Misfit[]> {
  const changed = columns.flatMap((column) => {
    const was = typeNow(column)
    const json = jsonOf(kept, column.name)
    return json === undefined || was === column.type ? [] : [{ ...column, was, json }]
  })
  if (changed.length === 0) return []
  const list = changed.map(({ json, type, was }) => {
    const text = `json_extract_string(${json}, '$')`
    return `any_value(CAST(${json} AS VARCHAR)) FILTER (json_type(${json}) <> 'NULL' AND NOT COALESCE(${isSame({ json, text, type, was }) ?? 'true'}, false))`
  })
  const [row = []] = (await session.read(`SELECT ${list.join(', ')} FROM fabra.source_rows WHERE source = $1`, [kept.source], LOAD)).rows
  return changed.flatMap(({ name, type }, i) => {
    const value = row[i]
    return typeof value === 'string' ? [{ column: name, type, value }] : []
  })
}

/** Types by their own names: authors write INT, text, timestamptz. */
export async function ownTypes(session: Session, columns: readonly TableColumn[]): Promise<TableColumn[]> {
  const { rows } = await session.read(`SELECT ${columns.map(({ type }) => `typeof(CAST(NULL AS ${type}))`).join(', ')}`, [], LOAD)
  return columns.map(({ name, type }, i) => ({ name, type: String(rows[0]?.[i] ?? type) }))
}

/** The rows as the columns have them, in the columns' order. */
export function selectKept(kept: KeptRows, columns: readonly TableColumn[]): string {
  const values = columns.map(({ name, type }) => {
    const json = jsonOf(kept, name)
    return `${json === undefined ? `CAST(NULL AS ${type})` : valueFrom(json, type)} AS ${quoteName(name)}`
  })
  return `SELECT ${values.join(', ')} FROM fabra.source_rows WHERE source = ${quoteText(kept.source)}`
}

export function misfitProblem(source: string, { column, type, value }: Misfit): SourceProblem {
  return new SourceProblem(
    `Rows that were appended to "${source}" do not fit its columns any more: column "${column}" would be ${type}, which does not hold ${value.slice(0, 100)} as it was sent.`,
    `Give the column a type that holds both the file and those rows: columns: { ${column}: "…" }.`,
  )
}

function path(name: string): string {
  // A pointer: names may hold what a path gives a meaning.
  return quoteText(`/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
}

/** NULL where the row says nothing of the column. */
function jsonOf({ names }: KeptRows, column: string): string | undefined {
  const own = names.get(column)
  if (own === undefined) return undefined
  const values = own.map((name) => `json_extract(row, ${path(name)})`)
  return values.length === 1 ? values[0] : `COALESCE(${values.map((value) => `nullif(${value}, CAST('null' AS JSON))`).join(', ')})`
}

const isNested = (type: string) => /\]$|^(STRUCT|MAP|UNION)\b/.test(type)

function valueFrom(json: string, type: string): string {
  if (type === 'JSON') return json
  if (isNested(type)) return `CAST(${json} AS ${type})`
  const text = `json_extract_string(${json}, '$')`
  // A cast to a time without a zone would drop the zone instead of heeding it.
  if (/^TIMESTAMP(_S|_MS|_NS)?$/.test(type)) return `CAST(CAST(${text} AS TIMESTAMPTZ) AS ${type})`
  return `CAST(${text} AS ${type})`
}

interface Change {
  readonly json: string
  readonly text: string
  readonly type: string
  /** Undefined: there was no such column. */
  readonly was: string | undefined
}

const ZONED = '.*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)'
const EXACT_FRACTION = String.raw`[^.]*(\.[0-9]{1,6}[^0-9.]*)?([+-][0-9:]+)?`

/** Whether a value of a row (JSON, and as text) is the same in the new type; null: always. */
function isSame({ json, text, type, was }: Change): string | null {
  if (type === 'VARCHAR' || type === 'JSON') return null
  if (isNested(type)) return `CAST(to_json(TRY_CAST(${json} AS ${type})) AS VARCHAR) = CAST(${json} AS VARCHAR)`
  const value = `TRY_CAST(${text} AS ${type})`
  const back = `CAST(${value} AS VARCHAR)`
  const isText = `json_type(${json}) = 'VARCHAR'`
  if (/^TIMESTAMP/.test(type)) {
    const isZoned = `regexp_full_match(${text}, ${quoteText(ZONED)})`
    const isExact = `regexp_full_match(${text}, ${quoteText(EXACT_FRACTION)}) AND TRY_CAST(${text} AS TIMESTAMPTZ) IS NOT NULL AND regexp_matches(${text}, '^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]')`
    // Where it was a time before, its zone was heeded already.
    const zone = type === 'TIMESTAMP WITH TIME ZONE' ? isZoned : /^TIMESTAMP/.test(was ?? '') ? 'true' : `NOT ${isZoned}`
    return `${isText} AND ${isExact} AND ${zone}`
  }
  if (/^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL.*)$/.test(type)) {
    // Decimals may be sent as texts; other texts are numbers only where the number is written so.
    const asNumber = /^DECIMAL/.test(was ?? '') ? 'true' : `NOT (${isText})`
    const exponent = `regexp_matches(${text}, '[eE]') AND TRY_CAST(${text} AS DOUBLE) = TRY_CAST(${value} AS DOUBLE)`
    const float = type === 'DOUBLE' ? `OR (contains(${text}, '.') AND isfinite(${value}))` : ''
    const whole = /^(FLOAT|DOUBLE)$/.test(type) ? `CAST(TRY_CAST(${value} AS HUGEINT) AS VARCHAR)` : back
    const same = `${trimmed(back)} = ${trimmed(text)} OR ${whole} = ${text} OR (${exponent}) ${float}`
    return `${value} IS NOT NULL AND json_type(${json}) <> 'BOOLEAN' AND CASE WHEN ${asNumber} THEN ${same} ELSE ${back} = ${text} END`
  }
  return `${back} = ${text}`
}

/** A number without the zeros that say nothing. */
function trimmed(text: string): string {
  return `regexp_replace(regexp_replace(${text}, '(\\.[0-9]*?)0+$', '\\1'), '\\.$', '')`
}
