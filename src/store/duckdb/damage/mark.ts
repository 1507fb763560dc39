/**
 * A small file beside the database that says how far it had come: what tells real loss from the torn end of a log after a kill.
 *
 * A second after a write at the latest, a rising number is written into the database, in a commit of its own behind all that was acknowledged
 * before it, and then into the mark. A database that is opened must know the mark's number: where it knows a lower one, commits are gone that
 * somebody was told of (the log was cut or removed, an older copy was put in its place). What is torn off behind that number nobody can tell
 * from what was never acknowledged; that is at most a second's worth, and a kill of the process tears off nothing that was acknowledged.
 *
 * The mark is replaced by a rename and not forced to the disk: after a power cut it may be older than the database, never newer. A mark that
 * cannot be read says nothing, nor does none: a database may be copied elsewhere without it.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { FabraError } from '../../../errors.ts'
import { damaged } from './file-damage.ts'

export interface Mark {
  /** Of the database; null: it is being made for the first time, and nothing was ever acknowledged. */
  readonly id: string | null
  readonly n: number
  /** When; RFC 3339. */
  readonly at: string
  /** How much it held; null where nobody has counted yet. */
  readonly rows: MarkedRows | null
}

/** Rows of history, rows of sources, API keys. */
export interface MarkedRows {
  readonly history: number
  readonly sources: number
  readonly keys: number
}

/** What a database knows of itself, in its one row. */
export type OwnMark = Pick<Mark, 'id' | 'n' | 'at'>

export const fromKnown = ({ id, n, at }: OwnMark) => JSON.stringify({ id, n, at })

export function toKnown(text: string): OwnMark {
  const { id, n, at } = JSON.parse(text) as Record<string, unknown>
  return { id: String(id), n: Number(n), at: String(at) }
}

const VERSION = 1

export const markOf = (file: string) => `${file}.mark`

export function readMark(file: string): Mark | undefined {
  try {
    const read: unknown = JSON.parse(readFileSync(markOf(file), 'utf8'))
    return isMark(read) ? read : undefined
  } catch {
    return undefined
  }
}

/** @throws Error of the operating system; the mark is as it was then. */
export function writeMark(file: string, mark: Mark): void {
  const draft = `${markOf(file)}.${process.pid}`
  try {
    writeFileSync(draft, `${JSON.stringify({ version: VERSION, ...mark })}\n`, { mode: 0o600 })
    renameSync(draft, markOf(file))
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

/** The refusal of a database that is not what the mark says; undefined where it is, or where nothing is known. */
export function refusal(file: string, mark: Mark | undefined, known: OwnMark | undefined): FabraError | undefined {
  if (!mark || mark.id === null) return undefined
  const markText = `its mark (${markOf(file)}) was written at ${mark.at}${mark.rows ? `, when it held ${rowsText(mark.rows.history)} of history` : ''}`
  const older = { hint: AFTER_LOSS }
  if (!known) return damaged(file, `it is not the database that was here: ${markText}, and this one knows of no mark`, older)
  if (known.id !== mark.id)
    return damaged(file, `it is another database than the one that was here, or its log (.wal) is another's: ${markText}`, older)
  if (known.n >= mark.n) return undefined
  return damaged(
    file,
    `what was acknowledged is missing in it: ${markText}, and what can be read ends at ${known.at}. Its log (.wal) was cut or removed, or an older copy was put in its place`,
    older,
  )
}

const AFTER_LOSS =
  'Nothing was changed. Put the database and its log back, or, if this copy is the best there is, run "fabra doctor --repair": it keeps what can be read and says what is lost.'

function rowsText(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`
}

function isMark(value: unknown): value is Mark {
  if (typeof value !== 'object' || value === null) return false
  const { version, id, n, at, rows } = value as Record<string, unknown>
  return version === VERSION && (id === null || typeof id === 'string') && typeof n === 'number' && typeof at === 'string' && isRows(rows)
}

function isRows(value: unknown): boolean {
  if (value === null) return true
  if (typeof value !== 'object') return false
  const { history, sources, keys } = value as Record<string, unknown>
  return [history, sources, keys].every((count) => typeof count === 'number')
}
