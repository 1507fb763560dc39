import { dirname } from 'node:path'
import type { Source } from '../../../definition/model.ts'
import { SqlError, type TableColumn } from '../../ports/source-engine.ts'
import { type FileFormat, formatOfFile } from '../../ports/source-file-list.ts'
import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { engineMessage } from '../connection/sql-errors.ts'
import { quoteName, quoteText } from '../sql.ts'
import {
  BAD_VALUE,
  type ColumnPlan,
  checkColumns,
  EPOCHS,
  type FoundColumn,
  formatOf,
  isGiven,
  keyTypeOf,
  planColumns,
  type SourceColumns,
  selectExpression,
  timeColumns,
} from './column-plan.ts'
import type { CsvHeader } from './csv-header.ts'
import { lineOfRecord } from './csv-scan.ts'
import { type CsvText, csvProblem, openCsvText } from './csv-text.ts'
import { dayMonthProblem } from './day-and-month.ts'
import { exactTypes, type NumberTexts, wholeFloats } from './exact-numbers.ts'
import { refuseForeign } from './foreign-file.ts'
import { checkJsonNames, doubledField } from './json-names.ts'
import { checkParquet, reading } from './parquet-schema.ts'
import { readProblem, SourceProblem } from './source-problem.ts'
import { type TextColumns, textTypes } from './text-types.ts'

const LOAD = ownDeadline(30 * 60_000)
const JSON_OPTIONS = 'maximum_object_size = 67108864'
const TIME_HINT =
  'Write times as 2026-01-02T03:04:05Z, or say how they are written with format on the source, such as format: "%d/%m/%Y %H:%M".'

/** A user's file as the engine may read it. */
export interface SourceFile extends SourceColumns {
  /** Where the user has it: for messages. */
  readonly file: string
  /** Where the engine reads it. */
  readonly readFrom: string
  /** Column → types that it may not take: rows that were appended to the source would not be what they were. */
  readonly rejected?: ReadonlyMap<string, readonly string[]>
}

/** How a file becomes a table. */
export interface FilePlan {
  /** `staged`: rows of several files, read already. */
  readonly format: FileFormat | 'staged'
  readonly plans: readonly ColumnPlan[]
  /** The table function that reads the file. */
  readonly from: string
  /** Of CSV: what is really read. */
  readonly csv?: CsvText | undefined
  /** The column that has the row's place already. */
  readonly row?: string
  /** Whether the column's type follows from its texts. */
  readonly isChosen: (column: string) => boolean
}

/** A file that was looked at, before it is decided what its columns are. */
export interface OpenedFile {
  readonly format: FileFormat
  readonly found: readonly FoundColumn[]
  /** Columns of which nothing but their texts says what they are. */
  readonly texts: readonly string[]
  readonly among: TextColumns['among']
  /** How it gives columns as texts; null: its columns have types of their own. */
  readonly textsAs: 'VARCHAR' | 'JSON' | null
  /** The table function that gives `texts`. */
  readonly readTexts: () => string
  readonly reader: (plans: readonly Pick<ColumnPlan, 'name' | 'readAs'>[]) => string
  readonly csv?: CsvText
  /** Columns that the file's folders stand for. */
  readonly partition?: readonly string[]
}

/** Looks at the file and decides on its columns. @throws SourceProblem */
export async function planFile(session: Session, input: SourceFile): Promise<FilePlan> {
  const opened = await openFile(session, input)
  checkColumns(
    input.source,
    opened.found.map((column) => column.name),
    input.file,
  )
  return planOpened(input, opened, await typesOf(session, input, opened))
}

/** @throws SourceProblem */
export async function openFile(session: Session, input: SourceFile): Promise<OpenedFile> {
  await checkZone(session, input.source.timezone)
  await checkFormats(session, input.source)
  const format = formatOfFile(input.file)?.format
  if (format === 'csv') return openCsv(session, input)
  return format === 'json' ? openJson(session, input) : openParquet(session, input)
}

/** @param types Of the columns of texts. */
export function planOpened(input: SourceFile, opened: OpenedFile, types: ReadonlyMap<string, string>): FilePlan {
  const plans = planColumns(input, opened.found, opened.textsAs, types, opened.partition)
  const isJson = (column: string) => opened.format === 'json' && isOpen(input, column)
  const isChosen = (column: string) => opened.texts.includes(column) || opened.partition?.includes(column) === true || isJson(column)
  return { format: opened.format, plans, from: opened.reader(plans), csv: opened.csv, isChosen }
}

/** The SELECT that gives the table's rows, and under `fileRow` their place in the file. It stops at a value that does not convert. */
export function selectRows(plan: FilePlan, fileRow: string): string {
  const columns = plan.plans.map(selectExpression).join(', ')
  if (plan.row !== undefined) return `SELECT ${columns}, ${plan.row} AS ${fileRow} FROM ${plan.from}`
  // Only Parquet can be read in pieces at once and still tell the place, unless a column of the file is called so.
  const tellsRow = plan.format === 'parquet' && !plan.plans.some(({ name }) => name.toLowerCase() === 'file_row_number')
  if (!tellsRow) return `SELECT ${columns}, row_number() OVER () AS ${fileRow} FROM ${plan.from}`
  return `SELECT ${columns}, file_row_number AS ${fileRow} FROM ${plan.from.slice(0, -1)}, file_row_number = true)`
}

/** What stopped the reading, in words that name the line or row where possible. */
export async function readingProblem(session: Session, input: SourceFile, plan: FilePlan, error: unknown): Promise<SourceProblem> {
  const bad = new RegExp(`${BAD_VALUE}(\\d+):`).exec(engineMessage(error))
  const column = plan.plans[Number(bad?.[1] ?? -1)]
  if (column) return badValue(session, input, plan, column)
  return plan.csv ? csvProblem(error, plan.csv, input.file) : readProblem(error, input.file, input.readFrom)
}

async function openParquet(session: Session, input: SourceFile): Promise<OpenedFile> {
  const from = `read_parquet(${quoteText(input.readFrom)})`
  const found = await explained(input, async () => {
    await checkParquet(reading(session, LOAD), input.readFrom, input.file)
    return describe(session, from)
  })
  return { format: 'parquet', found, texts: [], among: 'times', textsAs: null, readTexts: () => from, reader: () => from }
}

async function openJson(session: Session, input: SourceFile): Promise<OpenedFile> {
  await refuseForeign(input.readFrom, input.file, 'json')
  const file = `${quoteText(input.readFrom)}, ${JSON_OPTIONS}`
  const json = { session, file: input.file, objects: `read_json_objects(${file})`, options: LOAD }
  // All rows are looked at: a number in a later one may be none of the earlier ones' type, and the engine would round it.
  const described = await explained(input, () =>
    jsonColumns(session, `${file}, sample_size = -1`).catch(async (error: unknown) => {
      throw (await doubledField(json, error)) ?? error
    }),
  )
  const names = described.map(({ name }) => name)
  await checkJsonNames(json, names)
  const reader: OpenedFile['reader'] = (plans) => `read_json(${file}, columns = ${columnList(plans)})`
  const written = { session, from: reader(names.map((name) => ({ name, readAs: 'JSON' }))), options: LOAD }
  const wide = described.map(({ name, type }) => ({ name, type: wideEnough(withoutGuesses(type), input.rejected?.get(name) ?? []) }))
  const found = await exactColumns(input, written, wide)
  const texts = found.filter(({ name, type }) => type === 'VARCHAR' && isOpen(input, name)).map(({ name }) => name)
  return { format: 'json', found, texts, among: 'times', textsAs: 'JSON', readTexts: () => reader(asTexts(texts)), reader }
}

/** Rows of many columns are rows all the same: the engine would take them for maps. */
async function jsonColumns(session: Session, file: string): Promise<TableColumn[]> {
  const found = await describe(session, `read_json(${file})`)
  const isMap = found.length === 1 && found[0]?.name === 'json' && found[0].type.startsWith('MAP(')
  return isMap ? describe(session, `read_json(${file}, map_inference_threshold = -1)`) : found
}

/** The columns with the types that hold their numbers exactly. Those that the definition decides on stay as they are. */
async function exactColumns(input: SourceFile, written: NumberTexts, found: readonly TableColumn[]): Promise<TableColumn[]> {
  const open = found.filter(({ name }) => isOpen(input, name))
  const exact = await explained(input, () => exactTypes(written, open))
  if (!('row' in exact)) {
    return found.map(({ name, type }) => {
      const own = exact.get(name) ?? type
      return { name, type: input.rejected?.get(name)?.includes(own) ? 'JSON' : own }
    })
  }
  const { column, path, row, text, why } = exact
  throw new SourceProblem(
    `${input.file}, row ${row}: column "${column}${path}": ${text.slice(0, 60)} ${why}.`,
    `Say what the column is: columns: { ${column}: "${path === '' ? 'VARCHAR' : 'JSON'}" } keeps every digit, "DOUBLE" rounds.`,
  )
}

async function explained<T>(input: SourceFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SourceProblem ? error : readProblem(error, input.file, input.readFrom)
  }
}

function columnList(plans: readonly Pick<ColumnPlan, 'name' | 'readAs'>[]): string {
  return `{${plans.map((plan) => `${quoteText(plan.name)}: ${quoteText(plan.readAs)}`).join(', ')}}`
}

function asTexts(names: readonly string[]): { readonly name: string; readonly readAs: string }[] {
  return names.map((name) => ({ name, readAs: 'VARCHAR' }))
}

/** Rows that were appended need more than the file does. */
function wideEnough(type: string, rejected: readonly string[]): string {
  if (type === 'VARCHAR' || !rejected.includes(type)) return type
  return /INT$/.test(type) && !rejected.includes('DOUBLE') ? 'DOUBLE' : 'JSON'
}

/** What the engine made of strings: they are texts, whatever they look like. */
function withoutGuesses(type: string): string {
  if (/^(DATE|TIME|TIMESTAMP( WITH TIME ZONE)?|UUID)$/.test(type)) return 'VARCHAR'
  // Fields of structures stand behind their names, which are in double quotes where they could be taken for anything else.
  return type.replace(
    /("(?:[^"]|"")*")|(^|[ (])(?:DATE|TIMESTAMP WITH TIME ZONE|TIMESTAMP|TIME|UUID)(?=[[\]),]|$)/g,
    (all, name, before) => (name === undefined ? `${before}VARCHAR` : all),
  )
}

async function openCsv(session: Session, input: SourceFile): Promise<OpenedFile> {
  const csv = await openCsvText(input.readFrom, input.file, dirname(input.readFrom))
  if (!csv) throw new SourceProblem(`${input.file} is empty.`, 'The first line must name the columns.')
  const { header, path } = csv
  const repeated = header.columns.find((name, i) => header.columns.findIndex((other) => other.toLowerCase() === name.toLowerCase()) !== i)
  if (repeated !== undefined) throw new SourceProblem(`${input.file}, line 1: two columns are called "${repeated}".`, 'Rename one of them.')
  const reader: OpenedFile['reader'] = (plans) =>
    `read_csv(${quoteText(path)}, auto_detect = false, header = true, ${dialect(header)}, columns = ${columnList(plans)})`
  const readTexts = () => reader(asTexts(header.columns))
  const keys = header.columns.filter((name) => keyTypeOf(input, name) !== undefined)
  // A file with a broken row has none here; reading it then names the row.
  const floatKeys = await wholeFloats({ session, from: readTexts(), options: LOAD }, keys).catch(() => new Set<string>())
  return {
    format: 'csv',
    found: header.columns.map((name) => ({ name, type: 'VARCHAR', isFloatKey: floatKeys.has(name) })),
    texts: header.columns.filter((name) => isOpen(input, name)),
    among: 'all',
    textsAs: 'VARCHAR',
    readTexts,
    reader,
    csv,
  }
}

function dialect(header: CsvHeader): string {
  return `delim = ${quoteText(header.delimiter)}, quote = '"', escape = '"', skip = 0, strict_mode = true, null_padding = false, comment = ''`
}

/** A file with a broken row is all text here; reading it then names the row. */
async function typesOf(session: Session, input: SourceFile, opened: OpenedFile): Promise<Map<string, string>> {
  const { texts, among } = opened
  if (texts.length === 0) return new Map()
  try {
    return await textTypes(session, [
      { from: opened.readTexts(), names: texts, among, rejected: (name) => input.rejected?.get(name) ?? [] },
    ])
  } catch (error) {
    if (error instanceof SqlError && error.kind !== 'runtime') throw error
    return new Map()
  }
}

/** Nothing but its texts says what the column is. */
function isOpen({ source, keyTypes }: SourceFile, name: string): boolean {
  const isKey = Object.keys(keyTypes).some((key) => key.toLowerCase() === name.toLowerCase())
  return !isKey && source.columns?.[name] === undefined && !timeColumns(source).some((time) => time.name === name)
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
  const place = shape.csv
    ? `line ${await lineOfRecord(shape.csv.path, Number(row), shape.csv.header.delimiter, shape.plans.length === 1)}`
    : `row ${row}`
  const where = `${input.file}, ${place}: column "${plan.name}"`
  if (shown === null) return new SourceProblem(`${where} is empty.`, plan.hint ?? 'Leave the row out.')
  const guess = plan.format === undefined ? undefined : dayMonthProblem(String(shown), plan.format)
  if (guess) return new SourceProblem(`${where}: ${guess.message}`, guess.hint)
  return new SourceProblem(
    `${where}: ${JSON.stringify(shown)} is not ${plan.wanted}.`,
    plan.hint ?? (plan.type === 'TIMESTAMPTZ' ? TIME_HINT : "Mend the row, or give the entity's key another type."),
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

async function checkFormats(session: Session, source: Source): Promise<void> {
  for (const format of new Set(timeColumns(source).map(({ name }) => formatOf(source, name)))) {
    if (format === null || EPOCHS.includes(format)) continue
    try {
      await session.read(`SELECT try_strptime('x', ${quoteText(format)})`, [], ownDeadline())
    } catch (error) {
      throw new SourceProblem(
        `The format ${JSON.stringify(format)} cannot be read: ${engineMessage(error).split('\n', 1)[0]}`,
        `Write it as strptime does ("%d/%m/%Y %H:%M:%S"), or ${EPOCHS.map((one) => `"${one}"`).join(', ')}.`,
        error,
      )
    }
  }
}
