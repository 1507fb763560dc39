import { FabraError } from '../../../errors.ts'
import type { Erasure } from '../../ports/erasure.ts'
import { type HistoryRow, type OfflineStore, type Origin, RefusedRows } from '../../ports/offline-store.ts'
import { SqlError, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import { asWantedColumns, rowsOfEach } from '../../recording/wanted-rows.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { isOutcomeUnknown, isValueError } from '../connection/sql-errors.ts'
import { inTransaction } from '../connection/transaction.ts'
import { appendHistory } from './history-append.ts'
import {
  COUNT_ROWS,
  FORGET_KEY,
  INSERT_ERASURE,
  KEY_HISTORY,
  KEYS_SINCE,
  LAST_SEQ,
  LATEST_OF,
  LATEST_OF_EACH,
  READ_ERASURES,
  READ_HISTORY,
  ROWS_AT,
  STORED_SEQS,
} from './history-sql.ts'
import { createLatestRows } from './latest-rows.ts'
import { createPendingNotes, micros } from './pending-notes.ts'

const MAX_FORGOTTEN = 10_000

/** History in the laptop's one file. Closing it closes the file. */
export function createDuckdbOfflineStore(database: Database): OfflineStore {
  const read = (text: string, parameters: readonly SqlValue[]) =>
    reported(() => database.readers.use(ownDeadline(), (session, left) => session.read(text, parameters, left)))
  const write = (text: string, parameters: readonly SqlValue[]) =>
    reported(() => database.history.use(ownDeadline(), (session, left) => session.read(text, parameters, left)))
  const open = (text: string, parameters: readonly SqlValue[]) =>
    reported(() => database.readers.use(ownDeadline(), (session, left) => session.open(text, parameters, left)))
  const latest = createLatestRows({ read, open }, asStoreError)
  // Erasures from before are kept to by whoever records: these matter for what was recorded just before the erasure was raised.
  const forgotten = new Map<string, number>()
  const isOpen = ({ feature, entityKey, eventAt }: HistoryRow) =>
    forgotten.size === 0 || eventAt > (forgotten.get(forgottenId(feature, entityKey)) ?? Number.NEGATIVE_INFINITY)
  /** Rows that may be in the file though the engine failed while it wrote them; whoever sent them sends them again. */
  const doubtful = new Set<number>()
  const withoutStored = async (session: Session, rows: readonly HistoryRow[]) => {
    const asked = rows.filter(({ seq }) => doubtful.has(seq)).map(({ seq }) => seq)
    if (asked.length === 0) return rows
    const stored = new Set((await session.read(STORED_SEQS, [asked], ownDeadline())).rows.map(([seq]) => Number(seq)))
    return rows.filter(({ seq }) => !stored.has(seq))
  }
  return {
    async append(rows, { timeoutMs } = {}) {
      if (rows.length === 0) return []
      latest.recordedMore()
      try {
        await database.history.use(ownDeadline(timeoutMs), async (session, left) =>
          appendHistory(session, await withoutStored(session, rows.filter(isOpen)), left),
        )
        if (doubtful.size > 0) for (const { seq } of rows) doubtful.delete(seq)
        return []
      } catch (error) {
        if (isOutcomeUnknown(error)) for (const { seq } of rows) doubtful.add(seq)
        throw asAppendError(error)
      } finally {
        latest.recordedMore()
      }
    },
    latest: (feature, fingerprint, options) => latest.ofAll([{ feature, fingerprint }], options),
    latestOfAll: latest.ofAll,
    async isLongerThan(count) {
      const { rows } = await read(COUNT_ROWS, [])
      return Number(rows[0]?.[0] ?? 0) > count
    },
    haveOtherVersions: latest.haveOtherVersions,
    async keysSince(feature, since, limit) {
      const { rows } = await read(KEYS_SINCE, [feature, new SqlTimestamp(since), limit])
      return rows.map((row) => String(row[0]))
    },
    async latestOf(feature, fingerprint, keys) {
      if (keys.length === 0) return []
      const { rows } = await read(LATEST_OF, [feature, fingerprint, [...new Set(keys)]])
      const found = new Map(rows.map((row) => [String(row[2]), toHistoryRow(row)]))
      return keys.map((key) => found.get(key))
    },
    async latestOfEach(wanted) {
      if (wanted.every(({ keys }) => keys.length === 0)) return wanted.map(() => [])
      const { rows } = await read(LATEST_OF_EACH, asWantedColumns(wanted))
      return rowsOfEach(wanted, rows.map(toHistoryRow))
    },
    async rowsAt(feature, fingerprint, points) {
      if (points.length === 0) return []
      const times = points.map((point) => point.eventAt)
      const bounds = [Math.min(...times), Math.max(...times)].map((micros) => new SqlTimestamp(micros))
      const { rows } = await read(ROWS_AT, [feature, fingerprint, points.map((point) => point.entityKey), times, ...bounds])
      const found = new Map(rows.map(toHistoryRow).map((row) => [`${row.eventAt} ${row.entityKey}`, row]))
      return points.map((point) => found.get(`${point.eventAt} ${point.entityKey}`))
    },
    async history({ feature, fingerprint, entityKey, from, to, availableBy = null, limit }) {
      const time = (micros: number | null) => (micros === null ? null : new SqlTimestamp(micros))
      const { rows } = await read(READ_HISTORY, [feature, fingerprint, entityKey, time(from), time(to), time(availableBy), limit])
      return rows.map(toHistoryRow)
    },
    async historyOfKey({ features, entityKey, to, limit }) {
      if (features.length === 0) return []
      const names = [features.map(({ feature }) => feature), features.map(({ fingerprint }) => fingerprint)]
      const { rows } = await read(KEY_HISTORY, [...names, entityKey, new SqlTimestamp(to), limit])
      return rows.map(toHistoryRow)
    },
    async lastSeq() {
      const { rows } = await read(LAST_SEQ, [])
      return Number(rows[0]?.[0] ?? 0)
    },
    forget: (features, erasure) =>
      reported(() =>
        database.history.use(ownDeadline(), async (session) => {
          const count = await forgetKey(session, features, erasure)
          // In turn with appends: those that wait see it.
          if (forgotten.size > MAX_FORGOTTEN) forgotten.clear()
          for (const feature of features) forgotten.set(forgottenId(feature, erasure.entityKey), erasure.at)
          return count
        }),
      ),
    async erasures() {
      const { rows } = await read(READ_ERASURES, [])
      return rows.map(([entity, entityKey, at]) => ({ entity: String(entity), entityKey: String(entityKey), at: micros(at) }))
    },
    ...createPendingNotes(database, { read, write }),
    close: () => database.close(),
  }
}

async function forgetKey(session: Session, features: readonly string[], { entity, entityKey, at }: Erasure): Promise<number> {
  return inTransaction(session, async () => {
    await session.read(INSERT_ERASURE, [entity, entityKey, new SqlTimestamp(at)], ownDeadline())
    if (features.length === 0) return 0
    const { rows } = await session.read(FORGET_KEY, [features, entityKey], ownDeadline())
    return Number(rows[0]?.[0] ?? 0)
  })
}

function forgottenId(feature: string, entityKey: string): string {
  return `${feature}\0${entityKey}`
}

/**
 * Each append is a transaction of its own, and an error of the engine says that it was taken back. Only after a fatal one the file decides, when
 * it is opened again: see reopening.ts.
 */
function asAppendError(error: unknown): unknown {
  const isRefused = error instanceof SqlError && error.kind === 'runtime' && isValueError(error.cause)
  return isRefused ? new RefusedRows('DuckDB has no such value', null, error) : asStoreError(error)
}

function toHistoryRow(row: readonly SqlValue[]): HistoryRow {
  const [feature, fingerprint, entityKey, value, eventAt, availableAt, createdAt, seq, origin] = row
  return {
    feature: String(feature),
    fingerprint: String(fingerprint),
    entityKey: String(entityKey),
    value: value === null || value === undefined ? null : String(value),
    eventAt: micros(eventAt),
    availableAt: micros(availableAt),
    createdAt: micros(createdAt),
    seq: Number(seq),
    origin: String(origin) as Origin,
  }
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStoreError(error)
  }
}

function asStoreError(error: unknown): unknown {
  if (error instanceof FabraError) return error
  if (isOutcomeUnknown(error)) {
    return new FabraError('outcome_unknown', 'The engine failed while it wrote: the file has it or not.', {
      hint: 'The file is opened again by itself; send the same again in a few seconds. The log has the reason.',
      cause: error,
    })
  }
  return new FabraError('store_unavailable', 'The offline store did not answer.', {
    hint: 'Check that the disk of the data folder is not full and can be written.',
    cause: error,
  })
}
