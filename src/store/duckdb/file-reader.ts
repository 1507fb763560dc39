import { extname } from 'node:path'
import type { TableColumn } from '../source-store.ts'
import {
  BAD_VALUE,
  type ColumnPlan,
  checkColumns,
  isGiven,
  keyTypeOf,
  planColumns,
  type SourceColumns,
  selectExpression,
  timeColumns,
} from './column-plan.ts'
import { type CsvHeader, lineOfRecord, readCsvHeader } from './csv-header.ts'
import { ownDeadline } from './database.ts'
import { exactTypes, type Inexact, type NumberTexts, wholeFloats } from './exact-numbers.ts'
import { checkJsonNames, doubledField } from './json-names.ts'
import { checkParquet, reading } from './parquet-schema.ts'
import type { Session } from './session.ts'
import { readProblem, SourceProblem } from './source-problem.ts'
import { quoteName, quoteText } from './sql.ts'
import { engineMessage } from './sql-errors.ts'

type Format = 'csv' | 'json' | 'parquet'
const FORMATS: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.txt': 'csv',
  '.json': 'json',
  '.jsonl': 'json',
  '.ndjson': 'json',
  '.parquet': 'parquet',
  '.pq': 'parquet',
}
/** Files up to this size are looked at whole to find their columns' types; of longer ones the first rows. */
const SNIFF_ALL_BYTES = 64 * 1024 * 1024
const SNIFF_ROWS = 200_000
const LOAD = ownDeadline(30 * 60_000)
const JSON_OPTIONS = 'maximum_object_size = 67108864'

/** A user's file as the engine may read it. */
export interface SourceFile extends SourceColumns {
  /** Where the user has it: for messages. */
  readonly file: string
  /** Where the engine reads it. */
  readonly readFrom: string
  /** Bytes. */
  readonly size: number
}

/** How a file becomes a table. */
export interface FilePlan {
  readonly format: Format
  readonly plans: readonly ColumnPlan[]
  /** The table function that reads the file. */
  readonly from: string
}

/** Looks at the file and decides on its columns. @throws SourceProblem */
export async function planFile(session: Session, input: SourceFile): Promise<FilePlan> {
  const format = FORMATS[extname(input.file).toLowerCase()]
  if (!format) {
    throw new SourceProblem(
      `${input.file}: files of type "${extname(input.file) || 'without extension'}" cannot be read.`,
      'Use .csv, .tsv, .parquet, .json or .jsonl.',
    )
  }
  await checkZone(session, input.source.timezone)
  return openFile(session, input, format)
}

/** The SELECT that gives the table's rows, and under `fileRow` their place in the file. It stops at a value that does not convert. */
export function selectRows(plan: FilePlan, fileRow: string): string {
  const columns = plan.plans.map(selectExpression).join(', ')
  // Only Parquet can be read in pieces at once and still tell the place, unless a column of the file is called so.
  const tellsRow = plan.format === 'parquet' && !plan.plans.some(({ name }) => name.toLowerCase() === 'file_row_number')
  if (!tellsRow) return `SELECT ${columns}, row_number() OVER () AS ${fileRow} FROM ${plan.from}`
  return `SELECT ${columns}, file_row_number AS ${fileRow} FROM ${plan.from.slice(0, -1)}, file_row_number = true)`
}

/** What stopped the reading, in words that name the line or row where possible. */
export async function readingProblem(session: Session, input: SourceFile, plan: FilePlan, error: unknown): Promise<SourceProblem> {
  const bad = new RegExp(`${BAD_VALUE}(\\d+):`).exec(engineMessage(error))
  const column = plan.plans[Number(bad?.[1] ?? -1)]
  return column ? badValue(session, input, plan, column) : readProblem(error, input.file, input.readFrom)
}

async function openFile(session: Session, input: SourceFile, format: Format): Promise<FilePlan> {
  if (format === 'csv') return openCsv(session, input)
  if (format === 'json') return openJson(session, input)
  const from = `read_parquet(${quoteText(input.readFrom)})`
  const found = await explained(input, async () => {
    await checkParquet(reading(session, LOAD), input.readFrom, input.file)
    return describe(session, from)
  })
  checkNames(input, found)
  return { format, plans: planColumns(input, found, false), from }
}

async function openJson(session: Session, input: SourceFile): Promise<FilePlan> {
  const path = quoteText(input.readFrom)
  const json = { session, file: input.file, objects: `read_json_objects(${path}, ${JSON_OPTIONS})`, options: LOAD }
  // All rows are looked at: a number in a later one may be none of the earlier ones' type, and the engine would round it.
  const found = await explained(input, () =>
    jsonColumns(session, `${path}, ${JSON_OPTIONS}, sample_size = -1`).catch(async (error: unknown) => {
      throw (await doubledField(json, error)) ?? error
    }),
  )
  const names = found.map(({ name }) => name)
  await checkJsonNames(json, names)
  checkNames(input, found)
  const from = (columns: readonly { readonly name: string; readonly readAs: string }[]) =>
    `read_json(${path}, ${JSON_OPTIONS}, columns = {${columns.map(({ name, readAs }) => `${quoteText(name)}: ${quoteText(readAs)}`).join(', ')}})`
  const texts = { session, from: from(names.map((name) => ({ name, readAs: 'JSON' }))), options: LOAD }
  const plans = planColumns(input, await exactColumns(input, 'json', texts, found), true, 'JSON')
  return { format: 'json', plans, from: from(plans) }
}

/** Rows of many columns are rows all the same: the engine would take them for maps. */
async function jsonColumns(session: Session, file: string): Promise<TableColumn[]> {
  const found = await describe(session, `read_json(${file})`)
  const isMap = found.length === 1 && found[0]?.name === 'json' && found[0].type.startsWith('MAP(')
  return isMap ? describe(session, `read_json(${file}, map_inference_threshold = -1)`) : found
}

function checkNames(input: SourceFile, found: readonly TableColumn[]): void {
  const names = found.map((column) => column.name)
  checkColumns(input.source, names, input.file)
}

/** The columns with the types that hold their numbers exactly. Those that the definition decides on stay as they are. */
async function exactColumns(input: SourceFile, format: Format, texts: NumberTexts, found: readonly TableColumn[]): Promise<TableColumn[]> {
  const own = new Set(timeColumns(input.source).map(({ name }) => name))
  const isOpen = ({ name }: TableColumn) =>
    !own.has(name) && input.source.columns?.[name] === undefined && keyTypeOf(input, name) === undefined
  const exact = await explained(input, () => exactTypes(texts, found.filter(isOpen)))
  if (exact instanceof Map) return found.map(({ name, type }) => ({ name, type: exact.get(name) ?? type }))
  const { column, row, text, why } = exact as Inexact
  const [name] = found.map((one) => one.name).filter((one) => column.startsWith(one))
  throw new SourceProblem(
    `${input.file}, ${await placeOf(input, format, row)}: column "${column}": ${text.slice(0, 60)} ${why}.`,
    `Say what the column is: columns: { ${name ?? column}: "${column === name ? 'VARCHAR' : 'JSON'}" } keeps every digit, "DOUBLE" rounds.`,
  )
}

async function placeOf(input: SourceFile, format: Format, row: number): Promise<string> {
  return format === 'csv' ? `line ${await lineOfRecord(input.readFrom, row)}` : `row ${row}`
}

async function explained<T>(input: SourceFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SourceProblem ? error : readProblem(error, input.file, input.readFrom)
  }
}

async function openCsv(session: Session, input: SourceFile): Promise<FilePlan> {
  const header = await readCsvHeader(input.readFrom)
  if (!header) throw new SourceProblem(`${input.file} is empty.`, 'The first line must name the columns.')
  const repeated = header.columns.find((name, i) => header.columns.findIndex((other) => other.toLowerCase() === name.toLowerCase()) !== i)
  if (repeated !== undefined) throw new SourceProblem(`${input.file}, line 1: two columns are called "${repeated}".`, 'Rename one of them.')
  checkColumns(input.source, header.columns, input.file)
  const sniffed = await sniff(session, input, header)
  const from = (columns: readonly { readonly name: string; readonly readAs: string }[], formats: string) =>
    `read_csv(${quoteText(input.readFrom)}, auto_detect = false, header = true, ${dialect(header)}, columns = {${columns.map(({ name, readAs }) => `${quoteText(name)}: ${quoteText(readAs)}`).join(', ')}}${formats})`
  const texts = {
    session,
    from: from(
      header.columns.map((name) => ({ name, readAs: 'VARCHAR' })),
      '',
    ),
    options: LOAD,
  }
  const found = await exactColumns(input, 'csv', texts, sniffed.columns)
  const floatKeys = await explained(input, () =>
    wholeFloats(
      texts,
      header.columns.filter((name) => keyTypeOf(input, name) !== undefined),
    ),
  )
  const plans = planColumns(
    input,
    found.map((column) => ({ ...column, isFloatKey: floatKeys.has(column.name) })),
    true,
  )
  return { format: 'csv', plans, from: from(plans, sniffed.formats) }
}

function dialect(header: CsvHeader): string {
  return `delim = ${quoteText(header.delimiter)}, quote = '"', escape = '"', skip = 0, strict_mode = true, null_padding = false, comment = ''`
}

/** Types of the columns as far as they can be guessed. A file with a broken row is all text here; reading it then names the row. */
async function sniff(session: Session, input: SourceFile, header: CsvHeader): Promise<{ columns: TableColumn[]; formats: string }> {
  const sample = input.size <= SNIFF_ALL_BYTES ? -1 : SNIFF_ROWS
  const text = `SELECT list_transform(Columns, c -> c.type), DateFormat, TimestampFormat
    FROM sniff_csv(${quoteText(input.readFrom)}, header = true, ${dialect(header)}, sample_size = ${sample})`
  try {
    const [row] = (await session.read(text, [], LOAD)).rows
    const types = Array.isArray(row?.[0]) ? row[0].map(String) : []
    // The usual form needs no format, and with one the engine takes "infinity" for the year 1900.
    const formats = [
      { option: 'dateformat', value: row?.[1] },
      { option: 'timestampformat', value: row?.[2] },
    ].flatMap(({ option, value }) =>
      typeof value === 'string' && value !== '' && !value.startsWith('%Y-%m-%d') ? [`, ${option} = ${quoteText(value)}`] : [],
    )
    return {
      // Times in the usual form are converted by us, with their zones; the engine's reading is kept only for forms it recognised itself.
      columns: header.columns.map((name, i) => ({ name, type: plainType(types[i] ?? 'VARCHAR', input, name, formats.length > 0) })),
      formats: formats.join(''),
    }
  } catch {
    return { columns: header.columns.map((name) => ({ name, type: 'VARCHAR' })), formats: '' }
  }
}

function plainType(type: string, { source }: SourceFile, name: string, hasFormats: boolean): string {
  const isTime = name === source.timestamp || name === source.available || name === source.until
  return isTime && !hasFormats ? 'VARCHAR' : type
}

async function describe(session: Session, reader: string): Promise<TableColumn[]> {
  const { rows } = await session.read(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${reader})`, [], LOAD)
  return rows.map(([name, type]) => ({ name: String(name), type: String(type) }))
}

/** Finds the first row whose value does not convert; only on the way to an error, so a second reading does not matter. */
async function badValue(session: Session, input: SourceFile, shape: FilePlan, plan: ColumnPlan): Promise<SourceProblem> {
  const name = quoteName(plan.name)
  const text = plan.readAs === 'JSON' ? `json_extract_string(${name}, '$')` : `CAST(${name} AS VARCHAR)`
  const { rows } = await session.read(
    `SELECT row, ${text} FROM (SELECT row_number() OVER () AS row, ${name} FROM ${shape.from})
     WHERE ${isGiven(plan)} AND ${plan.tryCast ?? name} IS NULL ORDER BY row LIMIT 1`,
    [],
    LOAD,
  )
  const [row, shown = null] = rows[0] ?? []
  const place = await placeOf(input, shape.format, Number(row))
  const what = shown === null ? 'is empty' : `${JSON.stringify(shown)} is not ${plan.wanted}`
  return new SourceProblem(
    `${input.file}, ${place}: column "${plan.name}"${shown === null ? ' ' : ': '}${what}.`,
    plan.hint ??
      (plan.type === 'TIMESTAMPTZ' ? 'Write times as 2026-01-02T03:04:05Z.' : "Mend the row, or give the entity's key another type."),
  )
}

async function checkZone(session: Session, zone: string): Promise<void> {
  if (zone === 'UTC') return
  try {
    await session.read(`SELECT timezone(${quoteText(zone)}, TIMESTAMP '2000-01-01')`, [], ownDeadline())
  } catch (error) {
    throw new SourceProblem(`The time zone "${zone}" is not known.`, 'Use a name like "Europe/Berlin".', error)
  }
}
