/**
 * The one order of the values of a feature and key. Whoever keeps one of several (stores, outage copies, caches, what waits for a store that is
 * down) keeps the last by it. Redis compares in its own process, so `store/redis/format/scripts.ts` says the same in Lua; history sorts by the
 * same three columns in SQL.
 */
import type { Micros } from '../../clock.ts'

export interface ValueOrder {
  readonly eventAt: Micros
  /** A correction of a value has its event time, and is available later. */
  readonly availableAt: Micros
  /** The sequence number: what was accepted last is the greatest. */
  readonly seq: number
}

/** By event time, then by when it became available, then by which was accepted last. Of equals neither is newer. */
export function isNewer(value: ValueOrder, than: ValueOrder): boolean {
  if (value.eventAt !== than.eventAt) return value.eventAt > than.eventAt
  if (value.availableAt !== than.availableAt) return value.availableAt > than.availableAt
  return value.seq > than.seq
}

/** Whether a value takes the place of another one: of equals the one that comes later does, so that writing again is safe. */
export function replaces(value: ValueOrder, kept: ValueOrder): boolean {
  return !isNewer(kept, value)
}
