import { BIGINT, DuckDBDataChunk, DuckDBTimestampTZValue, TIMESTAMPTZ, VARCHAR } from '@duckdb/node-api'
import type { HistoryRow } from '../offline-store.ts'
import { ownDeadline } from './database.ts'
import type { Session } from './session.ts'
import { APPEND_HISTORY, CATALOG } from './sql.ts'

/** From here on rows go in as one statement, taken apart on the engine's own threads; an appender is quicker for few, but holds this thread. */
const STATEMENT_FROM = 256
/** What one chunk of the engine holds. */
const CHUNK_ROWS = 2048

/** Within a transaction of the caller's. */
export async function appendHistory(session: Session, rows: readonly HistoryRow[]): Promise<void> {
  if (rows.length >= STATEMENT_FROM && !rows.some(holdsNul)) {
    await session.read(APPEND_HISTORY, asTexts(rows), ownDeadline())
    return
  }
  const appender = await session.connection.createAppender('feature_history', 'fabra', CATALOG)
  for (let from = 0; from < rows.length; from += CHUNK_ROWS) appender.appendDataChunk(toChunk(rows.slice(from, from + CHUNK_ROWS)))
  appender.closeSync()
}

/** Keys and values that came through Fabra's doors hold none. */
function holdsNul(row: HistoryRow): boolean {
  return row.entityKey.includes('\0') || row.value?.includes('\0') === true
}

/** What the rows of one write share is told once for all of them. */
function asTexts(rows: readonly HistoryRow[]): string[] {
  const writes: object[] = []
  const writeOf: number[] = []
  let last: HistoryRow | undefined
  for (const row of rows) {
    if (!last || !isSameWrite(row, last)) {
      const { feature, fingerprint, origin, availableAt, createdAt } = row
      writes.push({ write: String(writes.length), feature, fingerprint, origin, available_us: availableAt, created_us: createdAt })
    }
    writeOf.push(writes.length - 1)
    last = row
  }
  const text = (item: (row: HistoryRow) => string | number) => rows.map(item).join('\0')
  const lists = [text((row) => row.entityKey), text((row) => row.value ?? ''), text((row) => row.eventAt), text((row) => row.seq)]
  return [JSON.stringify(writes), writeOf.join('\0'), ...lists]
}

function isSameWrite(a: HistoryRow, b: HistoryRow): boolean {
  return (
    a.feature === b.feature &&
    a.fingerprint === b.fingerprint &&
    a.origin === b.origin &&
    a.availableAt === b.availableAt &&
    a.createdAt === b.createdAt
  )
}

const COLUMN_TYPES = [VARCHAR, VARCHAR, VARCHAR, VARCHAR, TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, BIGINT, VARCHAR]

function toChunk(rows: readonly HistoryRow[]): DuckDBDataChunk {
  const chunk = DuckDBDataChunk.create(COLUMN_TYPES, rows.length)
  const time = (micros: number) => new DuckDBTimestampTZValue(BigInt(micros))
  chunk.setColumns([
    rows.map((row) => row.feature),
    rows.map((row) => row.fingerprint),
    rows.map((row) => row.entityKey),
    rows.map((row) => row.value),
    rows.map((row) => time(row.eventAt)),
    rows.map((row) => time(row.availableAt)),
    rows.map((row) => time(row.createdAt)),
    rows.map((row) => BigInt(row.seq)),
    rows.map((row) => row.origin),
  ])
  return chunk
}
