import { BIGINT, DuckDBDataChunk, DuckDBTimestampTZValue, TIMESTAMPTZ, VARCHAR } from '@duckdb/node-api'
import { createPace } from '../../../collections/yielding.ts'
import type { HistoryRow } from '../../ports/offline-store.ts'
import type { RunOptions } from '../../ports/source-engine.ts'
import type { Session } from '../connection/session.ts'
import { inTransaction } from '../connection/transaction.ts'
import { CATALOG } from '../sql.ts'
import { APPEND_WRITE, APPEND_WRITES } from './history-sql.ts'

/** Rows told without a look at the clock. */
const STEP_ROWS = 500
/** What one chunk of the engine holds. */
const CHUNK_ROWS = 2048

/** All rows or none: one statement is a transaction of its own, begun and committed with no way to the engine and back in between. */
export async function appendHistory(session: Session, rows: readonly HistoryRow[], options: RunOptions): Promise<void> {
  const [first] = rows
  if (!first) return
  const isOneWrite = rows.every((row) => isSameWrite(row, first))
  const texts = await asTexts(rows, isOneWrite ? PER_ROW : [...SHARED, ...PER_ROW])
  if (!texts) await inTransaction(session, async () => appendChunks(session, rows))
  else if (isOneWrite) await session.repeat(APPEND_WRITE, [...SHARED.map((column) => column(first)), ...texts], options)
  else await session.repeat(APPEND_WRITES, texts, options)
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

type Column = (row: HistoryRow) => string | number

/** What rows of one write have in common, and what is each one's own, as the statements take it. */
const SHARED: readonly Column[] = [
  (row) => row.feature,
  (row) => row.fingerprint,
  (row) => row.availableAt,
  (row) => row.createdAt,
  (row) => row.origin,
]
const PER_ROW: readonly Column[] = [(row) => row.entityKey, (row) => row.value ?? '', (row) => row.eventAt, (row) => row.seq]

/** A text for each column, in steps, so that requests are answered in between. Undefined where a NUL in a row would part the texts wrongly. */
async function asTexts(rows: readonly HistoryRow[], columns: readonly Column[]): Promise<string[] | undefined> {
  const parts: string[][] = columns.map(() => [])
  const pace = createPace()
  for (let from = 0; from < rows.length; from += STEP_ROWS) {
    const wait = pace()
    if (wait) await wait
    const some = rows.slice(from, from + STEP_ROWS)
    if (some.some(holdsNul)) return undefined
    for (const [c, column] of columns.entries()) parts[c]?.push(some.map(column).join('\0'))
  }
  return parts.map((texts) => texts.join('\0'))
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
