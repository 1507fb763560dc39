import { FabraError } from '../../errors.ts'
import type { Entry, Waiter } from './history-entry.ts'

const MAX_COMMIT_ROWS = 20_000
/** A commit needs some time: a lot with less than this left is told that it comes too late. */
const LEAST_COMMIT_MS = 2_000

/** Entries that wait for their commit, and the count of everything on its way. */
export class HistoryBacklog {
  private pending: Entry[] = []
  private rowCount = 0
  private waiterCount = 0

  /** Whether nothing waits here; rows may still be in a commit, or be tried apart. */
  get isEmpty(): boolean {
    return this.pending.length === 0
  }

  /** Rows on their way, wherever they are. */
  get queued(): number {
    return this.rowCount
  }

  /** Lots and flushes that nobody was told of yet. */
  get waiting(): number {
    return this.waiterCount
  }

  add(entry: Entry): void {
    this.pending.push(entry)
    this.rowCount += entry.rows.length
    if (entry.waiter) this.waiterCount++
  }

  /** They were taken, and are not committed. */
  putBack(entries: readonly Entry[]): void {
    this.pending = [...entries, ...this.pending]
  }

  /** What goes into the next commit. */
  take(): Entry[] {
    const batch: Entry[] = []
    let count = 0
    let taken = 0
    for (const entry of this.pending) {
      const { rows, waiter } = entry
      if (!this.isDue(entry)) taken++
      else if (count > 0 && count + rows.length > MAX_COMMIT_ROWS && (waiter || count >= MAX_COMMIT_ROWS)) break
      else if (!waiter && count + rows.length > MAX_COMMIT_ROWS) {
        const room = MAX_COMMIT_ROWS - count
        batch.push({ rows: rows.slice(0, room), waiter })
        this.pending[taken] = { rows: rows.slice(room), waiter }
        break
      } else {
        taken++
        count += rows.length
        batch.push(entry)
      }
    }
    this.pending = this.pending.slice(taken)
    return batch
  }

  /** Whether the entry is still to be committed. A lot without time enough is told so. */
  isDue(entry: Entry): boolean {
    const { waiter } = entry
    if (!waiter) return true
    if (waiter.isSettled) return false
    if (waiter.inDoubt || waiter.deadlineAt - performance.now() >= LEAST_COMMIT_MS) return true
    this.refuse(entry, tooLate())
    return false
  }

  /** Rows that are on their way no longer: committed or set aside. */
  leave(rows: number): void {
    this.rowCount -= rows
  }

  /** @param repeats Of the lot's rows, those that history had already. */
  succeed(waiter: Waiter, repeats: readonly number[]): void {
    this.settle(waiter)
    waiter.resolve(repeats)
  }

  /** A lot leaves, and never comes back. */
  refuse({ rows, waiter }: Entry, error: unknown): void {
    if (!waiter) return
    this.rowCount -= rows.length
    this.settle(waiter)
    waiter.reject(error)
  }

  private settle(waiter: Waiter): void {
    waiter.isSettled = true
    this.waiterCount--
  }
}

function tooLate(): FabraError {
  return new FabraError('store_unavailable', 'The offline store is behind: the rows had no turn in time.')
}
