/** Opens the file, or says what is wrong with it. What the engine would take in silence (a database that is gone, a log that was cut) is refused. */
import { existsSync, rmSync, statSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { FabraError } from '../../../errors.ts'
import { damaged, damageIn, lockedError, openError } from '../damage/file-damage.ts'
import { HEAD_BYTES, readHead } from '../damage/file-head.ts'
import { cutZeros } from '../damage/log-file.ts'
import { type Mark, markOf, type OwnMark, readMark, refusal, toKnown, writeMark } from '../damage/mark.ts'
import { mayLackRows, unreadableTables } from '../damage/unreadable-tables.ts'
import { checkSchema } from '../schema/migrate.ts'
import { CATALOG, quoteText, readMarkRow } from '../sql.ts'
import { toSqlError } from './sql-errors.ts'

export interface Attached {
  readonly mark: Mark | undefined
  /** What the database knows of its mark; undefined for a new one, and for one of an earlier version. */
  readonly known: OwnMark | undefined
}

/** @throws FabraError data_dir_locked, data_file_corrupt, schema_mismatch, io_failed. The file is as it was then. */
export async function attachFile(connection: DuckDBConnection, file: string): Promise<Attached> {
  const mark = readMark(file)
  if (!existsSync(file)) announce(file, mark)
  const head = readHead(file)
  const attach = () => connection.run(`ATTACH ${quoteText(file)} AS ${CATALOG}`)
  try {
    await attach()
  } catch (error) {
    const locked = lockedError(error, file)
    if (locked) throw locked
    if (!removeUnborn(file, mark) && !(damageIn(error, file) && cutZeros(`${file}.wal`))) throw openError(error, file, head?.problem)
    await attach().catch((again: unknown) => {
      throw openError(again, file, head?.problem)
    })
  }
  await chmod(file, 0o600)
  if (head?.isShort && head.problem && (await mayLackRows(connection, CATALOG, head.blocks))) {
    if ((await unreadableTables(connection, CATALOG)).length > 0) throw damaged(file, head.problem)
  }
  await checkSchema(connection, file, CATALOG)
  const known = await readKnown(connection, file)
  const refused = refusal(file, mark, known)
  if (refused) throw refused
  return { mark, known }
}

/** The engine would make a new database, and remove what is left of the old one's log. */
function announce(file: string, mark: Mark | undefined): void {
  const hint =
    'Nothing was changed. Put the database back, or run "fabra doctor --repair" to begin anew: it moves what is left aside and says what is lost.'
  const gone = (what: string) => new FabraError('data_file_corrupt', `The database ${file} is gone, and ${what} is still there.`, { hint })
  if (sizeOf(`${file}.wal`) > 0) throw gone('its log (.wal)')
  if (mark && mark.id !== null) throw gone(`its mark (${markOf(file)}, of ${mark.at})`)
  try {
    writeMark(file, { id: null, n: 0, at: new Date().toISOString(), rows: null })
  } catch {
    // A folder that cannot be written to: the engine says so.
  }
}

/** A process was killed while it made the file: nothing was ever in it. */
function removeUnborn(file: string, mark: Mark | undefined): boolean {
  if (mark?.id !== null || sizeOf(file) >= HEAD_BYTES || sizeOf(`${file}.wal`) > 0) return false
  rmSync(file, { force: true })
  return true
}

async function readKnown(connection: DuckDBConnection, file: string): Promise<OwnMark | undefined> {
  const text = readMarkRow(CATALOG)
  try {
    const [row] = (await connection.runAndReadAll(text)).getRows()
    return row && toKnown(String(row[0]))
  } catch (error) {
    // There is no such table yet.
    if (toSqlError(error, text).kind === 'binding') return undefined
    throw openError(error, file)
  }
}

/** 0 where there is none, and where it cannot be told: the engine says why. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}
