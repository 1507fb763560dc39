/**
 * Makes a database that can be opened out of one that cannot. Nothing is deleted: the damaged files are moved aside, and all work is done on
 * copies, so a repair that is killed in between changes nothing, or leaves what the next one begins with.
 */
import { existsSync, renameSync } from 'node:fs'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { FabraError } from '../../../errors.ts'
import { attachFile } from '../connection/attach.ts'
import { openDatabase } from '../connection/database.ts'
import { toSqlError } from '../connection/sql-errors.ts'
import { checkSchema } from '../schema/migrate.ts'
import { CATALOG, markRows, newestRecorded, raiseMark } from '../sql.ts'
import { damaged } from './file-damage.ts'
import { fromKnown, type Mark, type MarkedRows, readMark } from './mark.ts'
import { openReadable, type Readable, removeCopies } from './readable-copy.ts'
import { rebuild } from './rebuilding.ts'
import { unreadableTables } from './unreadable-tables.ts'

export interface Inspection {
  readonly state: 'absent' | 'sound' | 'damaged'
  /** What is wrong with a damaged one. */
  readonly problem: FabraError | null
}

export interface Repair {
  /** Where the damaged files are now. */
  readonly aside: readonly string[]
  /** Sentences. Empty: nothing that was ever acknowledged, as far as can be known. */
  readonly lost: readonly string[]
  /** What is there now: a sentence. */
  readonly kept: string
}

/** Reads all of the file and changes nothing. @throws FabraError data_dir_locked, schema_mismatch, io_failed */
export async function inspectFile(file: string): Promise<Inspection> {
  const mark = readMark(file)
  if (!existsSync(file) && !existsSync(`${file}.wal`) && (!mark || mark.id === null)) return { state: 'absent', problem: null }
  try {
    await withEngine(async (connection) => {
      await attachFile(connection, file)
      const unreadable = await unreadableTables(connection, CATALOG)
      const names = unreadable.map(({ schema, name }) => (schema === 'main' ? name : `${schema}.${name}`)).join(', ')
      if (unreadable.length > 0) throw damaged(file, `bytes in it have changed: ${names} cannot be read`)
    })
    return { state: 'sound', problem: null }
  } catch (error) {
    if (!(error instanceof FabraError) || error.code !== 'data_file_corrupt') throw error
    return { state: 'damaged', problem: error }
  }
}

/** @param file A damaged one. No process may have it open. @throws FabraError io_failed, schema_mismatch */
export async function repairFile(file: string, now: Date): Promise<Repair> {
  const mark = readMark(file)
  const lost: string[] = []
  removeCopies(file)
  try {
    const made = await withEngine(async (connection) => {
      const readable = await openReadable(connection, file)
      if (!readable) return undefined
      await checkSchema(connection, file, readable.catalog).catch(unlessNewer)
      lost.push(...readable.lost)
      return finished(connection, await rebuild(connection, readable, file, lost))
    })
    const aside = moveAside(file, made?.path, now)
    // Makes what is missing, a mark among it.
    await (await openDatabase({ file })).close()
    lost.push(...lostSince(mark, made?.recorded))
    return { aside, lost, kept: keptText(made?.recorded) }
  } finally {
    removeCopies(file)
  }
}

interface Recorded extends MarkedRows {
  /** When the newest row was recorded; null: there is none. */
  readonly newest: string | null
}

/** It is another database from now on: the old one's log and mark do not fit it. */
async function finished(
  connection: DuckDBConnection,
  { path, catalog }: Readable,
): Promise<{ path: string; recorded: Recorded | undefined }> {
  const known = { id: crypto.randomUUID(), n: 1, at: new Date().toISOString() }
  await connection.run(raiseMark(catalog), [fromKnown(known)]).catch(unlessEarlier)
  const recorded = await countRecorded(connection, catalog).catch(unlessEarlier)
  await connection.run(`CHECKPOINT ${catalog}`)
  await connection.run(`DETACH ${catalog}`)
  return { path, recorded }
}

/** Which steps were done cannot be read where that is what is damaged; they are done again. */
function unlessNewer(error: unknown): void {
  if (error instanceof FabraError && error.code === 'schema_mismatch') throw error
}

/** A database of an earlier version lacks tables. */
function unlessEarlier(error: unknown): undefined {
  if (toSqlError(error, '').kind !== 'binding') throw error
}

async function countRecorded(connection: DuckDBConnection, catalog: string): Promise<Recorded> {
  const [counts = []] = (await connection.runAndReadAll(markRows(catalog))).getRows()
  const [history = 0, sources = 0, keys = 0] = counts.map(Number)
  const [newest] = (await connection.runAndReadAll(newestRecorded(catalog))).getRows()
  const moment = newest?.[0]
  return { history, sources, keys, newest: moment === null || moment === undefined ? null : String(moment) }
}

/** In an order in which a start that comes in between is refused by the mark. */
export function moveAside(file: string, made: string | undefined, now: Date, why = 'damaged'): string[] {
  const stamp = now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const moved: string[] = []
  const move = (ending: string) => {
    const target = `${file}.${why}-${stamp}${ending}`
    if (!existsSync(`${file}${ending}`)) return
    renameSync(`${file}${ending}`, target)
    moved.push(target)
  }
  for (const ending of ['.wal.checkpoint', '.wal.recovery', '.wal', '']) move(ending)
  if (made) renameSync(made, file)
  move('.mark')
  return moved
}

/** What the mark counted and the new file lacks. */
function lostSince(mark: Mark | undefined, recorded: Recorded | undefined): string[] {
  if (!mark?.rows) return ['How much there was before is not known: the file had no mark that counted it.']
  const { rows, at } = mark
  const parts = (['history', 'sources', 'keys'] as const).flatMap((kind) => {
    const missing = rows[kind] - (recorded?.[kind] ?? 0)
    return missing > 0 ? [`${missing} of ${rows[kind]} ${WORDS[kind]}`] : []
  })
  if (parts.length === 0) return []
  const span = recorded?.newest ? `recorded after ${recorded.newest} or in between` : 'all that was recorded'
  return [`${parts.join(', ')}, as the mark counted them at ${at}: ${span}. What was written in the second behind the mark is not counted.`]
}

const WORDS = { history: 'rows of history', sources: 'rows of sources', keys: 'API keys' }

function keptText(recorded: Recorded | undefined): string {
  if (!recorded) return 'Nothing of it can be read: Fabra begins anew. Sources with a file are loaded again.'
  const { history, sources, keys, newest } = recorded
  const until = newest ? `, the newest recorded at ${newest}` : ''
  return `It holds ${history} rows of history${until}, ${sources} rows of sources and ${keys} API keys.`
}

export async function withEngine<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:', { autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' })
  const connection = await instance.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'; PRAGMA disable_checkpoint_on_shutdown")
    return await work(connection)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
