import { join } from 'node:path'
import { FabraError } from '../../../errors.ts'
import { type RunOptions, SqlError, type SqlValue, type TableColumn } from '../../ports/source-engine.ts'
import type { LabelFormat, Labels } from '../../ports/training-store.ts'
import type { Session } from '../connection/session.ts'
import { type CsvText, csvProblem, openCsvText } from '../sources/csv-text.ts'
import { numberTests, ofEachColumn } from '../sources/exact-numbers.ts'
import { checkJsonNames } from '../sources/json-names.ts'
import { checkParquet, reading } from '../sources/parquet-schema.ts'
import { readProblem, SourceProblem } from '../sources/source-problem.ts'
import { FLOAT_EXPONENT } from '../sources/text-types.ts'
import { quoteName, quoteText } from '../sql.ts'
import type { LabelsQuery } from './local-stores.ts'
import { parquetOptions } from './typed-values.ts'

/** Whatever the labels were, they are now this view of the workspace's engine: all columns, and `__fabra_ord`, the row's number from 0. */
const LABELS_VIEW = 'labels'
/** The longest whole numbers that Parquet holds. */
const EXACT_WHOLE = 'DECIMAL(38,0)'
/** A line of JSON may be this long. */
const MAX_OBJECT_BYTES = 64 * 1024 * 1024

export interface LabelReading {
  readonly session: Session
  /** Rows of a query over the sources, as a Parquet file. @throws SqlError */
  readonly query: (labels: LabelsQuery, options: RunOptions) => Promise<string>
  readonly folder: string
  /** Columns of CSV stay texts, byte by byte: the result is CSV too. */
  readonly asText: boolean
}

/** The label rows as they lie in the workspace. */
export interface ReadLabels {
  readonly columns: readonly TableColumn[]
  /** A Parquet file with these columns, its rows in the order of the labels. */
  readonly file: string
}

export async function readLabels(labels: Labels, place: LabelReading, options: RunOptions): Promise<ReadLabels> {
  const file = 'sql' in labels ? await queried(labels.sql, place, options) : await converted(labels, place, options)
  return readParquet(file, place.session, options)
}

async function readParquet(file: string, session: Session, options: RunOptions): Promise<ReadLabels> {
  await session.execute(
    `CREATE OR REPLACE VIEW ${LABELS_VIEW} AS SELECT file_row_number AS __fabra_ord, * EXCLUDE (file_row_number)
     FROM read_parquet(${quoteText(file)}, file_row_number = true)`,
    options,
  )
  const columns = (await describe(session, `SELECT * EXCLUDE (__fabra_ord) FROM ${LABELS_VIEW}`, options)) ?? []
  refuseNames(columns.map((column) => column.name))
  return { columns, file }
}

export interface Sampling extends Pick<LabelReading, 'session' | 'folder'> {
  readonly count: number
  /** Column of the times that they are spread over. */
  readonly by: string
}

/** Every so many-th of the rows by their times, in the order of the labels. */
export async function sampleLabels(
  { file: all }: ReadLabels,
  { session, folder, count, by }: Sampling,
  options: RunOptions,
): Promise<{ readonly read: ReadLabels; readonly taken: { readonly of: number; readonly rows: readonly number[] } }> {
  const ranked = `SELECT file_row_number AS row, row_number() OVER (ORDER BY ${quoteName(by)}, file_row_number) - 1 AS n, count(*) OVER () AS of
    FROM read_parquet(${quoteText(all)}, file_row_number = true)`
  const chosen = `SELECT row, of FROM (${ranked}) WHERE of <= ${count} OR (n * ${count}) // of > ((n - 1) * ${count}) // of OR n = 0`
  const { rows } = await session.read(`SELECT row, of FROM (${chosen}) ORDER BY row LIMIT ${count}`, [], options)
  const numbers = rows.map(([row]) => Number(row))
  const file = join(folder, 'sampled.parquet')
  await session.execute(
    `COPY (SELECT * EXCLUDE (file_row_number) FROM read_parquet(${quoteText(all)}, file_row_number = true)
     WHERE file_row_number IN (${numbers.length === 0 ? '-1' : numbers.join(', ')}) ORDER BY file_row_number) TO ${quoteText(file)} (FORMAT parquet)`,
    options,
  )
  return { read: await readParquet(file, session, options), taken: { of: Number(rows[0]?.[1] ?? 0), rows: numbers } }
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
async function queried(sql: string, { query }: LabelReading, options: RunOptions): Promise<string> {
  try {
    return await query({ sql, check: (columns) => refuseNames(columns.map((column) => column.name)) }, options)
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'timeout' || error.kind === 'interrupted' || error.kind === 'unavailable')
      throw error
    // What the engine says may hold rows that whoever asks must not see; the log has it.
    throw new FabraError('invalid_labels', 'The SQL of the labels fails on the rows that it reads, or the database refuses it.', {
      hint: 'Look at its casts and divisions, and write one SELECT over your sources that gives the key columns and event_timestamp.',
      cause: error,
    })
  }
}

async function converted(labels: { format: LabelFormat; path: string }, place: LabelReading, options: RunOptions): Promise<string> {
  const { session, folder } = place
  let text: CsvText | undefined
  try {
    if (labels.format === 'parquet') {
      await checkParquet(reading(session, options), labels.path, 'the labels')
      const found = await describe(session, `SELECT * FROM read_parquet(${quoteText(labels.path)})`, options)
      refuseNames(found.map((column) => column.name))
      return labels.path
    }
    if (labels.format === 'arrow') {
      const { arrowToParquet } = await import('./arrow-labels.ts')
      const parquet = join(folder, 'labels.parquet')
      await arrowToParquet(labels.path, parquet, session, options)
      return parquet
    }
    if (labels.format === 'csv') text = await openCsvText(labels.path, labels.path, folder)
    const select = labels.format === 'csv' ? await csvSelect(text, place, options) : await jsonSelect(labels.path, session, options)
    const file = join(folder, 'labels.parquet')
    await session.execute(`COPY (${select.text}) TO ${quoteText(file)} (${parquetOptions(select.columnCount)})`, options)
    return file
  } catch (error) {
    if (error instanceof FabraError || (error instanceof SqlError && (error.kind === 'timeout' || error.kind === 'interrupted')))
      throw error
    const explain = () => (text ? csvProblem(error, text, labels.path) : readProblem(error, labels.path))
    const problem = error instanceof SourceProblem ? error : await explain()
    const message = problem.message.replaceAll(labels.path, 'the labels')
    throw new FabraError('invalid_labels', message.charAt(0).toUpperCase() + message.slice(1), { hint: problem.hint, cause: error })
  }
}

/** Texts become numbers only where writing the number gives the same number again; all other texts stay as they are. */
const CSV_TYPES = [
  { type: 'BIGINT', test: (text: string) => `${isWhole(text)} AND NOT (${numberTests(text).beyond64})` },
  // Parquet has no whole numbers of more than 64 bits, but decimals.
  { type: EXACT_WHOLE, test: isWhole },
  {
    type: 'DOUBLE',
    test: (text: string) =>
      `regexp_full_match(${text}, '-?(0|[1-9][0-9]*)(\\.[0-9]+)?|${FLOAT_EXPONENT}') AND NOT (${numberTests(text).inexact})`,
  },
  { type: 'BOOLEAN', test: (text: string) => `regexp_full_match(${text}, 'true|false')` },
] as const

interface FileSelect {
  readonly text: string
  readonly columnCount: number
}

function isWhole(text: string): string {
  return `regexp_full_match(${text}, '-?(0|[1-9][0-9]{0,37})')`
}

async function csvSelect(opened: CsvText | undefined, { session, asText }: LabelReading, options: RunOptions): Promise<FileSelect> {
  if (!opened) throw new FabraError('invalid_labels', 'The labels are empty.', { hint: 'The first line must name the columns.' })
  const { header } = opened
  refuseNames(header.columns)
  const types = header.columns.map((name) => `${quoteText(name)}: 'VARCHAR'`)
  const from =
    `read_csv(${quoteText(opened.path)}, auto_detect = false, header = true, delim = ${quoteText(header.delimiter)}, quote = '"', escape = '"', ` +
    `strict_mode = true, null_padding = false, comment = '', allow_quoted_nulls = false, columns = {${types.join(', ')}})`
  const columnCount = header.columns.length
  if (asText) return { text: `SELECT * FROM ${from}`, columnCount }
  const fits = await ofEachColumn(
    { session, from, options },
    header.columns,
    CSV_TYPES.map(({ test }) => `bool_and(${test('t')})`),
  )
  const columns = header.columns.map((name, i) => {
    const found = CSV_TYPES[fits[i]?.indexOf(true) ?? -1]
    return found ? `CAST(${quoteName(name)} AS ${found.type}) AS ${quoteName(name)}` : quoteName(name)
  })
  return { text: `SELECT ${columns.join(', ')} FROM ${from}`, columnCount }
}

/** Every column is read as JSON first, so that no text is taken for a time and no number is rounded. */
async function jsonSelect(path: string, session: Session, options: RunOptions): Promise<FileSelect> {
  const plain = `${quoteText(path)}, format = 'newline_delimited', maximum_object_size = ${MAX_OBJECT_BYTES}`
  // Rows of many columns are rows all the same: the engine would take them for maps.
  const asRows = 'records = true, maximum_depth = 1, sample_size = -1, map_inference_threshold = -1'
  const found = await describe(session, `SELECT * FROM read_json(${plain}, ${asRows})`, options)
  if (found.length === 0 || (found.length === 1 && found[0]?.name === 'json')) {
    throw new FabraError('invalid_labels', 'The labels hold no rows with columns.', {
      hint: 'Each row is a JSON object: {"user_id": "u1", …}.',
    })
  }
  const names = found.map((column) => column.name)
  refuseNames(names)
  await checkJsonNames({ session, file: 'the labels', objects: `read_json_objects(${plain})`, options }, names)
  const from = `read_json(${plain}, records = true, columns = {${names.map((name) => `${quoteText(name)}: 'JSON'`).join(', ')}})`
  const { whole, inexact, overflow, beyond64 } = numberTests('t')
  const isValue = `t IS NOT NULL AND t <> 'null'`
  const facts = await ofEachColumn({ session, from, options }, names, [
    `list_distinct(list(json_type(t::JSON)) FILTER (${isValue}))`,
    `min(row) FILTER (${overflow})`,
    `count_if(${isValue} AND NOT ${whole})`,
    `count_if(${beyond64})`,
    `count_if(${whole} AND NOT ${isWhole('t')})`,
    `count_if(${inexact})`,
  ])
  const columns = names.map((name, i) => {
    const [listed, overflowRow, fractions, beyond64Count, beyondAll, inexacts] = facts[i] ?? []
    if (typeof overflowRow === 'number') throw tooLarge(name, overflowRow - 1)
    const kinds = Array.isArray(listed) ? listed.map(String) : []
    return `${jsonColumn(name, kinds, { fractions, beyond64: beyond64Count, beyondAll, inexact: inexacts })} AS ${quoteName(name)}`
  })
  return { text: `SELECT ${columns.join(', ')} FROM ${from}`, columnCount: names.length }
}

function tooLarge(name: string, row: number): FabraError {
  return new FabraError('invalid_labels', `Row ${row} of the labels (counting from 0): "${name}" is larger than any number can be.`, {
    hint: 'Write it as a text, or null.',
  })
}

function isValue(name: string): string {
  return `${quoteName(name)} IS NOT NULL AND json_type(${quoteName(name)}) <> 'NULL'`
}

/** How many of a column's numbers are fractions, beyond 64 bits, beyond every type of whole numbers, and whole but others as floats. */
type NumberCounts = Readonly<Record<'fractions' | 'beyond64' | 'beyondAll' | 'inexact', SqlValue | undefined>>

function jsonColumn(name: string, kinds: readonly string[], numbers: NumberCounts): string {
  const column = quoteName(name)
  const value = `CASE WHEN ${isValue(name)} THEN ${column} END`
  const text = `json_extract_string(${column}, '$')`
  const all = (...allowed: readonly string[]) => kinds.length > 0 && kinds.every((kind) => allowed.includes(kind))
  if (all('BIGINT', 'UBIGINT', 'DOUBLE')) {
    const { fractions, beyond64, beyondAll, inexact } = numbers
    if (fractions === 0 && beyondAll === 0) return `CAST(CAST(${value} AS VARCHAR) AS ${beyond64 === 0 ? 'BIGINT' : EXACT_WHOLE})`
    // What no type holds stays as it is written.
    return inexact === 0 ? `CAST(${text} AS DOUBLE)` : value
  }
  if (all('BOOLEAN')) return `CAST(${text} AS BOOLEAN)`
  if (all('VARCHAR')) return text
  return value
}
