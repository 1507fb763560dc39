/** Rows of a source in a Parquet file, as a source can read them. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FabraError } from '../../../errors.ts'
import type { RowsExport } from '../../ports/history-export.ts'
import { SqlError } from '../../ports/source-engine.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import { quoteName, quoteTable, quoteText } from '../sql.ts'
import { instant } from './rows-removal.ts'
import { tableColumns } from './table-columns.ts'

const LONGEST_MS = 3_600_000

export function createDuckdbRowsExport(database: Database): RowsExport {
  let isRunning = false
  return async (source, before) => {
    if (isRunning) throw new FabraError('overloaded', 'Rows are being exported already.', { hint: 'Ask again when they are there.' })
    isRunning = true
    const path = join(database.loadDir, `rows-${crypto.randomUUID()}.parquet`)
    const remove = () => rm(path, { force: true })
    try {
      await database.readers.use(ownDeadline(LONGEST_MS), async (session, left) => {
        const dot = source.name.indexOf('.')
        const columns = (await tableColumns(session, dot < 0 ? 'main' : source.name.slice(0, dot), source.name.slice(dot + 1))) ?? []
        const timestamp = columns.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase())
        const time = timestamp && instant(quoteName(timestamp.name), timestamp.type, source.timezone)
        const where = time && before !== null ? `WHERE ${time} < make_timestamptz(CAST(${Math.trunc(before)} AS BIGINT))` : ''
        const rows = `SELECT * FROM ${quoteTable(source.name)} ${where} ${time ? `ORDER BY ${time}` : ''}`
        await session.execute(`COPY (${rows}) TO ${quoteText(path)} (FORMAT PARQUET, COMPRESSION ZSTD)`, left)
      })
      return { path, remove }
    } catch (cause) {
      await remove()
      throw cause instanceof SqlError ? notExported(cause) : cause
    } finally {
      isRunning = false
    }
  }
}

export function notExported(cause: unknown): FabraError {
  return new FabraError('io_failed', 'Rows could not be exported.', {
    hint: 'The data folder (with PostgreSQL the temporary one) needs room for the file; the log has the details.',
    cause,
  })
}
