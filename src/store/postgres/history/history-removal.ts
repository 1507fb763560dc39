/**
 * Rows leave by plain deletes over the index, some keys at a time; VACUUM gives their room to new rows. What was removed is told in a table that is
 * made with the first removal, and not by a step of the schema: processes of the version before, which refuse steps they do not know, can still
 * be started beside.
 */
import type { TakeLeaving } from '../../ports/archive.ts'
import { type HistoryRemoval, LEAVING_COLUMNS, type RemovalPlace, type RemovalRule, type RemovedLot } from '../../ports/history-removal.ts'
import { makeArchiveMarks, markArchived } from '../archive-marks.ts'
import type { Postgres, Statements } from '../connection/postgres.ts'
import { storeErrors } from '../connection/store-errors.ts'
import { microsOf, timeOf } from './history-sql.ts'

/** Each is a look into the index of every month before the time. */
const KEYS_A_LOT = 200
const ROWS_A_LOT = 2_000
const LOT_MS = 30_000
const READ_MS = 10_000
/** Nobody else waits behind a lot that waits: an erasure of one of its keys may be under way. */
const SETTINGS = { jit: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off', enable_seqscan: 'off', lock_timeout: 2_000 } as const

const BEFORE = timeOf('$2::bigint')

/** The next keys that have rows before the time, one look into the index for each: a key may have thousands. */
const NEXT_KEYS = `
WITH RECURSIVE k(entity_key) AS (
  (SELECT entity_key FROM fabra.feature_history
   WHERE feature = $1 AND event_timestamp < ${BEFORE} AND ($3::text IS NULL OR entity_key > $3) ORDER BY entity_key LIMIT 1)
  UNION ALL
  SELECT (SELECT h.entity_key FROM fabra.feature_history AS h
          WHERE h.feature = $1 AND h.event_timestamp < ${BEFORE} AND h.entity_key > k.entity_key ORDER BY h.entity_key LIMIT 1)
  FROM k WHERE k.entity_key IS NOT NULL
)
SELECT entity_key FROM k WHERE entity_key IS NOT NULL LIMIT ${KEYS_A_LOT}`

/** A row whose history goes on without it; see RemovalRule. */
const IS_OVERTAKEN = `EXISTS (
  SELECT FROM fabra.feature_history AS n
  WHERE n.feature = h.feature AND n.entity_key = h.entity_key AND n.fingerprint = h.fingerprint
    AND n.event_timestamp >= h.event_timestamp
    AND (n.event_timestamp, n.available_at, n.seq) > (h.event_timestamp, h.available_at, h.seq)
    AND n.event_timestamp <= ${BEFORE} AND n.available_at <= ${BEFORE} AND n.created_at <= ${BEFORE}
    AND (n.origin <> 'backfill' OR h.origin = 'backfill')
)`

const REMOVE = `
WITH gone AS MATERIALIZED (
  SELECT h.entity_key, h.fingerprint, h.event_timestamp, h.available_at, h.seq
  FROM unnest($3::text[]) AS k(entity_key)
  CROSS JOIN LATERAL (
    SELECT * FROM fabra.feature_history AS one
    WHERE one.feature = $1 AND one.entity_key = k.entity_key AND one.event_timestamp < ${BEFORE} AND one.origin = ANY ($4::text[])
  ) AS h
  WHERE ${IS_OVERTAKEN}
  LIMIT ${ROWS_A_LOT}
)
DELETE FROM fabra.feature_history AS h
USING gone AS g
WHERE h.feature = $1 AND h.event_timestamp < ${BEFORE}
  AND h.entity_key = g.entity_key AND h.fingerprint = g.fingerprint AND h.event_timestamp = g.event_timestamp
  AND h.available_at = g.available_at AND h.seq = g.seq`

const RETURNING = ` RETURNING ${LEAVING_COLUMNS.map(({ name }) => `h.${name}::text`).join(', ')}`

const IS_THERE = "SELECT to_regclass('fabra.history_removed') IS NOT NULL"
const MAKE = `
CREATE TABLE IF NOT EXISTS fabra.history_removed (
  feature text COLLATE "C" PRIMARY KEY,
  kept_since timestamptz NOT NULL
)`
const TELL = `
INSERT INTO fabra.history_removed AS r (feature, kept_since) VALUES ($1, ${BEFORE})
ON CONFLICT (feature) DO UPDATE SET kept_since = greatest(r.kept_since, excluded.kept_since)`
const KEPT_SINCE = `SELECT feature, ${microsOf('kept_since')} FROM fabra.history_removed WHERE feature = ANY ($1::text[])`

export function createPostgresHistoryRemoval(postgres: Postgres): HistoryRemoval {
  let isMade = false
  const look = async () => {
    isMade ||= (await postgres.run(IS_THERE, [], { timeoutMs: READ_MS, readOnly: true })).rows[0]?.[0] === 't'
    return isMade
  }
  return {
    removeLot: (rule, from, take = null) =>
      storeErrors(async () => {
        if (!(await look())) await postgres.run(MAKE, [], { timeoutMs: LOT_MS })
        if (take) await makeArchiveMarks(postgres)
        return postgres.transaction({ timeoutMs: LOT_MS, settings: SETTINGS }, (statements) => removeLot(statements, rule, { from, take }))
      }),
    async keptSince(features) {
      return storeErrors(async () => {
        if (features.length === 0 || !(await look())) return new Map()
        const { rows } = await postgres.run(KEPT_SINCE, [features], { timeoutMs: READ_MS, readOnly: true })
        return new Map(rows.map(([feature, since]) => [String(feature), Number(since)]))
      })
    },
  }
}

interface Lot {
  readonly from: RemovalPlace
  readonly take: TakeLeaving | null
}

async function removeLot(statements: Statements, { feature, before, origins }: RemovalRule, { from, take }: Lot): Promise<RemovedLot> {
  const keys = (await statements.run(NEXT_KEYS, [feature, before, from.after])).rows.map(([key]) => String(key))
  if (keys.length === 0) return { removed: 0, next: null }
  const { count: removed, rows } = await statements.run(take ? REMOVE + RETURNING : REMOVE, [feature, before, keys, origins])
  if (take && removed > 0) await markArchived(statements, await take({ columns: LEAVING_COLUMNS, rows }))
  if (removed > 0) await statements.run(TELL, [feature, before])
  // These keys may have more.
  if (removed === ROWS_A_LOT) return { removed, next: from }
  return { removed, next: keys.length < KEYS_A_LOT ? null : { after: keys.at(-1) ?? null } }
}
