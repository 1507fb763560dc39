/**
 * Rows leave in lots, each a transaction in turn with appends. The engine uses the room of whole row groups again for what comes next, so the file
 * stops growing; it becomes smaller by shrinking.ts alone.
 */
import type { Micros } from '../../../clock.ts'
import { FabraError } from '../../../errors.ts'
import type { TakeLeaving } from '../../ports/archive.ts'
import { type HistoryRemoval, LEAVING_COLUMNS, type RemovalRule } from '../../ports/history-removal.ts'
import { SqlTimestamp } from '../../ports/source-engine.ts'
import { markArchived } from '../archive-marks.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { inTransaction } from '../connection/transaction.ts'
import { CATALOG } from '../sql.ts'
import { micros } from './pending-notes.ts'

const ROWS_A_LOT = 20_000
/** A lot looks through all rows of the feature before the time. */
const LOT_MS = 60_000

/** As RemovalRule says it: a key's greatest row that was known by the time overtakes all that are smaller. */
const remove = (rowsALot: number) => `
DELETE FROM fabra.feature_history
WHERE rowid IN (
  WITH past AS (
    SELECT rowid AS row_id, fingerprint, entity_key, event_timestamp, origin,
      {'e': event_timestamp, 'a': available_at, 's': seq} AS place, available_at <= $2 AND created_at <= $2 AS is_known
    FROM fabra.feature_history
    WHERE feature = $1 AND event_timestamp <= $2
  ), tops AS (
    SELECT fingerprint, entity_key, max(place) FILTER (is_known) AS top, max(place) FILTER (is_known AND origin <> 'backfill') AS served_top
    FROM past
    GROUP BY fingerprint, entity_key
  )
  SELECT row_id
  FROM past
  JOIN tops USING (fingerprint, entity_key)
  WHERE event_timestamp < $2 AND origin IN (SELECT unnest($3::VARCHAR[]))
    AND (place < served_top OR (origin = 'backfill' AND place < top))
  LIMIT ${rowsALot}
)
RETURNING ${LEAVING_COLUMNS.map(({ name }) => `CAST(${name} AS VARCHAR)`).join(', ')}`

const IS_THERE = `
SELECT 1 FROM duckdb_tables() WHERE database_name = '${CATALOG}' AND schema_name = 'fabra' AND table_name = 'history_removed'`
/** Made with the first removal, and not by a step of the schema: the version before, which refuses steps it does not know, can still open the file. */
const MAKE = 'CREATE TABLE IF NOT EXISTS fabra.history_removed (feature VARCHAR NOT NULL, kept_since TIMESTAMPTZ NOT NULL)'
const TELL = `
INSERT INTO fabra.history_removed
SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM fabra.history_removed WHERE feature = $1 AND kept_since >= $2)`
const KEPT_SINCE =
  'SELECT feature, max(kept_since) FROM fabra.history_removed WHERE feature IN (SELECT unnest($1::VARCHAR[])) GROUP BY feature'

/** @param rowsALot Another than the default by tests only. */
export function createDuckdbHistoryRemoval(database: Database, rowsALot = ROWS_A_LOT): HistoryRemoval {
  const text = remove(rowsALot)
  let isMade = false
  const look = async (session: Session) => {
    isMade ||= (await session.read(IS_THERE, [], ownDeadline())).rows.length > 0
    return isMade
  }
  return {
    removeLot: (rule, _from, take = null) =>
      reported(() =>
        database.history.use(ownDeadline(LOT_MS), async (session) => {
          const removed = await inTransaction(session, () => removeLot(session, text, rule, take))
          return { removed, next: removed < rowsALot ? null : { after: null } }
        }),
      ),
    keptSince: (features) =>
      reported(() =>
        database.readers.use(ownDeadline(), async (session) => {
          if (features.length === 0 || !(await look(session))) return new Map<string, Micros>()
          const { rows } = await session.read(KEPT_SINCE, [[...features]], ownDeadline())
          return new Map(rows.map(([feature, since]) => [String(feature), micros(since)]))
        }),
      ),
  }
}

async function removeLot(
  session: Session,
  text: string,
  { feature, before, origins }: RemovalRule,
  take: TakeLeaving | null,
): Promise<number> {
  const time = new SqlTimestamp(before)
  const { rows } = await session.read(text, [feature, time, [...origins]], ownDeadline(LOT_MS))
  const removed = rows.length
  if (removed === 0) return 0
  if (take) {
    const taken = rows.map((row) => row.map((value) => (value === null ? null : String(value))))
    await markArchived(session, await take({ columns: LEAVING_COLUMNS, rows: taken }))
  }
  await session.execute(MAKE, ownDeadline())
  await session.read(TELL, [feature, time], ownDeadline())
  return removed
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof FabraError) throw error
    throw new FabraError('store_unavailable', 'The offline store did not answer.', {
      hint: 'Check that the disk of the data folder is not full and can be written.',
      cause: error,
    })
  }
}
