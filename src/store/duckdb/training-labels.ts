import { join } from 'node:path'
import { FabraError } from '../../errors.ts'
import { type RunOptions, SqlError, type SqlValue, type TableColumn } from '../source-store.ts'
import type { LabelFormat, Labels } from '../training-store.ts'
import { readCsvHeader } from './csv-header.ts'
import type { Session } from './session.ts'
import { readProblem, SourceProblem } from './source-problem.ts'
import { quoteName, quoteText } from './sql.ts'
import type { LabelsQuery } from './training-places.ts'
import { parquetOptions } from './training-sql.ts'

/** Whatever the labels were, they are now this view of the desk's engine: all columns, and `__fabra_ord`, the row's number from 0. */
const LABELS_VIEW = 'labels'
/** A line of JSON may be this long. */
const MAX_OBJECT_BYTES = 64 * 1024 * 1024

export interface LabelPlace {
  readonly session: Session
  /** Rows of a query over the sources, as a Parquet file. @throws SqlError */
  readonly query: (labels: LabelsQuery, options: RunOptions) => Promise<string>
  readonly folder: string
  /** Columns of CSV stay texts, byte by byte: the result is CSV too. */
  readonly asText: boolean
}

/** The label rows as they lie in the desk. */
export interface ReadLabels {
  readonly columns: readonly TableColumn[]
  /** A Parquet file with these columns, its rows in the order of the labels. */
  readonly file: string
}

export async function readLabels(labels: Labels, place: LabelPlace, options: RunOptions): Promise<ReadLabels> {
  const file = 'sql' in labels ? await queried(labels.sql, place, options) : await converted(labels, place, options)
  await place.session.execute(
    `CREATE OR REPLACE VIEW ${LABELS_VIEW} AS SELECT file_row_number AS __fabra_ord, * EXCLUDE (file_row_number)
     FROM read_parquet(${quoteText(file)}, file_row_number = true)`,
    options,
  )
  const columns = (await describe(place.session, `SELECT * EXCLUDE (__fabra_ord) FROM ${LABELS_VIEW}`, options)) ?? []
  refuseNames(columns.map((column) => column.name))
  return { columns, file }
}

async function describe(session: Session, select: string, options: RunOptions): Promise<TableColumn[]> {
  const { rows } = await session.read(`SELECT column_name, column_type FROM (DESCRIBE ${select})`, [], options)
  return rows.map(([name, type]) => ({ name: String(name), type: String(type) }))
}

function refuseNames(names: readonly string[]): void {
  const own = names.find((name) => name.toLowerCase().startsWith('__fabra_'))
  if (own !== undefined)
    throw new FabraError('column_conflict', `The labels have a column "${own}"; names that begin with "__fabra_" are Fabra's own.`, {
      hint: 'Rename the column.',
    })
  const seen = new Set<string>()
  const repeated = names.find((name) => seen.size === seen.add(name.toLowerCase()).size)
  if (repeated !== undefined)
    throw new FabraError('column_conflict', `The labels have two columns "${repeated}".`, { hint: 'Rename one of them.' })
}

/** The query runs where the sources are, as users' SQL does; only its result leaves. */
async function queried(sql: string, { query }: LabelPlace, options: RunOptions): Promise<string> {
  try {
    return await query({ sql, check: (columns) => refuseNames(columns.map((column) => column.name)) }, options)
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'timeout' || error.kind === 'interrupted' || error.kind === 'unavailable')
      throw error
    throw new FabraError('invalid_labels', `The SQL of the labels is refused: ${error.message.split('\n', 1)[0]}`, {
      hint: 'Write one SELECT over your sources that gives the key columns and event_timestamp.',
      cause: error,
    })
  }
}

async function converted(labels: { format: LabelFormat; path: string }, place: LabelPlace, options: RunOptions): Promise<string> {
  const { session, folder } = place
  try {
    if (labels.format === 'parquet') {
      const found = await describe(session, `SELECT * FROM read_parquet(${quoteText(labels.path)})`, options)
      refuseNames(found.map((column) => column.name))
      return labels.path
    }
    const select = labels.format === 'csv' ? await csvSelect(labels.path, place, options) : await jsonSelect(labels.path, session, options)
    const file = join(folder, 'labels.parquet')
    await session.execute(`COPY (${select.text}) TO ${quoteText(file)} (${parquetOptions(select.columnCount)})`, options)
    return file
  } catch (error) {
    if (error instanceof FabraError || (error instanceof SqlError && (error.kind === 'timeout' || error.kind === 'interrupted')))
      throw error
    const problem = error instanceof SourceProblem ? error : readProblem(error, labels.path)
    const message = problem.message.replaceAll(labels.path, 'the labels')
    throw new FabraError('invalid_labels', message.charAt(0).toUpperCase() + message.slice(1), { hint: problem.hint, cause: error })
  }
}

/** Texts become numbers only where writing the number gives the same number again; all other texts stay as they are. */
const CSV_TYPES = [
  { type: 'BIGINT', pattern: '-?(0|[1-9][0-9]{0,17})' },
  { type: 'DOUBLE', pattern: '-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]{1,2})?' },
  { type: 'BOOLEAN', pattern: 'true|false' },
] as const

interface FileSelect {
  readonly text: string
  readonly columnCount: number
}

async function csvSelect(path: string, { session, asText }: LabelPlace, options: RunOptions): Promise<FileSelect> {
  const header = await readCsvHeader(path)
  if (!header) throw new FabraError('invalid_labels', 'The labels are empty.', { hint: 'The first line must name the columns.' })
  refuseNames(header.columns)
  const types = header.columns.map((name) => `${quoteText(name)}: 'VARCHAR'`)
  const from =
    `read_csv(${quoteText(path)}, auto_detect = false, header = true, delim = ${quoteText(header.delimiter)}, quote = '"', escape = '"', ` +
    `strict_mode = true, null_padding = false, comment = '', allow_quoted_nulls = false, columns = {${types.join(', ')}})`
  const columnCount = header.columns.length
  if (asText) return { text: `SELECT * FROM ${from}`, columnCount }
  const matching = await ofEachColumn(
    { session, from, columns: header.columns },
    CSV_TYPES.map(({ pattern }) => `bool_and(regexp_full_match(v, ${quoteText(pattern)}))`),
    options,
  )
  const columns = header.columns.map((name, i) => {
    const found = CSV_TYPES[matching[i]?.indexOf(true) ?? -1]
    return found ? `CAST(${quoteName(name)} AS ${found.type}) AS ${quoteName(name)}` : quoteName(name)
  })
  return { text: `SELECT ${columns.join(', ')} FROM ${from}`, columnCount }
}

/**
 * Aggregates over the values `v` of each column. The columns of a row become rows on the way: as many aggregates as there are columns would
 * take the engine's planner a time that grows with their square.
 * @returns per column, in their order; aggregates over no values are NULL.
 */
async function ofEachColumn(
  { session, from, columns }: { readonly session: Session; readonly from: string; readonly columns: readonly string[] },
  aggregates: readonly string[],
  options: RunOptions,
): Promise<readonly (readonly SqlValue[])[]> {
  const { rows } = await session.read(
    `SELECT i, ${aggregates.join(', ')} FROM (SELECT unnest(range(${columns.length})) AS i, unnest([${columns.map(quoteName).join(', ')}]) AS v FROM ${from}) GROUP BY i`,
    [],
    options,
  )
  const found = new Map(rows.map(([i, ...values]) => [Number(i), values]))
  return columns.map((_, i) => found.get(i) ?? [])
}

/** Every column is read as JSON first, so that no text is taken for a time and no number is rounded. */
async function jsonSelect(path: string, session: Session, options: RunOptions): Promise<FileSelect> {
  const plain = `${quoteText(path)}, format = 'newline_delimited', maximum_object_size = ${MAX_OBJECT_BYTES}, records = true`
  // Rows of many columns are rows all the same: the engine would take them for maps.
  const asRows = 'maximum_depth = 1, sample_size = -1, map_inference_threshold = -1'
  const found = await describe(session, `SELECT * FROM read_json(${plain}, ${asRows})`, options)
  if (found.length === 0 || (found.length === 1 && found[0]?.name === 'json')) {
    throw new FabraError('invalid_labels', 'The labels hold no rows with columns.', {
      hint: 'Each row is a JSON object: {"user_id": "u1", …}.',
    })
  }
  refuseNames(found.map((column) => column.name))
  const from = `read_json(${plain}, columns = {${found.map(({ name }) => `${quoteText(name)}: 'JSON'`).join(', ')}})`
  const names = found.map(({ name }) => name)
  const kinds = await ofEachColumn(
    { session, from, columns: names },
    [`list_distinct(list(json_type(v)) FILTER (${isValue('v')}))`],
    options,
  )
  const columns = names.map((name, i) => {
    const listed = kinds[i]?.[0]
    return `${jsonColumn(name, Array.isArray(listed) ? listed.map(String) : [])} AS ${quoteName(name)}`
  })
  return { text: `SELECT ${columns.join(', ')} FROM ${from}`, columnCount: names.length }
}

function isValue(name: string): string {
  return `${quoteName(name)} IS NOT NULL AND json_type(${quoteName(name)}) <> 'NULL'`
}

function jsonColumn(name: string, kinds: readonly string[]): string {
  const column = quoteName(name)
  const text = `json_extract_string(${column}, '$')`
  const all = (...allowed: readonly string[]) => kinds.length > 0 && kinds.every((kind) => allowed.includes(kind))
  if (all('BIGINT', 'UBIGINT')) return `CAST(${text} AS BIGINT)`
  if (all('BIGINT', 'UBIGINT', 'DOUBLE')) return `CAST(${text} AS DOUBLE)`
  if (all('BOOLEAN')) return `CAST(${text} AS BOOLEAN)`
  if (all('VARCHAR')) return text
  return `CASE WHEN ${isValue(name)} THEN ${column} END`
}
