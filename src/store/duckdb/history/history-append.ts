import { BIGINT, DuckDBDataChunk, DuckDBTimestampTZValue, TIMESTAMPTZ, VARCHAR } from '@duckdb/node-api'
import { createPace } from '../../../collections/yielding.ts'
import type { HistoryRow } from '../../ports/offline-store.ts'
import type { RunOptions, SqlValue } from '../../ports/source-engine.ts'
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
  const texts = await asTexts(rows)
  if (!texts) await inTransaction(session, async () => appendChunks(session, rows))
  else if (texts.writes.length === 1) await session.repeat(APPEND_WRITE, [...shared(first), ...texts.perRow], options)
  else await session.repeat(APPEND_WRITES, [JSON.stringify(texts.writes), texts.writeOf, ...texts.perRow], options)
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

function shared({ feature, fingerprint, availableAt, createdAt, origin }: HistoryRow): SqlValue[] {
  return [feature, fingerprint, availableAt, createdAt, origin]
}

/** Items of the rows as texts that are apart by NUL. */
interface Texts {
  /** What the rows of one write share is told once for all of them. */
  readonly writes: readonly object[]
  /** The write of each row. */
  readonly writeOf: string
  /** Keys, values, event times, seqs. */
  readonly perRow: readonly string[]
}

/** In steps, so that requests are answered in between. Undefined where a NUL in a row would part the texts wrongly. */
async function asTexts(rows: readonly HistoryRow[]): Promise<Texts | undefined> {
  const writes: object[] = []
  const columns: [string[], string[], string[], string[], string[]] = [[], [], [], [], []]
  const pace = createPace()
  let last: HistoryRow | undefined
  for (let from = 0; from < rows.length; from += STEP_ROWS) {
    const wait = pace()
    if (wait) await wait
    const some = rows.slice(from, from + STEP_ROWS)
    if (some.some(holdsNul)) return undefined
    const writeOf: number[] = []
    for (const row of some) {
      if (!last || !isSameWrite(row, last)) {
        const { feature, fingerprint, origin, availableAt, createdAt } = row
        writes.push({ write: String(writes.length), feature, fingerprint, origin, available_us: availableAt, created_us: createdAt })
      }
      writeOf.push(writes.length - 1)
      last = row
    }
    columns[0].push(writeOf.join('\0'))
    columns[1].push(some.map((row) => row.entityKey).join('\0'))
    columns[2].push(some.map((row) => row.value ?? '').join('\0'))
    columns[3].push(some.map((row) => row.eventAt).join('\0'))
    columns[4].push(some.map((row) => row.seq).join('\0'))
  }
  const [writeOf = '', ...perRow] = columns.map((parts) => parts.join('\0'))
  return { writes, writeOf, perRow }
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
