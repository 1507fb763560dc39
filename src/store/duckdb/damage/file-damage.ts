import { dirname } from 'node:path'
import { FabraError } from '../../../errors.ts'
import { engineMessage } from '../connection/sql-errors.ts'

/** What the engine says of a file whose bytes are not those that it wrote (seen in 1.5.5). Its own faults in our statements read otherwise. */
const DAMAGE: readonly [said: RegExp, means: string][] = [
  [/is not a valid DuckDB database file/, 'it is no DuckDB database'],
  [/replaying WAL file|Corrupt WAL file/i, 'its write-ahead log (.wal) cannot be read back: bytes in it have changed'],
  [/Corrupt database file|does not match stored checksum/i, 'bytes in it have changed: a checksum does not fit'],
  [/Could not read enough bytes from file/, 'it was cut short: its end is missing'],
  [/Failed to load metadata pointer|Failed to deserialize|Serialization Error/i, 'its table of contents cannot be read'],
]

const NEWER =
  /file with version number (\d+), but we can only read versions|storage version greater than the latest|newer version of DuckDB/i

/** Where to go on. Said to the operator: in the log, on the terminal. */
export const HOW_TO_REPAIR =
  'Nothing was changed. Put a backup of the file in its place, or run "fabra doctor --repair": it moves the file aside, keeps what can still be read and says what is lost.'

/** What is wrong with the bytes of this file, if that is what the engine complains of while it opens it; undefined otherwise. */
export function damageIn(error: unknown, file: string): string | undefined {
  const message = engineMessage(error)
  // A file that a source is loaded from may be cut short as well.
  if (/Could not read enough bytes/.test(message) && !message.includes(file)) return undefined
  return DAMAGE.find(([said]) => said.test(message))?.[1]
}

/** The same while it is in use, when statements of users run. */
export function damageMet(error: unknown, file: string): string | undefined {
  const message = engineMessage(error)
  const isMeant = /Corrupt database file/.test(message) || (/Could not read enough bytes/.test(message) && message.includes(file))
  return isMeant ? damageIn(error, file) : undefined
}

export function damaged(file: string, what: string, facts: { hint?: string; cause?: unknown } = {}): FabraError {
  return new FabraError('data_file_corrupt', `The database ${file} is damaged: ${what}.`, { hint: HOW_TO_REPAIR, ...facts })
}

/** Why the file could not be opened, told apart by what has to be done about it. @param seen What a look at its head has shown. */
export function openError(error: unknown, file: string, seen?: string): FabraError {
  if (error instanceof FabraError) return error
  const message = engineMessage(error)
  const locked = lockedError(error, file)
  if (locked) return locked
  if (NEWER.test(message)) {
    return new FabraError('schema_mismatch', `The database ${file} was written by a newer Fabra: its format is unknown to this one.`, {
      hint: 'Nothing was changed. Use the newer executable, or give this one a folder of its own with FABRA_DATA_DIR.',
      cause: error,
    })
  }
  const refused = systemRefusal(message)
  if (refused) {
    const [why, hint] = refused
    return new FabraError('io_failed', `The database ${file} cannot be opened: ${why}.`, { hint, cause: error })
  }
  const what = seen ?? damageIn(error, file)
  if (what) return damaged(file, what, { cause: error })
  return new FabraError('io_failed', `The database ${file} cannot be opened: ${message.split('\n', 1)[0] ?? ''}`, {
    hint: 'Nothing was changed. Restore it from a backup, or run "fabra doctor --repair": it moves the file aside, keeps what can still be read and says what is lost.',
    cause: error,
  })
}

/** Undefined where it is not a lock that stands in the way. A message about a block is none of a lock. */
export function lockedError(error: unknown, file: string): FabraError | undefined {
  const message = engineMessage(error)
  if (!/set lock on file|conflicting lock|being used by another process/i.test(message)) return undefined
  const pid = /PID (\d+)/.exec(message)?.[1]
  return new FabraError('data_dir_locked', `The data folder ${dirname(file)} is in use by ${pid ? `process ${pid}` : 'another process'}.`, {
    hint: `Stop it${pid ? ` (kill ${pid})` : ''}, or give this one a folder of its own with FABRA_DATA_DIR.`,
    cause: error,
  })
}

/** Nothing is wrong with what was to be stored. Undefined where that is not it. */
export function fullDisk(error: unknown, dataDir: string): FabraError | undefined {
  if (!FULL.test(engineMessage(error))) return undefined
  return new FabraError('io_failed', `The disk of the data folder ${dataDir} is full.`, { hint: MAKE_ROOM, cause: error })
}

const FULL = /no space left|ENOSPC|disk quota exceeded|EDQUOT|file too large/i
const MAKE_ROOM = 'Nothing is lost. Make room on the disk of the data folder and start again.'

/** What the operating system says no to. */
function systemRefusal(message: string): readonly [why: string, hint: string] | undefined {
  if (FULL.test(message)) return ['the disk is full', MAKE_ROOM]
  if (/read-only file system/i.test(message))
    return ['its disk can only be read', 'Mount it for writing, or give a folder that can be written with FABRA_DATA_DIR.']
  if (/permission denied|operation not permitted/i.test(message))
    return ['this user may not read and write it', 'Give it to the user that runs Fabra (chown, chmod 600), with the files beside it.']
  if (/is a directory/i.test(message)) return ['it is a folder', 'Move it away, or give another folder with FABRA_DATA_DIR.']
  if (/too many open files/i.test(message)) return ['this process has too many files open', 'Raise the limit: ulimit -n 4096.']
  return undefined
}
