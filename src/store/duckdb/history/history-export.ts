/** Recorded rows in a Parquet file, as a source can read them. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyColumn } from '../../../definition/model.ts'
import { FabraError } from '../../../errors.ts'
import type { ExportQuery, HistoryExport } from '../../ports/history-export.ts'
import { SqlError } from '../../ports/source-engine.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import { quoteName, quoteText } from '../sql.ts'

const LONGEST_MS = 3_600_000
const COLUMNS = ['feature', 'fingerprint', 'entity_key', 'value', 'event_timestamp', 'available_at', 'created_at', 'seq', 'origin']

export function createDuckdbHistoryExport(database: Database): HistoryExport {
  let isRunning = false
  return async (query) => {
    if (isRunning) throw new FabraError('overloaded', 'History is being exported already.', { hint: 'Ask again when it is done.' })
    isRunning = true
    const path = join(database.loadDir, `history-${crypto.randomUUID()}.parquet`)
    const remove = () => rm(path, { force: true })
    try {
      await database.readers.use(ownDeadline(LONGEST_MS), (session, left) => session.execute(copyStatement(query, path), left))
      return { path, remove }
    } catch (cause) {
      await remove()
      if (!(cause instanceof SqlError)) throw cause
      throw new FabraError('io_failed', 'History could not be exported.', {
        hint: 'The data folder (with PostgreSQL the temporary one) needs room for the file; the log has the details.',
        cause,
      })
    } finally {
      isRunning = false
    }
  }
}

function copyStatement({ feature, before, key }: ExportQuery, path: string): string {
  const conditions = [
    ...(feature === null ? [] : [`feature = ${quoteText(feature)}`]),
    ...(before === null ? [] : [`event_timestamp < make_timestamptz(CAST(${Math.trunc(before)} AS BIGINT))`]),
  ]
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  // In this order a source's blocks are skipped by time.
  const order = 'ORDER BY event_timestamp, feature, entity_key, fingerprint, available_at, seq'
  return `COPY (SELECT ${[...keyColumns(key), ...COLUMNS].join(', ')} FROM fabra.feature_history ${where} ${order})
TO ${quoteText(path)} (FORMAT PARQUET, COMPRESSION ZSTD)`
}

/** As they were before they were one text. A key that is called like a column of ours is told encoded alone. */
export function keyColumns(key: readonly KeyColumn[]): string[] {
  if (key.some(({ name }) => COLUMNS.includes(name.toLowerCase()))) return []
  return key.map(({ name, type }, i) => {
    const part = `replace(replace(split_part(entity_key, ':', ${i + 1}), '%3A', ':'), '%25', '%')`
    const text = key.length === 1 ? 'entity_key' : part
    return `${type === 'int' ? `CAST(${text} AS BIGINT)` : text} AS ${quoteName(name)}`
  })
}
