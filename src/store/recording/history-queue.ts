/**
 * Rows on their way into history, committed in groups: after 50 ms, at 1,000 rows, or as soon as somebody waits for them to be durable. One
 * commit is in flight at a time, so rows arrive in the order of their `seq`.
 *
 * Some rows are simply added: values that are served already. When the offline store fails they stay and are tried again with growing pauses.
 * Others come in lots that somebody waits for, who must be told the truth: a lot that was refused never enters history later, so it leaves the
 * queue when its sender is told so. Only a lot whose commit may have succeeded, though no answer came, stays until that is known.
 *
 * Rows that the store refuses for good must not hold up the others: they are searched for (refusal-search.ts) while new rows go on. A lot that has
 * some is told, an added row is set aside. A full queue refuses new rows, so memory is bounded.
 */
import { backoff } from '../../collections/backoff.ts'
import { FabraError } from '../../errors.ts'
import type { HistoryRow, OfflineStore, RefusedRows } from '../ports/offline-store.ts'
import { HistoryBacklog } from './history-backlog.ts'
import { ATTEMPTS, HistoryCommitter } from './history-committer.ts'
import type { Waiter } from './history-entry.ts'
import { RefusalSearch } from './refusal-search.ts'

/** Rows of one sender: all of them or none. */
export interface QueuedRows {
  /**
   * Resolves when they are committed, with the indexes of those that history had already from another process. Rejects when they are not and never will be: with RefusedRows (its indexes are those of the lot), or
   * FabraError store_unavailable.
   */
  readonly committed: Promise<readonly number[]>
  /**
   * Nobody waits any longer. @returns true: they will never be committed. False: they may be already; they are tried until that is known, and
   * `committed` tells.
   */
  giveUp(): boolean
}

export interface HistoryQueueCounters {
  /** History rows committed. */
  readonly written: number
  /** Commits that failed; what they were to write and nobody was told of is tried again. */
  readonly failures: number
  /** Rows given up at close. */
  readonly lost: number
  /** Rows waiting for their commit. */
  readonly queued: number
  /** The last commit failed. */
  readonly failing: boolean
}

export interface HistoryQueue {
  /** @throws FabraError overloaded */
  checkRoom(): void
  /** Rows that are tried until they are committed. */
  add(rows: readonly HistoryRow[]): void
  /** @param deadlineAt When the sender gives up, by `performance.now()`. */
  push(rows: readonly HistoryRow[], deadlineAt: number): QueuedRows
  /** What came before this is committed, refused or set aside when it resolves. @throws FabraError store_unavailable */
  flush(): Promise<void>
  counters(): HistoryQueueCounters
  close(): Promise<void>
}

export interface HistoryQueueOptions {
  readonly offline: Pick<OfflineStore, 'append'>
  /** Told of what nobody else is told of. */
  readonly onProblem: (message: string, cause: unknown) => void
  /** Told of rows that the store refuses for good, of which no sender is told. */
  readonly onSetAside: (rows: readonly HistoryRow[], refusal: RefusedRows) => void
  /** Default 50. */
  readonly commitEveryMs?: number
  /** Default 100,000. */
  readonly maxQueuedRows?: number
}

/** How long anybody waits for history, all attempts together. */
export const PATIENCE_MS = 5_000

const COMMIT_AT_ROWS = 5000
const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 5000
/** While somebody waits. */
const RETRY_WAITED_FOR_MS = 200

export function createHistoryQueue(options: HistoryQueueOptions): HistoryQueue {
  const { offline, onProblem, onSetAside, commitEveryMs = 50, maxQueuedRows = 100_000 } = options
  const backlog = new HistoryBacklog()
  const search = new RefusalSearch({
    refuse: (entry, error) => backlog.refuse(entry, error),
    setAside(rows, refusal) {
      backlog.leave(rows.length)
      onSetAside(rows, refusal)
    },
  })
  const committer = new HistoryCommitter({ offline, backlog, search, onProblem })
  const isDone = () => search.isOver && backlog.isEmpty
  let lost = 0
  let closed = false
  let timer: { readonly handle: ReturnType<typeof setTimeout>; readonly at: number } | undefined
  let running: Promise<void> | undefined

  const schedule = (delayMs: number) => {
    if (running) return
    const at = performance.now() + delayMs
    if (timer && timer.at <= at) return
    clearTimeout(timer?.handle)
    timer = { handle: setTimeout(start, delayMs), at }
  }
  const start = () => {
    clearTimeout(timer?.handle)
    timer = undefined
    running ??= committer.commit().finally(() => {
      running = undefined
      if (!closed) scheduleNext()
    })
  }
  const scheduleNext = () => {
    if (isDone()) return
    const { failuresInARow } = committer
    const longest = backlog.waiting > 0 ? RETRY_WAITED_FOR_MS : RETRY_LAST_MS
    if (failuresInARow > 0) schedule(backoff(failuresInARow, { first: RETRY_FIRST_MS, longest }))
    else schedule(!search.isOver || backlog.waiting > 0 ? 0 : commitEveryMs)
  }

  const push = (rows: readonly HistoryRow[], deadlineAt: number): QueuedRows => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>()
    const waiter: Waiter = { deadlineAt, attempts: 0, inFlight: false, inDoubt: false, isSettled: false, resolve, reject }
    const entry = { rows, waiter }
    backlog.add(entry)
    if (committer.failuresInARow === 0) start()
    else scheduleNext()
    return {
      committed: promise,
      giveUp() {
        if (waiter.inFlight) waiter.inDoubt = true
        if (waiter.isSettled || waiter.inDoubt) return false
        backlog.refuse(entry, unavailable())
        return true
      },
    }
  }

  return {
    checkRoom() {
      if (closed) throw new FabraError('store_unavailable', 'The recorder is closed: this process is stopping.')
      if (backlog.queued < maxQueuedRows) return
      throw new FabraError('overloaded', `${backlog.queued} history rows are waiting to be written.`, {
        hint: committer.failuresInARow > 0 ? 'The offline store is failing: see the log.' : 'Send less at a time, and again in a moment.',
      })
    },
    add(rows) {
      if (rows.length === 0) return
      backlog.add({ rows, waiter: undefined })
      if (backlog.queued >= COMMIT_AT_ROWS && committer.failuresInARow === 0) start()
      else scheduleNext()
    },
    push,
    flush: async () => (backlog.queued === 0 ? undefined : inTime(push([], performance.now() + PATIENCE_MS))),
    counters() {
      const { written, failures, failuresInARow } = committer
      return { written, failures, lost, queued: backlog.queued, failing: failuresInARow > 0 }
    },
    async close() {
      if (closed) return
      closed = true
      clearTimeout(timer?.handle)
      timer = undefined
      await running
      for (let attempt = 0; !isDone() && attempt < ATTEMPTS; attempt += committer.failuresInARow > 0 ? 1 : 0) await committer.commit()
      if (backlog.queued === 0) return
      lost = backlog.queued
      onProblem(`${lost} history rows were lost: the offline store did not take them before the process ended.`, undefined)
    },
  }
}

/** @throws FabraError store_unavailable */
async function inTime({ committed, giveUp }: QueuedRows): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    if (!giveUp()) late.reject(unavailable())
  }, PATIENCE_MS)
  try {
    await Promise.race([committed, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function unavailable(): FabraError {
  return new FabraError('store_unavailable', 'The offline store did not answer in time.')
}
