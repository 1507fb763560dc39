/** A user's file as it is looked at before it becomes a table, and what all kinds of files need for that. */
import type { TableColumn } from '../../ports/source-engine.ts'
import type { FileFormat } from '../../ports/source-file-list.ts'
import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { type ColumnPlan, type FoundColumn, type SourceColumns, timeColumns } from './column-plan.ts'
import type { CsvText } from './csv-text.ts'
import { readProblem, SourceProblem } from './source-problem.ts'
import type { TextColumns } from './text-types.ts'

export const LOAD = ownDeadline(30 * 60_000)

/** A user's file as the engine may read it. */
export interface SourceFile extends SourceColumns {
  /** Where the user has it: for messages. */
  readonly file: string
  /** Where the engine reads it. */
  readonly readFrom: string
  /** Column → types that it may not take: rows that were appended to the source would not be what they were. */
  readonly rejected?: ReadonlyMap<string, readonly string[]>
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

/** Nothing but its texts says what the column is. */
export function isOpen({ source, keyTypes }: SourceFile, name: string): boolean {
  const isKey = Object.keys(keyTypes).some((key) => key.toLowerCase() === name.toLowerCase())
  return !isKey && source.columns?.[name] === undefined && !timeColumns(source).some((time) => time.name === name)
}

export async function explained<T>(input: SourceFile, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SourceProblem ? error : readProblem(error, input.file, input.readFrom)
  }
}

export async function describe(session: Session, reader: string): Promise<TableColumn[]> {
  const { rows } = await session.read(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${reader})`, [], LOAD)
  return rows.map(([name, type]) => ({ name: String(name), type: String(type) }))
}

export function columnList(plans: readonly Pick<ColumnPlan, 'name' | 'readAs'>[]): string {
  return `{${plans.map((plan) => `${quoteText(plan.name)}: ${quoteText(plan.readAs)}`).join(', ')}}`
}

export function asTexts(names: readonly string[]): { readonly name: string; readonly readAs: string }[] {
  return names.map((name) => ({ name, readAs: 'VARCHAR' }))
}
