import { FabraError } from '../../errors.ts'
import { type OfflineStore, RefusedRows } from '../ports/offline-store.ts'
import type { HistoryBacklog } from './history-backlog.ts'
import type { Entry, Waiter } from './history-entry.ts'
import type { RefusalSearch } from './refusal-search.ts'

/** A lot is told of an outage after so many attempts. */
export const ATTEMPTS = 3
/** The store gives up so long before the sender does: then it is known what became of the rows. */
const AHEAD_MS = 200

export interface CommitterOptions {
  readonly offline: Pick<OfflineStore, 'append'>
  readonly backlog: HistoryBacklog
  readonly search: RefusalSearch
  readonly onProblem: (message: string, cause: unknown) => void
}

/** Takes one batch after another to the store, and tells its senders what came of it. */
export class HistoryCommitter {
  /** Rows committed. */
  written = 0
  failures = 0
  failuresInARow = 0
  private readonly options: CommitterOptions
  /** What came before them may be among what is tried apart. */
  private flushers: Waiter[] = []

  constructor(options: CommitterOptions) {
    this.options = options
  }

  /** One batch, where there is one. Never at once with another call. */
  async commit(): Promise<void> {
    const { backlog, search } = this.options
    // Rows that arrive in the same turn of the event loop go along.
    await new Promise((resolve) => setImmediate(resolve))
    const suspects = search.take(!backlog.isEmpty)
    const batch = suspects ? suspects.filter((entry) => backlog.isDue(entry)) : backlog.take()
    if (batch.length > 0) await this.commitBatch(batch)
    if (!search.isOver) return
    search.end()
    for (const flusher of this.flushers) if (!flusher.isSettled) backlog.succeed(flusher, [])
    this.flushers = []
  }

  private async commitBatch(batch: readonly Entry[]): Promise<void> {
    const { offline, backlog, search } = this.options
    const waiters = batch.flatMap(({ waiter }) => waiter ?? [])
    for (const waiter of waiters) waiter.inFlight = true
    const rows = batch.flatMap((entry) => entry.rows)
    let repeats: readonly number[] = []
    try {
      if (rows.length > 0) repeats = await offline.append(rows, timeLeft(waiters))
    } catch (error) {
      for (const waiter of waiters) waiter.inFlight = false
      if (error instanceof RefusedRows) search.part(batch, error)
      else this.fail(batch, error)
      return
    }
    this.failuresInARow = 0
    this.written += rows.length - repeats.length
    backlog.leave(rows.length)
    let from = 0
    for (const { rows: own, waiter } of batch) {
      const first = from
      from += own.length
      if (!waiter) continue
      waiter.inFlight = false
      if (own.length === 0) this.flushers.push(waiter)
      else backlog.succeed(waiter, ofEntry(repeats, first, own.length))
    }
  }

  /** The store did not take the batch, which may be written later. */
  private fail(batch: readonly Entry[], error: unknown): void {
    const { backlog, onProblem } = this.options
    this.failures++
    if (this.failuresInARow++ === 0) onProblem(`History could not be written; ${backlog.queued} rows are kept and tried again.`, error)
    const isUnknown = error instanceof FabraError && error.code === 'outcome_unknown'
    const kept = batch.filter((entry) => {
      const { waiter } = entry
      if (!waiter) return true
      if (isUnknown && entry.rows.length > 0) waiter.inDoubt = true
      waiter.attempts++
      if (waiter.inDoubt || waiter.attempts < ATTEMPTS) return true
      backlog.refuse(entry, error)
      return false
    })
    backlog.putBack(kept)
  }
}

/** Which rows of an entry are told of, by indexes of its batch. */
function ofEntry(indexes: readonly number[], first: number, count: number): number[] {
  return indexes.filter((i) => i >= first && i < first + count).map((i) => i - first)
}

/** Undefined where nobody waits. */
function timeLeft(waiters: readonly Waiter[]): { readonly timeoutMs?: number } {
  const open = waiters.filter((waiter) => !waiter.inDoubt)
  if (open.length === 0) return {}
  const left = open.reduce((least, waiter) => Math.min(least, waiter.deadlineAt), Number.POSITIVE_INFINITY) - performance.now()
  return { timeoutMs: Math.max(1, left - AHEAD_MS) }
}
