/** Statements by which training sets are made. Rows and values are Parquet files of the workspace's folder; `rows` is a quoted path. */
import type { ValueType } from '../../../definition/model.ts'
import type { TypedColumn } from '../../ports/training-store.ts'
import { quoteText } from '../sql.ts'
import { isQuotient, quotientOf } from './quotients.ts'

/** The row list of `SourceStore.queryOver`, out of a file. */
export function rowTableFrom(rows: string, entity: number, keyCount: number, range: { from: number; to: number }): string {
  const keys = Array.from({ length: keyCount }, (_, i) => `__fabra_e${entity}_k${i} AS __fabra_k${i}`)
  return `CREATE OR REPLACE TEMP TABLE __fabra_row AS
SELECT __fabra_ord, ${keys.join(', ')}, __fabra_as_of
FROM read_parquet(${rows})
WHERE __fabra_ord >= ${range.from} AND __fabra_ord < ${range.to}`
}

/** Values in one row group of the workspace's files: it is held at once by who writes it, and its pages by who reads it. */
const GROUP_VALUES = 8_388_608
/** As the engine makes them, and what it rounds them to. */
const [MOST_GROUP_ROWS, FEWEST_GROUP_ROWS] = [122_880, 2_048]

/** A dictionary of more values saves little, and trying to make one takes the engine several times as long as writing the rows. */
const MOST_DICTIONARY_VALUES = 4_000
/** For a file that is read once or twice. */
export const DRAFT = `COMPRESSION snappy, DICTIONARY_SIZE_LIMIT ${MOST_DICTIONARY_VALUES}`

/** How a file of the workspace's own is written. @param columnCount Of all columns that are held at once with these. */
export function parquetOptions(columnCount: number, how: string = DRAFT): string {
  return `FORMAT parquet, ${how}, ROW_GROUP_SIZE ${groupRows(columnCount)}`
}

function groupRows(columnCount: number): number {
  const fitting = Math.floor(GROUP_VALUES / Math.max(1, columnCount) / FEWEST_GROUP_ROWS) * FEWEST_GROUP_ROWS
  return Math.min(MOST_GROUP_ROWS, Math.max(FEWEST_GROUP_ROWS, fitting))
}

/** A statement's values in their declared types. Fails on a value that does not fit, so that no other value takes its place. */
export function typedValues(text: string, columns: readonly TypedColumn[]): string {
  const names = columns.map((_, i) => `c${i}`)
  const select = columns.map(({ index, type, sqlType }, i) => `${typedValue(`t.c${index}`, type, sqlType)} AS v${i}`)
  return `SELECT t.__fabra_ord, CAST(NULL AS TIMESTAMPTZ) AS __fabra_event_at, ${select.join(', ')}
FROM (\n${text}\n) AS t(__fabra_ord, __fabra_hit, ${names.join(', ')})
WHERE t.__fabra_hit IS NOT NULL`
}

const NOT_OF_TYPE = "error('a value does not fit its type')"
/** JSON takes at most six bytes for one of text, and a value holds 64 KiB. */
const SHORT_TEXT = 10_000

/** Whether `typedValue` can bring an SQL type into a declared one. */
export function canType(type: ValueType, sqlType: string): boolean {
  const from = sqlType.toUpperCase()
  if (type === 'int') return /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(\d+,\s*0\))$/.test(from)
  if (type === 'float') return isQuotient(sqlType) || /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL.*|FLOAT|DOUBLE)$/.test(from)
  if (type === 'string') return from === 'VARCHAR'
  if (type === 'bool') return from === 'BOOLEAN'
  return type === 'timestamp' && (from === 'TIMESTAMP' || from === 'TIMESTAMP WITH TIME ZONE')
}

function typedValue(value: string, type: ValueType, sqlType: string): string {
  if (type === 'int') return `CAST(${value} AS BIGINT)`
  if (type === 'float') {
    if (isQuotient(sqlType)) return quotientOf(value, sqlType)
    if (/^(FLOAT|DOUBLE)$/i.test(sqlType))
      return `CASE WHEN ${value} IS NULL OR isfinite(${value}) THEN CAST(${value} AS DOUBLE) ELSE ${NOT_OF_TYPE} END`
    // By way of text, because the engine's own conversion of long numbers is not the nearest double.
    return /^(DECIMAL|U?HUGEINT)/i.test(sqlType) ? `CAST(CAST(${value} AS VARCHAR) AS DOUBLE)` : `CAST(${value} AS DOUBLE)`
  }
  if (type === 'string') return `CASE WHEN ${value} IS NULL OR strlen(${value}) <= ${SHORT_TEXT} THEN ${value} ELSE ${NOT_OF_TYPE} END`
  if (type === 'timestamp') {
    const instant = `CAST(${value} AS TIMESTAMPTZ)`
    return `CASE WHEN ${value} IS NULL OR ${instant} BETWEEN TIMESTAMPTZ '1685-01-01' AND TIMESTAMPTZ '2255-01-01' THEN ${instant} ELSE ${NOT_OF_TYPE} END`
  }
  return value
}

/** A value's JSON text in its declared type; JSON's null is NULL. */
export function decoded(text: string, type: ValueType): string {
  if (type === 'int') return `CAST(NULLIF(${text}, 'null') AS BIGINT)`
  if (type === 'float') return `CAST(NULLIF(${text}, 'null') AS DOUBLE)`
  if (type === 'bool') return `CAST(NULLIF(${text}, 'null') AS BOOLEAN)`
  if (type === 'string') return `json_extract_string(${text}, '$')`
  if (type === 'timestamp') return `CAST(json_extract_string(${text}, '$') AS TIMESTAMPTZ)`
  return `CAST(NULLIF(${text}, 'null') AS JSON)`
}

/** A recorded value's text; the text of an object as a list of its columns' texts: it is looked through once for all of them. */
export function recordedText(text: string, members: readonly string[]): string {
  if (members.length === 0) return text
  return `CAST(json_extract(${text}, [${members.map((name) => quoteText(`$."${name}"`)).join(', ')}]) AS VARCHAR[])`
}

/** One column's text out of what `recordedText` gives. */
export function memberText(list: string, column: number): string {
  return `COALESCE(${list}[${column + 1}], 'null')`
}

/** A literal of a declared type from its JSON text. */
export function literal(text: string, type: ValueType): string {
  return decoded(quoteText(text), type)
}
