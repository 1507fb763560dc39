/**
 * Rows on their way into history, committed in groups: after 50 ms, at 1,000 rows, or as soon as somebody waits for them to be durable. One
 * commit is in flight at a time, so rows arrive in the order of their `seq`.
 *
 * Some rows are simply added: values that are served already. When the offline store fails they stay and are tried again with growing pauses.
 * Others come in lots that somebody waits for, who must be told the truth: a lot that was refused never enters history later, so it leaves the
 * queue when its sender is told so. Only a lot whose commit may have succeeded, though no answer came, stays until that is known.
 *
 * Rows that the store refuses for good must not hold up the others. The batch they came in is halved, and the halves are tried in turn with new
 * rows, until what is refused stands alone: a lot is told, an added row is set aside. A full queue refuses new rows, so memory is bounded.
 */
import { FabraError } from '../../errors.ts'
import { type HistoryRow, type OfflineStore, RefusedRows } from '../ports/offline-store.ts'

/** Rows of one sender: all of them or none. */
export interface Lot {
  /**
   * Resolves when they are committed. Rejects when they are not and never will be: with RefusedRows (its indexes are those of the lot), or
   * FabraError store_unavailable.
   */
  readonly committed: Promise<void>
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
  push(rows: readonly HistoryRow[], deadlineAt: number): Lot
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

const COMMIT_AT_ROWS = 1000
const MAX_COMMIT_ROWS = 20_000
const RETRY_FIRST_MS = 50
const RETRY_LAST_MS = 5000
/** While somebody waits. */
const RETRY_WAITED_FOR_MS = 200
/** A lot is told of an outage after so many attempts. */
const ATTEMPTS = 3
/** A commit needs some time: a lot with less than this left is told that it comes too late. */
const LEAST_COMMIT_MS = 2_000
/** The store gives up so long before the sender does: then it is known what became of the rows. */
const AHEAD_MS = 200
/** Halves of refused batches that are tried between two batches of new rows. */
const SUSPECTS_A_TURN = 8
/** After so many rows of one search are set aside, added rows are parted no further than this: in masses they would take for ever one by one. */
const MAX_FOUND = 1_000
const COARSE_ROWS = 64

/** Of added rows, or a lot. */
interface Entry {
  readonly rows: readonly HistoryRow[]
  readonly waiter: Waiter | undefined
}

interface Waiter {
  readonly deadlineAt: number
  attempts: number
  inFlight: boolean
  /** A commit of it may have succeeded. */
  inDoubt: boolean
  isSettled: boolean
  resolve(): void
  reject(error: unknown): void
}

export function createHistoryQueue(options: HistoryQueueOptions): HistoryQueue {
  const { offline, onProblem, onSetAside, commitEveryMs = 50, maxQueuedRows = 100_000 } = options
  let pending: Entry[] = []
  /** Parts of batches that were refused. The last is tried first. */
  const suspects: Entry[][] = []
  let suspectTurns = 0
  /** Rows set aside since all that was suspect had been tried. */
  let found = 0
  let flushers: Waiter[] = []
  let queued = 0
  /** Lots and flushes that nobody was told of yet. */
  let waiting = 0
  let written = 0
  let failures = 0
  let failuresInARow = 0
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
    running ??= commit().finally(() => {
      running = undefined
      if (!closed) scheduleNext()
    })
  }
  const scheduleNext = () => {
    if (suspects.length === 0 && pending.length === 0) return
    if (failuresInARow > 0) schedule(Math.min(retryDelay(failuresInARow), waiting > 0 ? RETRY_WAITED_FOR_MS : RETRY_LAST_MS))
    else schedule(suspects.length > 0 || waiting > 0 ? 0 : commitEveryMs)
  }

  const settle = (waiter: Waiter) => {
    waiter.isSettled = true
    waiting--
  }
  /** They leave the queue, and never come back. */
  const refuse = ({ rows, waiter }: Entry, error: unknown) => {
    if (!waiter) return
    queued -= rows.length
    settle(waiter)
    waiter.reject(error)
  }
  /** A lot without time enough is told so. */
  const isDue = (entry: Entry) => {
    const { waiter } = entry
    if (!waiter) return true
    if (waiter.isSettled) return false
    if (waiter.inDoubt || waiter.deadlineAt - performance.now() >= LEAST_COMMIT_MS) return true
    refuse(entry, tooLate())
    return false
  }

  /** What goes into the next commit, taken out of the queue. */
  const take = (): Entry[] => {
    if (suspects.length > 0 && (pending.length === 0 || suspectTurns++ < SUSPECTS_A_TURN)) return suspects.pop()?.filter(isDue) ?? []
    suspectTurns = 0
    const batch: Entry[] = []
    let count = 0
    let taken = 0
    for (const entry of pending) {
      const { rows, waiter } = entry
      if (!isDue(entry)) taken++
      else if (count > 0 && count + rows.length > MAX_COMMIT_ROWS && (waiter || count >= MAX_COMMIT_ROWS)) break
      else if (!waiter && count + rows.length > MAX_COMMIT_ROWS) {
        const room = MAX_COMMIT_ROWS - count
        batch.push({ rows: rows.slice(0, room), waiter })
        pending[taken] = { rows: rows.slice(room), waiter }
        break
      } else {
        taken++
        count += rows.length
        batch.push(entry)
      }
    }
    pending = pending.slice(taken)
    return batch
  }

  const commit = async () => {
    // Rows that arrive in the same turn of the event loop go along.
    await new Promise((resolve) => setImmediate(resolve))
    const batch = take()
    if (batch.length > 0) await commitBatch(batch)
    if (suspects.length > 0) return
    found = 0
    for (const flusher of flushers) if (!flusher.isSettled) succeed(flusher)
    flushers = []
  }
  const succeed = (waiter: Waiter) => {
    settle(waiter)
    waiter.resolve()
  }

  const commitBatch = async (batch: readonly Entry[]) => {
    const waiters = batch.flatMap(({ waiter }) => waiter ?? [])
    for (const waiter of waiters) waiter.inFlight = true
    const rows = batch.flatMap((entry) => entry.rows)
    try {
      if (rows.length > 0) await offline.append(rows, timeLeft(waiters))
    } catch (error) {
      for (const waiter of waiters) waiter.inFlight = false
      if (error instanceof RefusedRows) part(batch, error)
      else fail(batch, error)
      return
    }
    failuresInARow = 0
    written += rows.length
    queued -= rows.length
    for (const { rows, waiter } of batch) {
      if (!waiter) continue
      waiter.inFlight = false
      // What came before a flush may be among what is tried apart.
      if (rows.length === 0) flushers.push(waiter)
      else succeed(waiter)
    }
  }

  /** The store did not take the batch, which may be written later. */
  const fail = (batch: readonly Entry[], error: unknown) => {
    failures++
    if (failuresInARow++ === 0) onProblem(`History could not be written; ${queued} rows are kept and tried again.`, error)
    const isUnknown = error instanceof FabraError && error.code === 'outcome_unknown'
    const kept = batch.filter((entry) => {
      const { waiter } = entry
      if (!waiter) return true
      if (isUnknown && entry.rows.length > 0) waiter.inDoubt = true
      waiter.attempts++
      if (waiter.inDoubt || waiter.attempts < ATTEMPTS) return true
      refuse(entry, error)
      return false
    })
    pending = [...kept, ...pending]
  }

  /** Something in the batch is refused for good. */
  const part = (batch: readonly Entry[], refusal: RefusedRows) => {
    if (refusal.indexes) {
      const rest = withoutRefused(batch, refusal, refusal.indexes)
      if (rest.length > 0) suspects.push(rest)
      return
    }
    const [entry] = batch
    if (batch.length > 1) {
      const middle = Math.ceil(batch.length / 2)
      suspects.push(batch.slice(middle), batch.slice(0, middle))
    } else if (entry?.waiter) refuse(entry, refusal)
    else if (entry) {
      const { rows } = entry
      if (rows.length === 1 || (found > MAX_FOUND && rows.length <= COARSE_ROWS)) setAside(rows, refusal)
      else {
        const middle = Math.ceil(rows.length / 2)
        for (const half of [rows.slice(middle), rows.slice(0, middle)]) suspects.push([{ rows: half, waiter: undefined }])
      }
    }
  }

  /** @param indexes Of the batch's rows. */
  const withoutRefused = (batch: readonly Entry[], refusal: RefusedRows, indexes: readonly number[]): Entry[] => {
    const refused = new Set(indexes)
    let from = 0
    return batch.flatMap((entry): Entry[] => {
      const first = from
      from += entry.rows.length
      const own = entry.rows.flatMap((_, i) => (refused.has(first + i) ? [i] : []))
      if (own.length === 0) return [entry]
      if (entry.waiter) {
        refuse(entry, new RefusedRows(refusal.why, own, refusal.cause))
        return []
      }
      setAside(
        own.flatMap((i) => entry.rows[i] ?? []),
        refusal,
      )
      const rows = entry.rows.filter((_, i) => !refused.has(first + i))
      return rows.length === 0 ? [] : [{ rows, waiter: undefined }]
    })
  }

  const setAside = (rows: readonly HistoryRow[], refusal: RefusedRows) => {
    queued -= rows.length
    found += rows.length
    onSetAside(rows, refusal)
  }

  const push = (rows: readonly HistoryRow[], deadlineAt: number): Lot => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: Waiter = { deadlineAt, attempts: 0, inFlight: false, inDoubt: false, isSettled: false, resolve, reject }
    const entry = { rows, waiter }
    pending.push(entry)
    queued += rows.length
    waiting++
    if (failuresInARow === 0) start()
    else scheduleNext()
    return {
      committed: promise,
      giveUp() {
        if (waiter.inFlight) waiter.inDoubt = true
        if (waiter.isSettled || waiter.inDoubt) return false
        refuse(entry, unavailable())
        return true
      },
    }
  }

  return {
    checkRoom() {
      if (closed) throw new FabraError('store_unavailable', 'The recorder is closed: this process is stopping.')
      if (queued < maxQueuedRows) return
      throw new FabraError('overloaded', `${queued} history rows are waiting to be written.`, {
        hint: failuresInARow > 0 ? 'The offline store is failing: see the log.' : 'Send less at a time, and again in a moment.',
      })
    },
    add(rows) {
      if (rows.length === 0) return
      pending.push({ rows, waiter: undefined })
      queued += rows.length
      if (queued >= COMMIT_AT_ROWS && failuresInARow === 0) start()
      else scheduleNext()
    },
    push,
    async flush() {
      if (queued === 0) return
      const { committed, giveUp } = push([], performance.now() + PATIENCE_MS)
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(() => {
        if (!giveUp()) late.reject(unavailable())
      }, PATIENCE_MS)
      try {
        await Promise.race([committed, late.promise])
      } finally {
        clearTimeout(timer)
      }
    },
    counters: () => ({ written, failures, lost, queued, failing: failuresInARow > 0 }),
    async close() {
      if (closed) return
      closed = true
      clearTimeout(timer?.handle)
      timer = undefined
      await running
      for (let attempt = 0; hasWork(pending, suspects) && attempt < ATTEMPTS; attempt += failuresInARow > 0 ? 1 : 0) await commit()
      if (queued === 0) return
      lost = queued
      onProblem(`${lost} history rows were lost: the offline store did not take them before the process ended.`, undefined)
    },
  }
}

function hasWork(pending: readonly Entry[], suspects: readonly (readonly Entry[])[]): boolean {
  return pending.length > 0 || suspects.length > 0
}

/** Undefined where nobody waits. */
function timeLeft(waiters: readonly Waiter[]): { readonly timeoutMs?: number } {
  const open = waiters.filter((waiter) => !waiter.inDoubt)
  if (open.length === 0) return {}
  const left = open.reduce((least, waiter) => Math.min(least, waiter.deadlineAt), Number.POSITIVE_INFINITY) - performance.now()
  return { timeoutMs: Math.max(1, left - AHEAD_MS) }
}

function unavailable(): FabraError {
  return new FabraError('store_unavailable', 'The offline store did not answer in time.')
}

function tooLate(): FabraError {
  return new FabraError('store_unavailable', 'The offline store is behind: the rows had no turn in time.')
}

function retryDelay(failuresInARow: number): number {
  return Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(failuresInARow, 10))
}
