/**
 * Rows leave by deletes over the index, some keys at a time; VACUUM gives their room to new rows. What was removed is told in a table that is
 * made with the first removal, and not by a step of the schema: processes of the version before, which refuse steps they do not know, can still
 * be started beside.
 */
import type { TakeLeaving } from '../../ports/archive.ts'
import { type HistoryRemoval, LEAVING_COLUMNS, type RemovalPlace, type RemovalRule, type RemovedLot } from '../../ports/history-removal.ts'
import { makeArchiveMarks, markArchived } from '../archive-marks.ts'
import type { Postgres, Statements } from '../connection/postgres.ts'
import { storeErrors } from '../connection/store-errors.ts'
import { createKnownLayout } from './history-layout.ts'
import { BEFORE, KEYS_A_LOT, nextKeys, type RemovalPart, ROWS_A_LOT, remove, returning } from './history-removal-sql.ts'
import { type HistoryLayout, hasPacked, hasPlain, microsOf } from './history-rows.ts'
import { createLeavingMonths, type WorthOfMonths } from './leaving-months.ts'
import { LOOKUPS } from './patient-locks.ts'

const LOT_MS = 30_000
const READ_MS = 10_000
/** Nobody else waits behind a lot that waits: an erasure of one of its keys may be under way. */
const SETTINGS = LOOKUPS

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

/** @param worth Another than the default by tests only. */
export function createPostgresHistoryRemoval(postgres: Postgres, worth?: WorthOfMonths): HistoryRemoval {
  const layout = createKnownLayout(postgres)
  let isMade = false
  const look = async () => {
    isMade ||= (await postgres.run(IS_THERE, [], { timeoutMs: READ_MS, readOnly: true })).rows[0]?.[0] === 't'
    return isMade
  }
  const ready = async () => {
    if (!(await look())) await postgres.run(MAKE, [], { timeoutMs: LOT_MS })
  }
  return {
    months: createLeavingMonths({ postgres, layout, ready, ...(worth ? { worth } : {}) }),
    removeLot: (rule, from, take = null) =>
      storeErrors(async () => {
        await ready()
        if (take) await makeArchiveMarks(postgres)
        return layout.within((where) =>
          postgres.transaction({ timeoutMs: LOT_MS, settings: SETTINGS }, (statements) =>
            removeLot(statements, where, rule, { from, take }),
          ),
        )
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

async function removeLot(
  statements: Statements,
  layout: HistoryLayout,
  { feature, before, origins }: RemovalRule,
  { from, take }: Lot,
): Promise<RemovedLot> {
  const { part, after } = placeOf(from, layout)
  const nextPart: RemovalPlace | null = part === 'plain' && hasPacked(layout) ? { after: 'packed:' } : null
  const keys = (await statements.run(nextKeys(part, layout), [feature, before, after])).rows.map(([key]) => String(key))
  if (keys.length === 0) return { removed: 0, next: nextPart }
  const text = remove(part, layout) + (take ? returning(part) : '')
  const { count: removed, rows } = await statements.run(text, [feature, before, keys, origins])
  if (take && removed > 0) await markArchived(statements, await take({ columns: LEAVING_COLUMNS, rows }))
  if (removed > 0) await statements.run(TELL, [feature, before])
  // These keys may have more.
  if (removed === ROWS_A_LOT) return { removed, next: from }
  return { removed, next: keys.length < KEYS_A_LOT ? nextPart : { after: `${part}:${keys.at(-1)}` } }
}

/** Places are written as `plain:<key>` and `packed:<hash of a key>`. */
function placeOf({ after }: RemovalPlace, layout: HistoryLayout): { readonly part: RemovalPart; readonly after: string | null } {
  if (after === null) return { part: hasPlain(layout) ? 'plain' : 'packed', after: null }
  const at = after.indexOf(':')
  const rest = after.slice(at + 1)
  // What was plain when the last lot went may all be gone.
  const isPlain = after.startsWith('plain') && hasPlain(layout)
  if (isPlain) return { part: 'plain', after: rest }
  return { part: 'packed', after: after.startsWith('packed') && rest !== '' ? rest : null }
}
