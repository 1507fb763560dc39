/**
 * Where every accepted value goes: at once into the online store, and through a queue into history.
 *
 * History rows are committed in groups: after 50 ms, at 1,000 rows, or as soon as somebody waits for them to be durable. One commit is in
 * flight at a time, so rows arrive in the order of their `seq`. When the offline store fails, the rows stay queued and are tried again with
 * growing pauses; those who wait are told after a few attempts. A full queue refuses new writes, so memory is bounded and nothing accepted
 * is forgotten in silence.
 */
import type { Clock, Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import { createFences, type Fence, type Fences } from './fences.ts'
import { createHistoryPolicy, type FeaturePolicy, type JudgedValue } from './history-policy.ts'
import { toHistoryText } from './history-text.ts'
import type { HistoryRow, OfflineStore } from './offline-store.ts'
import type { OnlineStore, StoredValue, StoredWrite, WriteOutcome } from './online-store.ts'
import { createOwedWrites, isUnavailable, type OwedWrites } from './owed-writes.ts'

export interface RecordedWrite {
  readonly feature: Feature
  readonly entity: Entity
  readonly key: EntityKey
  /** Its token is given here: what is accepted later wins over an equal time. */
  readonly value: Omit<StoredValue, 'token'>
}

export interface RecorderCounters {
  /** History rows committed. */
  readonly written: number
  /** Computed values that history already held. */
  readonly suppressed: number
  /** Commits that failed; their rows are tried again. */
  readonly failures: number
  /** Rows given up at close. */
  readonly lost: number
  /** Rows waiting for their commit. */
  readonly queued: number
  /** The last commit failed; its rows are kept and tried again. */
  readonly failing: boolean
}

export interface Recorder {
  /**
   * @param options.durable Resolve only after the history rows are committed.
   * @returns indexes of the writes that the online store refused because it holds something newer; history has them all the same. Those
   * behind a fence are refused too, and history does not have them.
   * What is durable in history is recorded: where the online store is down, it is owed to it until it is back.
   * @throws FabraError overloaded when the queue is full (nothing was written), store_unavailable when a store fails.
   */
  record(writes: readonly RecordedWrite[], options: { readonly durable: boolean }): Promise<readonly number[]>
  /** Everything recorded before this is committed when it resolves. @throws FabraError store_unavailable */
  flush(): Promise<void>
  /** Keys that were forgotten. */
  readonly fences: Fences
  /**
   * Forget one key of an entity: what is stored of it goes, and from now on only events later than this moment are recorded. Durable when it
   * resolves. @throws FabraError store_unavailable: nothing of it is served any more, but history may hold it still; safe to repeat.
   */
  forget(entity: Entity, features: readonly string[], key: EntityKey): Promise<Forgotten>
  /** Another process forgot a key: from now on this one keeps to its fence too. */
  heed(fence: Fence, features: readonly string[]): void
  /** Values that the online store lacks since it was down. */
  readonly owed: Pick<OwedWrites, 'pay' | 'writer'>
  counters(): RecorderCounters
  /** Flushes, with a last attempt, and stops. Does not close the stores. */
  close(): Promise<void>
}

export interface Forgotten {
  readonly at: Micros
  /** Values that went from the online store. */
  readonly online: number
  /** Rows that went from history. */
  readonly history: number
}

export interface RecorderOptions {
  readonly online: OnlineStore
  readonly offline: OfflineStore
  readonly clock: Clock
  /** Told of what nobody else is told of: a failing history, and rows lost at close. */
  readonly onProblem: (message: string, cause: unknown) => void
  /** Default 50. */
  readonly commitEveryMs?: number
  /** Default 100,000. */
  readonly maxQueuedRows?: number
}

const COMMIT_AT_ROWS = 1000
const MAX_COMMIT_ROWS = 20_000
const RETRY_FIRST_MS = 50
const RETRY_LAST_MS = 5000
/** Those who wait for durability are told of the failure after so many attempts; the rows are tried on. */
const ATTEMPTS_FOR_WAITERS = 3

/** `fieldOf(feature)` is the name of the feature's slot in the online store: versions side by side never mix. */
export function fieldOf(feature: Feature): string {
  return `${feature.name}@${feature.fingerprint}`
}

/**
 * Tokens rise over restarts and, as far as clocks agree, over processes that write at once: each is the present in microseconds, or one more
 * than the last. They begin where history ends. @throws FabraError store_unavailable
 */
export async function createRecorder(options: RecorderOptions): Promise<Recorder> {
  const { online, clock } = options
  const policy = createHistoryPolicy()
  const queue = createHistoryQueue(options)
  const [lastSeq, raised] = await Promise.all([options.offline.lastSeq(), options.offline.fences()])
  const fences = createFences(raised)
  let seq = lastSeq
  let suppressed = 0
  const nextSeq = (now: Micros) => {
    seq = Math.max(seq + 1, now)
    return seq
  }

  const owed = createOwedWrites({ online, offline: options.offline, clock, writer: crypto.randomUUID() })

  /** Undefined: history has it, and the online store will. Both are awaited before either may throw: a failure must not be an unhandled rejection. */
  async function committedOrOwed(
    written: Promise<WriteOutcome>,
    committed: Promise<void>,
    stored: readonly StoredWrite[],
  ): Promise<WriteOutcome | undefined> {
    const [online, history] = await Promise.allSettled([written, committed])
    if (history.status === 'rejected') throw history.reason
    if (online.status === 'fulfilled') return online.value
    if (!isUnavailable(online.reason)) throw online.reason
    await owed.add(stored)
    return undefined
  }

  const heed = (fence: Fence, features: readonly string[]) => {
    fences.raise(fence)
    policy.forget(features, fence.entityKey)
  }

  return {
    fences,
    async record(writes, { durable }) {
      queue.checkRoom()
      const createdAt = clock.now()
      const stored: StoredWrite[] = []
      const rows: HistoryRow[] = []
      const hidden: number[] = []
      /** What history did not take since it holds an equal value, by their places among the stored. */
      const leftOut = new Set<number>()
      const shown: RecordedWrite[] = []
      let known: { readonly feature: Feature; readonly field: string; readonly policy: FeaturePolicy } | undefined
      const historyRow = (feature: Feature, key: EntityKey, { text, eventAt, availableAt, origin }: JudgedValue, seqOfRow: number) => ({
        feature: feature.name,
        fingerprint: feature.fingerprint,
        entityKey: key.encoded,
        value: text,
        eventAt,
        availableAt,
        createdAt,
        seq: seqOfRow,
        origin,
      })
      for (const [w, write] of writes.entries()) {
        const { feature, entity, key, value } = write
        if (fences.hides(entity.name, key.encoded, value.eventAt)) {
          hidden.push(w)
          continue
        }
        shown.push(write)
        if (feature !== known?.feature) known = { feature, field: fieldOf(feature), policy: policy.of(feature) }
        const token = nextSeq(createdAt)
        const { texts, eventAt, availableAt, origin, oldestInputAt } = value
        const judged = { eventAt, availableAt, origin, text: toHistoryText(feature, texts), token }
        const told = known.policy.judge(key.encoded, judged)
        stored.push({
          entity: entity.name,
          key: key.encoded,
          field: known.field,
          value: { texts, eventAt, availableAt, token, origin, oldestInputAt },
          after: told.lastToken,
        })
        if (told.rows.length === 0) leftOut.add(stored.length - 1)
        for (const [i, one] of told.rows.entries()) rows.push(historyRow(feature, key, one, i === 0 ? token : nextSeq(createdAt)))
      }
      suppressed += leftOut.size
      const committed = queue.add(rows, durable)
      const written = online.write(stored)
      const outcome = committed ? await committedOrOwed(written, committed, stored) : await written
      if (!outcome) return withHidden([], hidden, writes.length)
      const { refused, fences: met } = outcome
      if (met.length > 0) for (const fence of met) heed(fence, [...new Set(writes.map(({ feature }) => feature.name))])
      const others = untoldByOthers(outcome, stored, leftOut).map(({ index, value }) => {
        const { feature, key } = shown[index] as RecordedWrite
        return historyRow(feature, key, { ...value, text: toHistoryText(feature, value.texts) }, nextSeq(createdAt))
      })
      if (others.length > 0) await queue.add(others, durable)
      return hidden.length === 0 ? refused : withHidden(refused, hidden, writes.length)
    },
    owed,
    flush: () => queue.flush(),
    async forget(entity, features, key) {
      // First the fence, in the same turn as the values go: what is computing now cannot bring them back.
      const fence = { entity: entity.name, entityKey: key.encoded, at: clock.now() }
      fences.raise(fence)
      policy.forget(features, key.encoded)
      const forgotten = await online.forget(fence)
      await queue.flush()
      const history = await options.offline.forget(features, fence)
      return { at: fence.at, online: forgotten, history }
    },
    heed,
    counters: () => ({ ...queue.counters(), suppressed }),
    close: () => queue.close(),
  }
}

/**
 * What history does not show though it was served, now that another process writes the same key: an equal value left out, where something
 * else had stood in between, and a value that may have been left out there, where one of this process came late.
 */
function untoldByOthers(
  { overOthers, standing }: WriteOutcome,
  stored: readonly StoredWrite[],
  leftOut: ReadonlySet<number>,
): { readonly index: number; readonly value: StoredValue }[] {
  const over = overOthers.filter((index) => leftOut.has(index)).map((index) => ({ index, value: (stored[index] as StoredWrite).value }))
  return [...over, ...standing.filter(({ value }) => value.origin === 'computed')]
}

/** Indexes into the writes that went on, as indexes into all of them. */
function withHidden(refused: readonly number[], hidden: readonly number[], count: number): readonly number[] {
  const behind = new Set(hidden)
  const shown = Array.from({ length: count }, (_, i) => i).filter((i) => !behind.has(i))
  return [...refused.map((i) => shown[i] ?? i), ...hidden].sort((a, b) => a - b)
}

interface HistoryQueue {
  /** @throws FabraError overloaded */
  checkRoom(): void
  /** @returns at once, or when the rows are committed. */
  add(rows: readonly HistoryRow[], durable: boolean): Promise<void> | undefined
  flush(): Promise<void>
  counters(): Omit<RecorderCounters, 'suppressed'>
  close(): Promise<void>
}

interface Waiter {
  /** The queue's count of rows that must be committed. */
  readonly upTo: number
  readonly since: number
  resolve(): void
  reject(error: unknown): void
}

function createHistoryQueue(options: RecorderOptions): HistoryQueue {
  const { offline, onProblem, commitEveryMs = 50, maxQueuedRows = 100_000 } = options
  let pending: HistoryRow[] = []
  let waiters: Waiter[] = []
  let added = 0
  let written = 0
  let failures = 0
  let failuresInARow = 0
  let lost = 0
  let closed = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let running: Promise<void> | undefined

  const schedule = (delayMs: number) => {
    if (timer || running) return
    timer = setTimeout(() => {
      timer = undefined
      start()
    }, delayMs)
  }
  const start = () => {
    clearTimeout(timer)
    timer = undefined
    running ??= commit().finally(() => {
      running = undefined
      if (pending.length > 0 && !closed) schedule(failuresInARow > 0 ? retryDelay(failuresInARow) : waiters.length > 0 ? 0 : commitEveryMs)
    })
  }
  const commit = async () => {
    // Rows that arrive in the same turn of the event loop go along.
    await new Promise((resolve) => setImmediate(resolve))
    const batch = pending.slice(0, MAX_COMMIT_ROWS)
    if (batch.length === 0) return
    try {
      await offline.append(batch)
    } catch (error) {
      failures++
      if (failuresInARow++ === 0) onProblem(`History could not be written; ${pending.length} rows are kept and tried again.`, error)
      const tired = waiters.filter((waiter) => failures - waiter.since >= ATTEMPTS_FOR_WAITERS)
      waiters = waiters.filter((waiter) => failures - waiter.since < ATTEMPTS_FOR_WAITERS)
      for (const waiter of tired) waiter.reject(error)
      return
    }
    failuresInARow = 0
    written += batch.length
    pending = pending.slice(batch.length)
    const done = waiters.filter((waiter) => waiter.upTo <= written)
    waiters = waiters.filter((waiter) => waiter.upTo > written)
    for (const waiter of done) waiter.resolve()
  }
  const committed = () =>
    new Promise<void>((resolve, reject) => {
      waiters.push({ upTo: added, since: failures, resolve, reject })
      if (failuresInARow === 0) start()
    })

  return {
    checkRoom() {
      if (closed) throw new FabraError('store_unavailable', 'The recorder is closed: this process is stopping.')
      if (pending.length < maxQueuedRows) return
      throw new FabraError('overloaded', `${pending.length} history rows are waiting to be written.`, {
        hint: failuresInARow > 0 ? 'The offline store is failing: see the log.' : 'Send less at a time, and again in a moment.',
      })
    },
    add(rows, durable) {
      for (const row of rows) pending.push(row)
      added += rows.length
      if (durable && added > written) return committed()
      if (pending.length >= COMMIT_AT_ROWS && failuresInARow === 0) start()
      else if (pending.length > 0) schedule(failuresInARow > 0 ? retryDelay(failuresInARow) : commitEveryMs)
      return undefined
    },
    async flush() {
      if (added > written) await committed()
    },
    counters: () => ({ written, failures, lost, queued: pending.length, failing: failuresInARow > 0 }),
    async close() {
      if (closed) return
      closed = true
      clearTimeout(timer)
      timer = undefined
      await running
      for (let attempt = 0; pending.length > 0 && attempt < ATTEMPTS_FOR_WAITERS; attempt += failuresInARow > 0 ? 1 : 0) await commit()
      if (pending.length === 0) return
      lost = pending.length
      onProblem(`${lost} history rows were lost: the offline store did not take them before the process ended.`, undefined)
    },
  }
}

function retryDelay(failuresInARow: number): number {
  return Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** Math.min(failuresInARow, 10))
}
