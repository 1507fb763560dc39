import type { HistoryRow, OfflineStore, Origin } from '../../ports/offline-store.ts'
import { asWantedColumns, rowsOfEach } from '../../recording/wanted-rows.ts'
import { readInBatches } from '../connection/cursor.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Parameter, Postgres, Statements, WorkOptions } from '../connection/postgres.ts'
import { asAppendError, asStoreError, storeErrors } from '../connection/store-errors.ts'
import { asArrays, asPoints, locksOf } from './history-append.ts'
import { createHistoryPartitions } from './history-partitions.ts'
import {
  APPEND,
  APPEND_SETTINGS,
  FORGET_KEY,
  FORGET_PENDING_NOTES,
  INSERT_ERASURE,
  INSERT_FEATURE_ERASURES,
  IS_LONGER,
  KEY_HISTORY,
  KEYS_SINCE,
  LAST_SEQ,
  LATEST,
  LATEST_OF,
  LATEST_OF_EACH,
  LOCK_ERASURES,
  LOCK_PUSHED,
  MARK,
  OWE,
  READ_ERASURES,
  READ_PENDING_NOTES,
  REPEATED,
  ROWS_AT,
  readHistory,
  SHARE_ERASURES,
} from './history-sql.ts'

export interface PostgresOfflineStoreOptions {
  readonly postgres: Postgres
  /** Picks this writer's mark among a few: writers that share one wait for each other. */
  readonly random: () => number
  /** Told of what nobody else is told of. */
  readonly onProblem: (message: string, cause: unknown) => void
}

const READ_MS = 10_000
const WRITE_MS = 15_000
/** Somebody waits. */
const FORGET_MS = 5_000
/** All newest rows at a start: many. */
const LATEST_MS = 300_000
const BATCH_ROWS = 5_000
const WRITERS = 64
/** Two writers in each other's way, or a month of history that came to be in this moment. */
const TRY_AGAIN = ['40P01', '40001', '23514']
const ATTEMPTS = 3

/** History in PostgreSQL, for any number of processes. The schema must be up to date. Does not close the connections. */
export function createPostgresOfflineStore({ postgres, random, onProblem }: PostgresOfflineStoreOptions): OfflineStore {
  const partitions = createHistoryPartitions(postgres, onProblem)
  const writer = Math.floor(random() * WRITERS)
  const read = (text: string, parameters: readonly Parameter[], options: Pick<WorkOptions, 'isUrgent'> & { timeoutMs?: number } = {}) =>
    storeErrors(() => postgres.run(text, parameters, { timeoutMs: READ_MS, readOnly: true, ...options }))

  const latest: OfflineStore['latest'] = async function* (feature, fingerprint, { before, limit }) {
    const statement = { text: LATEST, parameters: [feature, fingerprint, before, limit] }
    const batches = readInBatches(postgres, statement, { timeoutMs: LATEST_MS, batchRows: BATCH_ROWS })
    try {
      for await (const rows of batches) yield rows.map(toHistoryRow)
    } catch (error) {
      throw asStoreError(error)
    }
  }
  return {
    async append(rows, { timeoutMs = WRITE_MS } = {}) {
      if (rows.length === 0) return []
      const endsAt = performance.now() + timeoutMs
      const leftMs = () => Math.max(1, endsAt - performance.now())
      await partitions.make(rows, timeoutMs / 2)
      const pieces = await asArrays(rows)
      const pushed = rows.filter(({ origin }) => origin === 'pushed')
      const mark = rows.reduce((highest, { seq }) => Math.max(highest, seq), 0)
      try {
        return await repeated(() =>
          postgres.transaction({ timeoutMs: leftMs(), settings: APPEND_SETTINGS }, async (statements) => {
            const locking = [statements.run(SHARE_ERASURES), ...(pushed.length > 0 ? [statements.run(LOCK_PUSHED, [locksOf(pushed)])] : [])]
            const appending = pieces.map((piece) => statements.run(APPEND, piece))
            await allOf([...locking, ...appending, statements.run(MARK, [writer, mark])])
            const counts = await Promise.all(appending)
            const isComplete = counts.reduce((sum, { count }) => sum + count, 0) === rows.length
            return isComplete || pushed.length === 0 ? [] : await repeatedOf(statements, rows)
          }),
        )
      } catch (error) {
        const textsOf = (i: number) => [rows[i]?.feature ?? null, rows[i]?.entityKey ?? null, rows[i]?.value ?? null]
        throw asAppendError(error, textsOf, rows.length)
      }
    },
    latest,
    async *latestOfAll(versions, options) {
      for (const { feature, fingerprint } of versions) yield* latest(feature, fingerprint, options)
    },
    isLongerThan: async (count) => Number((await read(IS_LONGER, [count])).rows[0]?.[0]) === 1,
    // To know it takes as long as to list the keys.
    haveOtherVersions: async (versions) => new Set(versions.map(({ feature }) => feature)),
    async keysSince(feature, since, limit) {
      const { rows } = await read(KEYS_SINCE, [feature, since, limit])
      return rows.map(([key]) => String(key))
    },
    async latestOf(feature, fingerprint, keys) {
      if (keys.length === 0) return []
      const { rows } = await read(LATEST_OF, [feature, fingerprint, [...new Set(keys)]])
      const found = new Map(rows.map((row) => [String(row[2]), toHistoryRow(row)]))
      return keys.map((key) => found.get(key))
    },
    async latestOfEach(wanted, { timeoutMs = READ_MS } = {}) {
      if (wanted.every(({ keys }) => keys.length === 0)) return wanted.map(() => [])
      const { rows } = await read(LATEST_OF_EACH, asWantedColumns(wanted), { timeoutMs })
      return rowsOfEach(wanted, rows.map(toHistoryRow))
    },
    async rowsAt(feature, fingerprint, points) {
      if (points.length === 0) return []
      const unique = [...new Map(points.map((point) => [`${point.eventAt} ${point.entityKey}`, point])).values()]
      const { rows } = await read(ROWS_AT, [
        feature,
        fingerprint,
        unique.map(({ entityKey }) => entityKey),
        unique.map(({ eventAt }) => eventAt),
      ])
      const found = new Map(rows.map(toHistoryRow).map((row) => [`${row.eventAt} ${row.entityKey}`, row]))
      return points.map((point) => found.get(`${point.eventAt} ${point.entityKey}`))
    },
    async history({ feature, fingerprint, entityKey, from, to, availableBy = null, limit }) {
      const bounds = { from, to, availableBy }
      const given = [from, to, availableBy].filter((bound) => bound !== null)
      const { rows } = await read(readHistory(bounds), [feature, fingerprint, entityKey, limit, ...given])
      return rows.map(toHistoryRow)
    },
    async historyOfKey({ features, entityKey, to, limit }) {
      if (features.length === 0) return []
      const names = [features.map(({ feature }) => feature), features.map(({ fingerprint }) => fingerprint)]
      const { rows } = await read(KEY_HISTORY, [...names, entityKey, to, limit])
      return rows.map(toHistoryRow)
    },
    async lastSeq() {
      const { rows } = await read(LAST_SEQ, [])
      return Number(rows[0]?.[0] ?? 0)
    },
    forget: (features, { entity, entityKey, at }) =>
      storeErrors(() =>
        repeated(() =>
          postgres.transaction({ timeoutMs: FORGET_MS }, async (statements) => {
            await statements.run(LOCK_ERASURES)
            await statements.run(INSERT_ERASURE, [entity, entityKey, at])
            if (features.length === 0) return 0
            await statements.run(INSERT_FEATURE_ERASURES, [features, entityKey, at])
            return (await statements.run(FORGET_KEY, [features, entityKey])).count
          }),
        ),
      ),
    async erasures() {
      const { rows } = await read(READ_ERASURES, [])
      return rows.map(([entity, entityKey, at]) => ({ entity: String(entity), entityKey: String(entityKey), at: Number(at) }))
    },
    async notePending(writer, at) {
      await storeErrors(() => postgres.run(OWE, [writer, at], { timeoutMs: WRITE_MS }))
    },
    async pendingNotes() {
      const { rows } = await read(READ_PENDING_NOTES, [], { isUrgent: true })
      return rows.map(([writer, at]) => ({ writer: String(writer), at: Number(at) }))
    },
    async forgetPendingNotes(writers, before) {
      if (writers.length > 0)
        await storeErrors(() => postgres.run(FORGET_PENDING_NOTES, [writers, before ?? null], { timeoutMs: WRITE_MS }))
    },
    async close() {},
  }
}

/** Indexes of the pushed rows that the append of this transaction left out as repeats. */
async function repeatedOf(statements: Statements, rows: readonly HistoryRow[]): Promise<number[]> {
  const indexes = [...rows.keys()].filter((i) => rows[i]?.origin === 'pushed')
  const found = await statements.run(REPEATED, asPoints(indexes.flatMap((i) => rows[i] ?? [])))
  return found.rows.flatMap(([n]) => indexes[Number(n)] ?? [])
}

/** All are answered before any may throw: they share a connection. */
async function allOf(running: readonly Promise<unknown>[]): Promise<void> {
  const answers = await Promise.allSettled(running)
  for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
}

/** Once more when another transaction was in the way: this one was taken back whole. */
async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const again = error instanceof PostgresSqlError && error.state !== null && TRY_AGAIN.includes(error.state)
      if (!again || attempt === ATTEMPTS) throw error
    }
  }
}

export function toHistoryRow(row: readonly (string | null)[]): HistoryRow {
  const [feature, fingerprint, entityKey, value = null, eventAt, availableAt, createdAt, seq, origin] = row
  return {
    feature: String(feature),
    fingerprint: String(fingerprint),
    entityKey: String(entityKey),
    value,
    eventAt: Number(eventAt),
    availableAt: Number(availableAt),
    createdAt: Number(createdAt),
    seq: Number(seq),
    origin: origin as Origin,
  }
}
