/** Which rows may leave history, in plain words. */
import type { RemovalRule } from '../../src/store/ports/history-removal.ts'
import type { HistoryRow } from '../../src/store/ports/offline-store.ts'

/** Of rows of one key. */
export const order = (a: HistoryRow, b: HistoryRow) => a.eventAt - b.eventAt || a.availableAt - b.availableAt || a.seq - b.seq
const sameKey = (a: HistoryRow, b: HistoryRow) => a.entityKey === b.entityKey && a.fingerprint === b.fingerprint

/** The rule, without SQL. */
export function removable(all: readonly HistoryRow[], one: HistoryRow, { before, origins }: RemovalRule): boolean {
  const overtakes = (other: HistoryRow) =>
    sameKey(other, one) &&
    order(other, one) > 0 &&
    Math.max(other.eventAt, other.availableAt, other.createdAt) <= before &&
    (other.origin !== 'backfill' || one.origin === 'backfill')
  return one.eventAt < before && origins.includes(one.origin) && all.some(overtakes)
}
