/** A copy of the database while it is in use: one statement, which sees one moment of everything and holds up no write. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FabraError } from '../../errors.ts'
import type { BackupFile } from '../ports/backup.ts'
import { SqlError } from '../ports/source-engine.ts'
import { type Database, ownDeadline } from './connection/database.ts'
import { CATALOG, quoteText } from './sql.ts'

const COPY = '__fabra_backup'
const LONGEST_MS = 3_600_000

/** @throws FabraError overloaded while another one is made, io_failed */
export function createBackup(database: Database): () => Promise<BackupFile> {
  let isRunning = false
  return async () => {
    if (isRunning) throw new FabraError('overloaded', 'A backup is being made already.', { hint: 'Ask again when it is there.' })
    isRunning = true
    const path = join(database.loadDir, `backup-${crypto.randomUUID()}.duckdb`)
    const remove = async () => {
      for (const ending of ['', '.wal']) await rm(`${path}${ending}`, { force: true })
    }
    try {
      await database.readers.use(ownDeadline(LONGEST_MS), async (session, left) => {
        try {
          await session.execute(`ATTACH ${quoteText(path)} AS ${COPY}; COPY FROM DATABASE ${CATALOG} TO ${COPY}; CHECKPOINT ${COPY}`, left)
        } finally {
          await session.execute(`DETACH DATABASE IF EXISTS ${COPY}`, ownDeadline())
        }
      })
      return { path, remove }
    } catch (error) {
      await remove()
      throw error instanceof SqlError ? notWritten(error) : error
    } finally {
      isRunning = false
    }
  }
}

function notWritten(cause: SqlError): FabraError {
  return new FabraError('io_failed', 'The backup could not be written.', {
    hint: 'The data folder needs room for a second copy of what is in it; the log has the details.',
    cause,
  })
}
