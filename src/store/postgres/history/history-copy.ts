/**
 * Computed rows, when they are many: a COPY takes them at less than half of what an INSERT costs the server. What an INSERT looks for row by row is
 * asked before, once for all of them. Rows that were pushed, and those that may be there, are looked for one by one and inserted.
 */
import type { Micros } from '../../../clock.ts'
import type { HistoryRow } from '../../ports/offline-store.ts'
import { PostgresSqlError } from '../connection/errors.ts'
import type { Transaction } from '../connection/postgres.ts'
import { COPY, copyData } from './copy-data.ts'
import { microsOf, timeOf } from './history-rows.ts'
import { nameOf, versionsOf } from './versions-of.ts'

/** The number of a version is not there: the database is another one than it was. */
export const NOT_NUMBERED = '23502'
/** For fewer, the round trip more costs more than it saves. */
const LEAST_ROWS = 200
/** With more erasures than these since the rows' events, each row is looked for by itself. */
const MOST_ERASURES = 5_000

const NUMBERS = `
SELECT g.n - 1, v.id
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g(feature, fingerprint, n)
JOIN fabra.feature_versions AS v ON v.feature = g.feature AND v.fingerprint = g.fingerprint`

const ERASURES = `
SELECT feature, entity_key, ${microsOf('fenced_at')}
FROM fabra.feature_fences
WHERE fenced_at >= ${timeOf('$1::bigint')}
LIMIT ${MOST_ERASURES + 1}`

export interface SplitRows {
  readonly inserted: readonly HistoryRow[]
  readonly copied: readonly HistoryRow[]
}

/** Of rows that are not there yet. */
export function partsOf(rows: readonly HistoryRow[]): SplitRows {
  const copied = rows.filter(({ origin }) => origin !== 'pushed')
  if (copied.length < LEAST_ROWS) return { inserted: rows, copied: [] }
  return { inserted: rows.filter(({ origin }) => origin === 'pushed'), copied }
}

/**
 * In a transaction that holds off erasures and has numbered the versions of these rows.
 * @returns false: nothing was copied, as too much was forgotten meanwhile. @throws SqlError
 */
export async function copyRows(statements: Transaction, rows: readonly HistoryRow[]): Promise<boolean> {
  if (rows.length === 0) return true
  const versions = versionsOf(rows)
  const firstEvent = rows.reduce((first, { eventAt }) => Math.min(first, eventAt), Number.POSITIVE_INFINITY)
  const asked = [
    statements.run(NUMBERS, [versions.map(({ feature }) => feature), versions.map(({ fingerprint }) => fingerprint)]),
    statements.run(ERASURES, [firstEvent]),
  ] as const
  // Both are answered before one may throw: they share a connection.
  await Promise.allSettled(asked)
  const [numbers, erasures] = await Promise.all(asked)
  if (erasures.rows.length > MOST_ERASURES) return false
  if (numbers.rows.length < versions.length) throw new PostgresSqlError('runtime', NOT_NUMBERED, 'A version has no number.', null)
  const ids = new Map(numbers.rows.map(([n, id]) => [versions[Number(n)]?.name, Number(id)]))
  const kept = withoutErased(rows, new Map(erasures.rows.map(([feature, key, at]) => [`${feature} ${key}`, Number(at)])))
  if (kept.length > 0) await statements.copy(COPY, copyData(kept, numbersOf(kept, ids)))
  return true
}

/** @param erasures By feature and key, when it was forgotten. */
function withoutErased(rows: readonly HistoryRow[], erasures: ReadonlyMap<string, Micros>): readonly HistoryRow[] {
  if (erasures.size === 0) return rows
  return rows.filter(({ feature, entityKey, eventAt }) => eventAt > (erasures.get(`${feature} ${entityKey}`) ?? Number.NEGATIVE_INFINITY))
}

/** Of each row's version. */
function numbersOf(rows: readonly HistoryRow[], ids: ReadonlyMap<string | undefined, number>): Int32Array {
  const numbers = new Int32Array(rows.length)
  let last: HistoryRow | undefined
  let id = 0
  for (const [i, row] of rows.entries()) {
    // Rows of one version mostly come together.
    if (row.feature !== last?.feature || row.fingerprint !== last.fingerprint) id = ids.get(nameOf(row)) ?? 0
    numbers[i] = id
    last = row
  }
  return numbers
}
