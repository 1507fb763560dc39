/** What is on its way into history. */
import type { HistoryRow } from '../ports/offline-store.ts'

/** Rows that go together: those of a lot, or some that were added. */
export interface Entry {
  readonly rows: readonly HistoryRow[]
  /** Undefined: they were added, and nobody waits for them. */
  readonly waiter: Waiter | undefined
}

/** Whoever waits for a lot, or for a flush, which is a lot without rows. */
export interface Waiter {
  /** By `performance.now()`. */
  readonly deadlineAt: number
  attempts: number
  inFlight: boolean
  /** A commit of it may have succeeded. */
  inDoubt: boolean
  isSettled: boolean
  /** @param repeats Of the lot's rows, those that history had already. */
  resolve(repeats: readonly number[]): void
  reject(error: unknown): void
}
