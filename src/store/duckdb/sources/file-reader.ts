import type { Source } from '../../../definition/model.ts'
import { SqlError } from '../../ports/source-engine.ts'
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
  formatOf,
  isGiven,
  planColumns,
  selectExpression,
  timeColumns,
} from './column-plan.ts'
import { openCsv } from './csv-file.ts'
import { lineOfRecord } from './csv-scan.ts'
import { type CsvText, csvProblem } from './csv-text.ts'
import { dayMonthProblem } from './day-and-month.ts'
import { openJson } from './json-file.ts'
import { isOpen, LOAD, type OpenedFile, type SourceFile } from './opened-file.ts'
import { openParquet } from './parquet-file.ts'
import { readProblem, SourceProblem } from './source-problem.ts'
import { textTypes } from './text-types.ts'

const TIME_HINT =
  'Write times as 2026-01-02T03:04:05Z, or say how they are written with format on the source, such as format: "%d/%m/%Y %H:%M".'

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
