import type { HistoryRow, OfflineStore, Origin } from '../../ports/offline-store.ts'
import { asWantedColumns, rowsOfEach } from '../../recording/wanted-rows.ts'
import { readInBatches } from '../connection/cursor.ts'
import type { Parameter, Postgres, WorkOptions } from '../connection/postgres.ts'
import { asAppendError, asStoreError, storeErrors } from '../connection/store-errors.ts'
import { createKnownLayout, type KnownLayout } from './history-layout.ts'
import type { HistoryLayout } from './history-rows.ts'
import * as sql from './history-sql.ts'
import { createHistoryWrites } from './history-writes.ts'

export interface PostgresOfflineStoreOptions {
  readonly postgres: Postgres
  /** Picks this writer's mark among a few: writers that share one wait for each other. */
  readonly random: () => number
  /** Told of what nobody else is told of. */
  readonly onProblem: (message: string, cause: unknown) => void
  /** Shared by all that ask the same database. */
  readonly layout?: KnownLayout
}

type ReadOptions = Pick<WorkOptions, 'isUrgent'> & { readonly timeoutMs?: number }

const READ_MS = 10_000
const WRITE_MS = 15_000
/** All newest rows at a start: many. */
const LATEST_MS = 300_000
const BATCH_ROWS = 5_000

/** History in PostgreSQL, for any number of processes. The schema must be up to date. Does not close the connections. */
export function createPostgresOfflineStore({
  postgres,
  random,
  onProblem,
  layout = createKnownLayout(postgres),
}: PostgresOfflineStoreOptions): OfflineStore {
  const writes = createHistoryWrites({ postgres, layout, random, onProblem })
  const run = (text: string, parameters: readonly Parameter[], options: ReadOptions = {}) =>
    postgres.run(text, parameters, { timeoutMs: READ_MS, readOnly: true, ...options })
  const read = (text: (where: HistoryLayout) => string, parameters: readonly Parameter[], options: ReadOptions = {}) =>
    storeErrors(() => layout.within((where) => run(text(where), parameters, options)))
  const write = (text: string, parameters: readonly Parameter[]) =>
    storeErrors(() => postgres.run(text, parameters, { timeoutMs: WRITE_MS }))

  const latest: OfflineStore['latest'] = async function* (feature, fingerprint, { before, limit }) {
    try {
      const statement = { text: sql.latest(await layout.current()), parameters: [feature, fingerprint, before, limit] }
      const batches = readInBatches(postgres, statement, { timeoutMs: LATEST_MS, batchRows: BATCH_ROWS })
      for await (const rows of batches) yield rows.map(toHistoryRow)
    } catch (error) {
      throw asStoreError(error)
    }
  }
  return {
    async append(rows, { timeoutMs = WRITE_MS } = {}) {
      if (rows.length === 0) return []
      try {
        return await writes.append(rows, timeoutMs)
      } catch (error) {
        const textsOf = (i: number) => [rows[i]?.feature ?? null, rows[i]?.entityKey ?? null, rows[i]?.value ?? null]
        throw asAppendError(error, textsOf, rows.length)
      }
    },
    latest,
    async *latestOfAll(versions, options) {
      for (const { feature, fingerprint } of versions) yield* latest(feature, fingerprint, options)
    },
    async isLongerThan(count) {
      const { rows } = await read(sql.isLonger, [count])
      return Number(rows[0]?.[0]) === 1
    },
    // To know it takes as long as to list the keys.
    haveOtherVersions: async (versions) => new Set(versions.map(({ feature }) => feature)),
    async keysSince(feature, since, limit) {
      const { rows } = await read(sql.keysSince, [feature, since, limit])
      return rows.map(([key]) => String(key))
    },
    async latestOf(feature, fingerprint, keys) {
      if (keys.length === 0) return []
      const { rows } = await read(sql.latestOf, [feature, fingerprint, [...new Set(keys)]])
      const found = new Map(rows.map((row) => [String(row[2]), toHistoryRow(row)]))
      return keys.map((key) => found.get(key))
    },
    async latestOfEach(wanted, { timeoutMs = READ_MS } = {}) {
      if (wanted.every(({ keys }) => keys.length === 0)) return wanted.map(() => [])
      const { rows } = await read(sql.latestOfEach, asWantedColumns(wanted), { timeoutMs })
      return rowsOfEach(wanted, rows.map(toHistoryRow))
    },
    async rowsAt(feature, fingerprint, points) {
      if (points.length === 0) return []
      const unique = [...new Map(points.map((point) => [`${point.eventAt} ${point.entityKey}`, point])).values()]
      const { rows } = await read(sql.rowsAt, [
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
      const { rows } = await read((where) => sql.readHistory(where, bounds), [feature, fingerprint, entityKey, limit, ...given])
      return rows.map(toHistoryRow)
    },
    async historyOfKey({ features, entityKey, to, limit }) {
      if (features.length === 0) return []
      const names = [features.map(({ feature }) => feature), features.map(({ fingerprint }) => fingerprint)]
      const { rows } = await read(sql.keyHistory, [...names, entityKey, to, limit])
      return rows.map(toHistoryRow)
    },
    async lastSeq() {
      const { rows } = await storeErrors(() => run(sql.LAST_SEQ, []))
      return Number(rows[0]?.[0] ?? 0)
    },
    forget: (features, erasure) => storeErrors(() => writes.forget(features, erasure)),
    async erasures() {
      const { rows } = await storeErrors(() => run(sql.READ_ERASURES, []))
      return rows.map(([entity, entityKey, at]) => ({ entity: String(entity), entityKey: String(entityKey), at: Number(at) }))
    },
    async notePending(noting, at) {
      await write(sql.OWE, [noting, at])
    },
    async pendingNotes() {
      const { rows } = await storeErrors(() => run(sql.READ_PENDING_NOTES, [], { isUrgent: true }))
      return rows.map(([noting, at]) => ({ writer: String(noting), at: Number(at) }))
    },
    async forgetPendingNotes(writers, before) {
      if (writers.length > 0) await write(sql.FORGET_PENDING_NOTES, [writers, before ?? null])
    },
    async close() {},
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
