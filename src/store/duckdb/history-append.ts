import { BIGINT, DuckDBDataChunk, DuckDBTimestampTZValue, TIMESTAMPTZ, VARCHAR } from '@duckdb/node-api'
import type { HistoryRow } from '../offline-store.ts'
import type { SqlValue } from '../source-store.ts'
import { ownDeadline } from './database.ts'
import type { Session } from './session.ts'
import { APPEND_WRITE, APPEND_WRITES, CATALOG } from './sql.ts'
import { inTransaction } from './transaction.ts'

/** What one chunk of the engine holds. */
const CHUNK_ROWS = 2048

/** All rows or none: one statement is a transaction of its own, begun and committed with no way to the engine and back in between. */
export async function appendHistory(session: Session, rows: readonly HistoryRow[]): Promise<void> {
  const [first] = rows
  if (!first) return
  if (rows.some(holdsNul)) await inTransaction(session, async () => appendChunks(session, rows))
  else if (rows.every((row) => isSameWrite(row, first))) await session.repeat(APPEND_WRITE, oneWrite(first, rows), ownDeadline())
  else await session.repeat(APPEND_WRITES, asTexts(rows), ownDeadline())
}

/** Holds this thread meanwhile. */
async function appendChunks(session: Session, rows: readonly HistoryRow[]): Promise<void> {
  const appender = await session.connection.createAppender('feature_history', 'fabra', CATALOG)
  for (let from = 0; from < rows.length; from += CHUNK_ROWS) appender.appendDataChunk(toChunk(rows.slice(from, from + CHUNK_ROWS)))
  appender.closeSync()
}

/** Keys and values that came through Fabra's doors hold none. */
function holdsNul(row: HistoryRow): boolean {
  return row.entityKey.includes('\0') || row.value?.includes('\0') === true
}

function oneWrite({ feature, fingerprint, availableAt, createdAt, origin }: HistoryRow, rows: readonly HistoryRow[]): SqlValue[] {
  return [feature, fingerprint, availableAt, createdAt, origin, ...perRow(rows)]
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
  return [JSON.stringify(writes), writeOf.join('\0'), ...perRow(rows)]
}

function perRow(rows: readonly HistoryRow[]): string[] {
  const text = (item: (row: HistoryRow) => string | number) => rows.map(item).join('\0')
  return [text((row) => row.entityKey), text((row) => row.value ?? ''), text((row) => row.eventAt), text((row) => row.seq)]
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
