import { BIGINT, DuckDBDataChunk, DuckDBTimestampTZValue, TIMESTAMPTZ, VARCHAR } from '@duckdb/node-api'
import { createPace } from '../../pace.ts'
import type { HistoryRow } from '../offline-store.ts'
import { ownDeadline } from './database.ts'
import type { Session } from './session.ts'
import { APPEND_OF_FEATURE, APPEND_WRITES, CATALOG } from './sql.ts'
import { inTransaction } from './transaction.ts'

/** Rows told without a look at the clock. */
const STEP_ROWS = 500
/** What one chunk of the engine holds. */
const CHUNK_ROWS = 2048

/** All rows or none: one statement is a transaction of its own, begun and committed with no way to the engine and back in between. */
export async function appendHistory(session: Session, rows: readonly HistoryRow[]): Promise<void> {
  const [first] = rows
  if (!first) return
  const statement = rows.every((row) => isSameFeature(row, first)) ? await ofFeature(first, rows) : await ofWrites(rows)
  if (statement) await session.repeat(statement.text, statement.parameters, ownDeadline())
  else await inTransaction(session, async () => appendChunks(session, rows))
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

type Item = (row: HistoryRow) => string | number

interface Statement {
  readonly text: string
  readonly parameters: readonly string[]
}

async function ofFeature({ feature, fingerprint, origin }: HistoryRow, rows: readonly HistoryRow[]): Promise<Statement | undefined> {
  const times: Item[] = [(row) => row.eventAt, (row) => row.availableAt, (row) => row.createdAt]
  const texts = await asTexts(rows, [(row) => row.entityKey, (row) => row.value ?? '', ...times, (row) => row.seq])
  return texts && { text: APPEND_OF_FEATURE, parameters: [feature, fingerprint, origin, ...texts] }
}

/** What the rows of one write share is told once for all of them. */
async function ofWrites(rows: readonly HistoryRow[]): Promise<Statement | undefined> {
  const writes: object[] = []
  let last: HistoryRow | undefined
  const writeOf: Item = (row) => {
    if (!last || !isSameWrite(row, last)) {
      const { feature, fingerprint, origin, availableAt, createdAt } = row
      writes.push({ write: String(writes.length), feature, fingerprint, origin, available_us: availableAt, created_us: createdAt })
    }
    last = row
    return writes.length - 1
  }
  const texts = await asTexts(rows, [writeOf, (row) => row.entityKey, (row) => row.value ?? '', (row) => row.eventAt, (row) => row.seq])
  return texts && { text: APPEND_WRITES, parameters: [JSON.stringify(writes), ...texts] }
}

/**
 * Each item of all rows as one text, the rows apart by NUL. In steps, so that requests are answered in between. Undefined where a NUL in a row would
 * part the texts wrongly.
 */
async function asTexts(rows: readonly HistoryRow[], items: readonly Item[]): Promise<string[] | undefined> {
  const texts = items.map((): string[] => [])
  const pace = createPace()
  for (let from = 0; from < rows.length; from += STEP_ROWS) {
    const wait = pace()
    if (wait) await wait
    const some = rows.slice(from, from + STEP_ROWS)
    if (some.some(holdsNul)) return undefined
    for (const [i, item] of items.entries()) texts[i]?.push(some.map(item).join('\0'))
  }
  return texts.map((parts) => parts.join('\0'))
}

function isSameFeature(a: HistoryRow, b: HistoryRow): boolean {
  return a.feature === b.feature && a.fingerprint === b.fingerprint && a.origin === b.origin
}

function isSameWrite(a: HistoryRow, b: HistoryRow): boolean {
  return isSameFeature(a, b) && a.availableAt === b.availableAt && a.createdAt === b.createdAt
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
