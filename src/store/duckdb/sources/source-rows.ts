/**
 * Rows appended by request go straight into the source's table, so that reading them costs nothing more than reading its file did. A table
 * that comes from a file is made anew when the file changes; its appended rows are kept beside it, as JSON, and put back then.
 *
 * Appends run on the session that loads files: neither can happen in the middle of the other.
 */

import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  DuckDBDataChunk,
  DuckDBTimestampTZValue,
  type DuckDBType,
  type DuckDBValue,
  HUGEINT,
  TIMESTAMPTZ,
  VARCHAR,
} from '@duckdb/node-api'
import type { Source } from '../../../definition/model.ts'
import { FabraError } from '../../../errors.ts'
import { SqlDecimal, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import type { AppendOutcome, AppendRequest, SourceRows } from '../../ports/source-rows.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { isOutcomeUnknown } from '../connection/sql-errors.ts'
import { inTransaction } from '../connection/transaction.ts'
import { CATALOG, LIST_TABLES, quoteName, quoteTable } from '../sql.ts'
import { tableColumns } from './table-columns.ts'

const CHUNK_ROWS = 2048
/** Idempotency keys are remembered for a day, and so many of them. */
const MAX_KEYS = 100_000
const FORGET_KEYS_EVERY = 1_000

const FIND_KEY = 'SELECT content_hash FROM fabra.idempotency_keys WHERE source = $1 AND key = $2'
const REMEMBER_KEY = 'INSERT INTO fabra.idempotency_keys (source, key, content_hash, accepted_at) VALUES ($1, $2, $3, $4)'
const LIST_ARRIVALS = 'SELECT DISTINCT source, visible_at FROM fabra.source_arrivals'
const SETTLE = 'DELETE FROM fabra.source_arrivals WHERE visible_at <= $1'
const FORGET_KEYS = `
DELETE FROM fabra.idempotency_keys
WHERE accepted_at < $1::TIMESTAMPTZ - INTERVAL '1 day'
  OR accepted_at < (SELECT accepted_at FROM fabra.idempotency_keys ORDER BY accepted_at DESC LIMIT 1 OFFSET ${MAX_KEYS})`

export function createDuckdbSourceRows(database: Database): SourceRows {
  let keysRemembered = 0
  return {
    table: (source) => database.readers.use(ownDeadline(), (session) => describeSource(session, source)),
    firstUnfit: (type, texts) =>
      database.readers.use(ownDeadline(), async (session, left) => {
        const text = `SELECT min(i) FROM (SELECT unnest($1::VARCHAR[]) AS x, generate_subscripts($1::VARCHAR[], 1) - 1 AS i)
          WHERE x IS NOT NULL AND TRY_CAST(x AS ${type}) IS NULL`
        const { rows } = await session.read(text, [texts], left)
        const first = rows[0]?.[0]
        return first === null || first === undefined ? undefined : Number(first)
      }),
    append: (requests, { timeoutMs } = {}) =>
      outcomeTold(
        database.loader.use(ownDeadline(timeoutMs), (session) =>
          inTransaction(session, async () => {
            const outcomes: AppendOutcome[] = []
            const written: AppendRequest[] = []
            for (const request of requests) {
              const seen = await seenBefore(session, request)
              outcomes.push(seen ?? { kind: 'appended', repeats: [] })
              if (!seen) written.push(request)
              if (!seen && request.idempotency) keysRemembered++
            }
            const repeats = new Map<AppendRequest, readonly boolean[]>()
            for (const group of groupBySource(written))
              for (const [one, found] of await appendGroup(session, group)) repeats.set(one, found)
            if (keysRemembered >= FORGET_KEYS_EVERY && requests[0]) {
              await session.read(FORGET_KEYS, [new SqlTimestamp(requests[0].arrivedAt)], ownDeadline())
              keysRemembered = 0
            }
            return outcomes.map((outcome, i) => {
              const request = requests[i]
              return outcome.kind === 'appended' && request ? { kind: 'appended', repeats: repeats.get(request) ?? [] } : outcome
            })
          }),
        ),
      ),
    async arrivals() {
      const { rows } = await database.readers.use(ownDeadline(), (session, left) => session.read(LIST_ARRIVALS, [], left))
      return rows.flatMap(([source, at]) => (at instanceof SqlTimestamp ? [{ source: String(source), visibleAt: at.micros }] : []))
    },
    settle: (before) =>
      database.loader.use(ownDeadline(), async (session, left) => {
        await session.read(SETTLE, [new SqlTimestamp(before)], left)
      }),
  }
}

/** @throws FabraError outcome_unknown */
async function outcomeTold<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!isOutcomeUnknown(error)) throw error
    throw new FabraError('outcome_unknown', 'The engine failed while it wrote: the rows may be in the table or not.', {
      hint: 'Send the same rows again where they have an id or an Idempotency-Key: what is there already is dropped. Else look first.',
      cause: error,
    })
  }
}

async function describeSource(session: Session, source: Source) {
  const [schema, name] = splitName(source.name)
  const columns = await tableColumns(session, schema, name)
  if (!columns) return undefined
  const { rows } = await session.read(LIST_TABLES, [], ownDeadline())
  const isView = rows.some(([inSchema, called, view]) => inSchema === schema && called === name && view === true)
  return { columns, kind: isView ? ('view' as const) : ('table' as const) }
}

async function seenBefore(session: Session, { source, idempotency, rows, arrivedAt }: AppendRequest): Promise<AppendOutcome | undefined> {
  if (idempotency === null) return undefined
  const { key, contentHash } = idempotency
  const found = await session.read(FIND_KEY, [source.name, key], ownDeadline())
  const known = found.rows[0]?.[0]
  if (known === contentHash) return { kind: 'replayed', repeats: rows.map(() => true) }
  if (known !== undefined) return { kind: 'conflict', repeats: [] }
  await session.read(REMEMBER_KEY, [source.name, key, contentHash, new SqlTimestamp(arrivedAt)], ownDeadline())
  return undefined
}

function groupBySource(requests: readonly AppendRequest[]): AppendRequest[][] {
  return [...Map.groupBy(requests, (request) => request.source.name).values()]
}

async function appendGroup(session: Session, group: readonly AppendRequest[]): Promise<[AppendRequest, readonly boolean[]][]> {
  const [first] = group
  if (!first) return []
  const { source, columns } = first
  const seen = await knownIds(session, first, group)
  const kept: (readonly SqlValue[])[] = []
  const texts: { readonly text: string; readonly at: number }[] = []
  const repeats = group.map((request): [AppendRequest, readonly boolean[]] => [
    request,
    request.rows.map((row, i) => {
      const id = request.ids[i] ?? null
      if (id !== null && seen.has(id)) return true
      if (id !== null) seen.add(id)
      kept.push(row)
      texts.push({ text: request.texts[i] ?? '', at: request.arrivedAt })
      return false
    }),
  ])
  const [schema, name] = splitName(source.name)
  await appendColumns(session, { schema, name, types: columns.map(({ type }) => chunkType(type)) }, kept)
  const times = new Set(group.flatMap((request) => request.visibleAt))
  const arrivals = [...times].map((at) => [source.name, new SqlTimestamp(at)])
  await appendColumns(session, { schema: 'fabra', name: 'source_arrivals', types: [VARCHAR, TIMESTAMPTZ] }, arrivals)
  if (source.file !== null) {
    const rows = texts.map(({ text, at }) => [source.name, new SqlTimestamp(at), text])
    await appendColumns(session, { schema: 'fabra', name: 'source_rows', types: [VARCHAR, TIMESTAMPTZ, VARCHAR] }, rows)
  }
  return repeats
}

/** Ids among those given that the table has already. */
async function knownIds(session: Session, { source, columns }: AppendRequest, group: readonly AppendRequest[]): Promise<Set<string>> {
  const ids = [...new Set(group.flatMap((request) => request.ids).filter((id) => id !== null))]
  const column = columns.find(({ name }) => name.toLowerCase() === source.id?.toLowerCase())
  if (!column || ids.length === 0) return new Set()
  const id = quoteName(column.name)
  const { rows } = await session.read(
    `SELECT CAST(${id} AS VARCHAR) FROM ${quoteTable(source.name)} WHERE ${id} IN (SELECT CAST(unnest($1::VARCHAR[]) AS ${column.type}))`,
    [ids],
    ownDeadline(),
  )
  return new Set(rows.map((row) => String(row[0])))
}

interface Target {
  readonly schema: string
  readonly name: string
  readonly types: readonly DuckDBType[]
}

async function appendColumns(session: Session, { schema, name, types }: Target, rows: readonly (readonly SqlValue[])[]): Promise<void> {
  if (rows.length === 0) return
  const appender = await session.connection.createAppender(name, schema, CATALOG)
  for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
    const part = rows.slice(from, from + CHUNK_ROWS)
    const chunk = DuckDBDataChunk.create([...types], part.length)
    chunk.setColumns(types.map((type, column) => part.map((row) => chunkValue(type, row[column] ?? null))))
    appender.appendDataChunk(chunk)
  }
  appender.closeSync()
}

/** What the values are handed over as; the engine casts to the column's own type. */
function chunkType(type: string): DuckDBType {
  if (/^U?(TINYINT|SMALLINT|INTEGER)$|^BIGINT$/.test(type)) return BIGINT
  if (/^(UBIGINT|HUGEINT)$/.test(type)) return HUGEINT
  if (type === 'FLOAT' || type === 'DOUBLE') return DOUBLE
  if (type === 'BOOLEAN') return BOOLEAN
  return type.startsWith('TIMESTAMP') ? TIMESTAMPTZ : VARCHAR
}

function chunkValue(type: DuckDBType, value: SqlValue): DuckDBValue {
  if (value === null) return null
  if (type === BIGINT || type === HUGEINT) return BigInt(value as number | bigint)
  if (type === VARCHAR) return value instanceof SqlDecimal ? value.text : String(value)
  return value instanceof SqlTimestamp ? new DuckDBTimestampTZValue(BigInt(value.micros)) : (value as boolean | number)
}

function splitName(source: string): [schema: string, name: string] {
  const dot = source.indexOf('.')
  return dot < 0 ? ['main', source] : [source.slice(0, dot), source.slice(dot + 1)]
}
