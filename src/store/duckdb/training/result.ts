/** The last statement of a training set: label rows in their order, each with the values that were found for it. */

import type { DeclaredType } from '../../../definition/model.ts'
import type { TableColumn } from '../../ports/source-engine.ts'
import type { OutputColumn, OutputFeature, OutputFormat, ValuesId } from '../../ports/training-store.ts'
import { quoteName, quoteText } from '../sql.ts'
import { nestedSqlType } from './declared-columns.ts'
import { decoded, literal, memberText, parquetOptions } from './typed-values.ts'

/** How values lie in the workspace: in their types, as texts per column, or as `stepsOfRows` has them of several features, texts or in their types. */
export interface HeldValues {
  readonly kind: 'typed' | 'texts' | 'recorded' | 'decoded'
  /** What to read: a table, or a call of read_parquet. */
  readonly from: string
  /** Of `recorded` and `decoded`: which of the features there. */
  readonly f: number
}

/** Name of a table with the columns `event_at` and `fresh_until`, in microseconds; none for a feature whose values' ages alone decide. */
export type FreshUntilTables = ReadonlyMap<OutputFeature, string>

interface JoinedValues extends HeldValues {
  /** Their name in the statement. */
  readonly at: string
}

/** `__fabra_ord`, the columns of the labels, then those asked for. */
export function resultSelect(
  rows: string,
  labels: readonly TableColumn[],
  features: readonly OutputFeature[],
  held: (values: ValuesId) => HeldValues,
  columns: readonly OutputColumn[],
  freshUntil: FreshUntilTables,
): string {
  const kept = labels.map(({ name }) => `l.${quoteName(name)}`)
  const used = columns.flatMap((column) => features[column.feature] ?? [])
  const access = [...new Set(used.map((feature) => held(feature.values).from))]
  const added = columns.map((column) => {
    const feature = features[column.feature]
    if (!feature) return 'NULL'
    const values = held(feature.values)
    const at = `f${access.indexOf(values.from)}`
    const sql =
      column.content === 'status'
        ? statusSql(feature, { ...values, at }, { until: `u${column.feature}.fresh_until`, unrecorded: `n${column.feature}` })
        : valueSql(column, feature, { ...values, at })
    return `${sql} AS ${quoteName(column.name)}`
  })
  const joins = access.map((from, i) => `LEFT JOIN ${from} AS f${i} ON f${i}.__fabra_ord = l.__fabra_ord`)
  for (const [f, { unrecorded }] of features.entries()) {
    if (unrecorded === undefined || !columns.some(({ feature }) => feature === f)) continue
    joins.push(`LEFT JOIN ${held(unrecorded.values).from} AS n${f} ON n${f}.__fabra_ord = l.__fabra_ord`)
  }
  for (const column of columns) {
    const feature = features[column.feature]
    const table = column.content === 'status' && feature ? freshUntil.get(feature) : undefined
    if (!feature || table === undefined) continue
    const { from, f } = held(feature.values)
    const until = `u${column.feature}`
    joins.push(`LEFT JOIN ${table} AS ${until} ON ${until}.event_at = epoch_us(f${access.indexOf(from)}.e${f})`)
  }
  const needsTime = columns.some(({ content }) => content !== 'value')
  return `SELECT ${['l.__fabra_ord', ...kept, ...added].join(', ')}
FROM labels AS l
${needsTime ? `JOIN read_parquet(${rows}) AS r ON r.__fabra_ord = l.__fabra_ord\n` : ''}${joins.join('\n')}
ORDER BY l.__fabra_ord`
}

function valueSql(column: OutputColumn, given: OutputFeature, values: JoinedValues): string {
  const { feature, firstColumn } = given
  const { at, kind, f } = values
  const { found, eventAt } = foundSql(values)
  if (column.content === 'event_timestamp') return `CASE WHEN ${found} THEN ${eventAt} END`
  const declared = feature.columns[column.column]
  const type = declared?.type ?? 'json'
  const whole = `${at}.${kind === 'texts' ? `c${column.column}` : `v${f}`}`
  const text = kind === 'texts' || declared?.name === null || !declared ? whole : memberText(whole, column.column)
  const value = kind === 'typed' ? `${at}.v${firstColumn + column.column}` : kind === 'decoded' ? whole : decoded(text, type)
  const fallback = feature.defaults?.[column.column]
  const unknown = given.unrecorded === undefined ? '' : ` WHEN n${column.feature}.__fabra_ord IS NOT NULL THEN NULL`
  return fallback === undefined ? value : `CASE WHEN ${found} THEN ${value}${unknown} ELSE ${literal(fallback, type)} END`
}

interface StatusPlaces {
  /** Where the time is, until which a value is fresh, if its age alone does not decide. */
  readonly until: string
  /** Where there is a row for those that are not recorded. */
  readonly unrecorded: string
}

function statusSql(given: OutputFeature, values: JoinedValues, { until, unrecorded }: StatusPlaces): string {
  const { feature, freshness } = given
  const { found, eventAt } = foundSql(values)
  const isFresh: string[] = []
  const longest = Math.min(freshness?.freshFor ?? Number.POSITIVE_INFINITY, freshness?.maxStaleness ?? Number.POSITIVE_INFINITY)
  if (freshness && Number.isFinite(longest)) isFresh.push(`epoch_us(r.__fabra_as_of) - epoch_us(${eventAt}) <= CAST(${longest} AS BIGINT)`)
  if (freshness?.freshFor === null) isFresh.push(`epoch_us(r.__fabra_as_of) <= ${until}`)
  const fresh = isFresh.length === 0 ? "'fresh'" : `CASE WHEN ${isFresh.join(' AND ')} THEN 'fresh' ELSE 'stale' END`
  const unknown = given.unrecorded === undefined ? '' : ` WHEN ${unrecorded}.__fabra_ord IS NOT NULL THEN 'not_recorded'`
  return `CASE WHEN ${found} THEN ${fresh}${unknown} ELSE '${feature.defaults ? 'default' : 'missing'}' END`
}

function foundSql({ at, kind, f }: JoinedValues): { readonly found: string; readonly eventAt: string } {
  return isRecorded(kind)
    ? { found: `${at}.e${f} IS NOT NULL`, eventAt: `${at}.e${f}` }
    : { found: `${at}.__fabra_ord IS NOT NULL`, eventAt: `COALESCE(${at}.__fabra_event_at, r.__fabra_as_of)` }
}

/** Whether values come with their events' times, which tell that there is one. */
export function isRecorded(kind: HeldValues['kind']): boolean {
  return kind === 'recorded' || kind === 'decoded'
}

/** Types whose every value has a JSON text of its own. */
const PLAIN = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT)|BOOLEAN|VARCHAR)$/

/** Each row's text with its number, in any order: other rows, another order or other values are another hash. JSON is the quickest text. */
export function hashSelect(file: string, columns: readonly TableColumn[]): string {
  const texts = columns.map(({ name, type }) => (PLAIN.test(type) ? quoteName(name) : `CAST(${quoteName(name)} AS VARCHAR)`))
  const row = `md5_number(CAST(json_array(${['file_row_number', ...texts].join(', ')}) AS VARCHAR))`
  return `SELECT sha256(COUNT(*) || ' ' || COALESCE(bit_xor(${row}), 0)) FROM read_parquet(${quoteText(file)}, file_row_number = true)`
}

/** The finished rows as they are written: text formats get times as RFC 3339, and numbers with all their digits. */
export function writtenSelect(
  from: string,
  columns: readonly TableColumn[],
  format: OutputFormat,
  types: ReadonlyMap<string, DeclaredType>,
): string {
  const select = columns.map(({ name, type }) => {
    const nested = format === 'parquet' || format === 'arrow' ? nestedSqlType(types.get(name)) : null
    const quoted = quoteName(name)
    return `${nested === null ? written(quoted, type, format) : `CAST(${quoted} AS ${nested})`} AS ${quoted}`
  })
  return `SELECT ${select.join(', ')} FROM ${from}`
}

export interface WrittenFile {
  readonly path: string
  readonly format: OutputFormat
  readonly metadata: Readonly<Record<string, string>>
  readonly columnCount: number
}

/** For the formats that the engine writes itself. */
export function writeStatement(select: string, target: WrittenFile & { readonly format: Exclude<OutputFormat, 'arrow'> }): string {
  const entries = Object.entries(target.metadata).map(([key, value]) => `${quoteName(key)}: ${quoteText(value)}`)
  const options = {
    parquet: `${parquetOptions(target.columnCount, 'COMPRESSION zstd')}, KV_METADATA {${entries.join(', ')}}`,
    csv: 'FORMAT csv, HEADER true',
    jsonl: 'FORMAT json',
  }[target.format]
  return `COPY (${select}) TO ${quoteText(target.path)} (${options})`
}

function written(name: string, type: string, format: OutputFormat): string {
  // A column of JSON is text to everything that reads Parquet.
  if (format !== 'jsonl' && type === 'JSON') return `CAST(${name} AS VARCHAR)`
  if (format === 'parquet' || format === 'arrow') return name
  if (type === 'TIMESTAMP WITH TIME ZONE') return `replace(strftime(${name}, '%Y-%m-%dT%H:%M:%S.%fZ'), '.000000Z', 'Z')`
  if (/^TIMESTAMP(_S|_MS|_NS)?$/.test(type)) return `replace(CAST(${name} AS VARCHAR), ' ', 'T')`
  // JSON has no words for what is not a number.
  if (format === 'jsonl' && /^(DOUBLE|FLOAT)$/.test(type)) return `CASE WHEN isfinite(${name}) THEN ${name} END`
  if (format === 'jsonl' && /^(DECIMAL|U?HUGEINT)/.test(type)) return `CAST(CAST(${name} AS VARCHAR) AS JSON)`
  return name
}
