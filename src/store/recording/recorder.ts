/**
 * Where every accepted value goes: into the online store, and through a queue into history.
 *
 * Computed values are served at once, and history has them a moment later. Pushed values are durable first and visible after: what history
 * refused was never served, and what is served cannot be lost.
 */
import type { Clock, Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import { fieldOf } from '../../definition/feature-version.ts'
import type { Entity, Feature } from '../../definition/model.ts'
import { FabraError, isUnavailable } from '../../errors.ts'
import type { Erasure } from '../ports/erasure.ts'
import type { HistoryRow, OfflineStore } from '../ports/offline-store.ts'
import type { OnlineStore, StoredValue, StoredWrite, WriteOutcome } from '../ports/online-store.ts'
import { createErasures, type Erasures } from './erasures.ts'
import { createHistoryPolicy, type FeaturePolicy, type JudgedValue, type Judgement } from './history-policy.ts'
import { createHistoryQueue, type HistoryQueueCounters } from './history-queue.ts'
import { toHistoryText } from './history-text.ts'
import { createPendingOnlineWrites, type PendingOnlineWrites } from './pending-online-writes.ts'
import { createSetAside } from './set-aside.ts'

export interface RecordedWrite {
  readonly feature: Feature
  readonly entity: Entity
  readonly key: EntityKey
  /** Its token is given here: what is accepted later wins over an equal time. */
  readonly value: Omit<StoredValue, 'token'>
}

export interface RecorderCounters extends HistoryQueueCounters {
  /** Computed values that history already held. */
  readonly suppressed: number
  /** Rows that the store refused for good, of which no sender was told. */
  readonly setAside: number
}

/** Values of one sender: history has all of them or none. */
export interface RecordedLot {
  /**
   * Resolves when they are durable and then visible, or owed to an online store that is down. Rejects when they are not and never will be: with
   * RefusedRows, its indexes those of the writes, or FabraError store_unavailable; or with outcome_unknown: they are durable, and a process that
   * dies now may leave them unseen.
   */
  readonly recorded: Promise<void>
  /** Nobody waits any longer. @returns true: they will never be recorded. False: nobody knows yet; `recorded` tells when somebody does. */
  giveUp(): boolean
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
  /**
   * Values from outside, none of them hidden by a fence: durable first, visible after.
   * @param deadlineAt When their senders give up, by `performance.now()`.
   * @throws FabraError overloaded when the queue is full (nothing was written).
   */
  push(lots: readonly (readonly RecordedWrite[])[], deadlineAt: number): readonly RecordedLot[]
  /** Values that history has and the online store lacks. Where that is down they are owed to it. */
  show(writes: readonly StoredWrite[]): Promise<void>
  /** Everything recorded before this is committed when it resolves. @throws FabraError store_unavailable */
  flush(): Promise<void>
  /** Keys that were forgotten. */
  readonly erasures: Erasures
  /**
   * Forget one key of an entity: what is stored of it goes, and from now on only events later than this moment are recorded. Durable when it
   * resolves. @throws FabraError store_unavailable: nothing was done; outcome_unknown: some of it may be. Safe to repeat.
   */
  forget(entity: Entity, features: readonly string[], key: EntityKey): Promise<Forgotten>
  /** Another process forgot a key: from now on this one keeps to its fence too. */
  applyErasure(erasure: Erasure, features: readonly string[]): void
  /** Values that the online store lacks since it was down. */
  readonly pendingOnline: Pick<PendingOnlineWrites, 'replay' | 'writer'>
  counters(): RecorderCounters
  /** What is to be told of history's store to whoever operates it; null: nothing. */
  words(): string | null
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

/**
 * Tokens rise over restarts and, as far as clocks agree, over processes that write at once: each is the present in microseconds, or one more
 * than the last. They begin where history ends. @throws FabraError store_unavailable
 */
export async function createRecorder(options: RecorderOptions): Promise<Recorder> {
  const { online, offline, clock } = options
  const policy = createHistoryPolicy()
  const setAside = createSetAside(options)
  const queue = createHistoryQueue({
    ...options,
    onSetAside(rows, refusal) {
      setAside.note(rows, refusal)
      // History lacks what the policy believes to be there.
      for (const row of rows) policy.forget([row.feature], row.entityKey)
    },
  })
  const [lastSeq, raised] = await Promise.all([offline.lastSeq(), offline.erasures()])
  const erasures = createErasures(raised)
  let seq = lastSeq
  let suppressed = 0
  const nextSeq = (now: Micros) => {
    seq = Math.max(seq + 1, now)
    return seq
  }

  const pendingOnline = createPendingOnlineWrites({ online, offline, clock, writer: crypto.randomUUID() })

  const applyErasure = (erasure: Erasure, features: readonly string[]) => {
    erasures.add(erasure)
    policy.forget(features, erasure.entityKey)
  }

  const historyRow = (feature: Feature, key: EntityKey, value: JudgedValue, at: { readonly createdAt: Micros; readonly seq: number }) => ({
    feature: feature.name,
    fingerprint: feature.fingerprint,
    entityKey: key.encoded,
    value: value.text,
    eventAt: value.eventAt,
    availableAt: value.availableAt,
    createdAt: at.createdAt,
    seq: at.seq,
    origin: value.origin,
  })
  /** What history does not show though it was served, and fences that another process raised. */
  const learn = (
    outcome: WriteOutcome,
    stored: readonly StoredWrite[],
    shown: readonly (RecordedWrite | undefined)[],
    suppressedIndexes: Places,
  ) => {
    if (outcome.erasures.length > 0) {
      const features = [...new Set(shown.flatMap((write) => write?.feature.name ?? []))]
      for (const erasure of outcome.erasures) applyErasure(erasure, features)
    }
    const createdAt = clock.now()
    return notRecordedByOthers(outcome, stored, suppressedIndexes).flatMap(({ index, value }) => {
      const write = shown[index]
      if (!write) return []
      const judged = { ...value, text: toHistoryText(write.feature, value.texts) }
      return [historyRow(write.feature, write.key, judged, { createdAt, seq: nextSeq(createdAt) })]
    })
  }

  const makeVisible = inOneTurn(async (values: readonly Visible[]) => {
    const stored = values.map((value) => value.stored)
    try {
      const outcome = await online.write(stored)
      const writes = values.map(({ write }) => write)
      queue.add(learn(outcome, stored, writes, NOWHERE))
    } catch (error) {
      if (!isUnavailable(error)) options.onProblem('What history has could not be written to the online store; it is owed to it.', error)
      await pendingOnline.add(stored).catch(throwUnknown)
    }
  })

  /** History has the row now; what is known of its key moves on. */
  const asVisible = (write: RecordedWrite, row: HistoryRow): Visible => {
    const { feature, entity, key } = write
    const { texts, eventAt, availableAt, origin, oldestInputAt } = write.value
    const told = policy.of(feature).judge(key.encoded, { eventAt, availableAt, origin, text: row.value, token: row.seq })
    const { createdAt } = row
    queue.add(told.rows.slice(1).map((one) => historyRow(feature, key, one, { createdAt, seq: nextSeq(createdAt) })))
    const value = { texts, eventAt, availableAt, token: row.seq, origin, oldestInputAt }
    return { stored: { entity: entity.name, key: key.encoded, field: fieldOf(feature), value, after: told.lastToken }, write }
  }

  return {
    erasures,
    async record(writes, { durable }) {
      queue.checkRoom()
      const createdAt = clock.now()
      const stored: StoredWrite[] = []
      const rows: HistoryRow[] = []
      const hidden: number[] = []
      /** What history did not take since it holds an equal value, by their places among the stored. */
      const suppressedIndexes = new Set<number>()
      const shown: RecordedWrite[] = []
      let known: { readonly feature: Feature; readonly field: string; readonly policy: FeaturePolicy } | undefined
      for (const [w, write] of writes.entries()) {
        const { feature, entity, key, value } = write
        if (erasures.isErased(entity.name, key.encoded, value.eventAt)) {
          hidden.push(w)
          continue
        }
        shown.push(write)
        if (feature !== known?.feature) known = { feature, field: fieldOf(feature), policy: policy.of(feature) }
        const token = nextSeq(createdAt)
        const { texts, eventAt, availableAt, origin, oldestInputAt } = value
        const isRefused = setAside.has(known.field, key.encoded)
        const judged = { eventAt, availableAt, origin, text: toHistoryText(feature, texts), token }
        const told = isRefused ? UNTOLD : known.policy.judge(key.encoded, judged)
        stored.push({
          entity: entity.name,
          key: key.encoded,
          field: known.field,
          value: { texts, eventAt, availableAt, token, origin, oldestInputAt },
          after: told.lastToken,
        })
        if (told.rows.length === 0 && !isRefused) suppressedIndexes.add(stored.length - 1)
        for (const [i, one] of told.rows.entries())
          rows.push(historyRow(feature, key, one, { createdAt, seq: i === 0 ? token : nextSeq(createdAt) }))
      }
      suppressed += suppressedIndexes.size
      queue.add(rows)
      // Both are awaited before either may throw: a failure must not be an unhandled rejection.
      const [written, committed] = await Promise.allSettled([online.write(stored), durable ? queue.flush() : undefined])
      if (committed.status === 'rejected') throw committed.reason
      if (written.status === 'rejected') {
        if (!isUnavailable(written.reason)) throw written.reason
        await pendingOnline.add(stored)
        return hidden
      }
      const others = learn(written.value, stored, shown, suppressedIndexes)
      queue.add(others)
      if (durable && others.length > 0) await queue.flush()
      return hidden.length === 0 ? written.value.refused : withHidden(written.value.refused, hidden, writes.length)
    },
    push(lots, deadlineAt) {
      queue.checkRoom()
      const createdAt = clock.now()
      return lots.map((writes) => {
        if (writes.length === 0) return NOTHING
        const rows = writes.map(({ feature, key, value }) => {
          const judged = { ...value, text: toHistoryText(feature, value.texts), token: 0 }
          return historyRow(feature, key, judged, { createdAt, seq: nextSeq(createdAt) })
        })
        const lot = queue.push(rows, deadlineAt)
        const recorded = lot.committed.then(() => makeVisible(writes.map((write, w) => asVisible(write, rows[w] as HistoryRow))))
        recorded.catch(() => undefined)
        return { recorded, giveUp: lot.giveUp }
      })
    },
    show: (writes) => makeVisible(writes.map((stored) => ({ stored, write: undefined }))),
    pendingOnline,
    flush: () => queue.flush(),
    async forget(entity, features, key) {
      const erasure = { entity: entity.name, entityKey: key.encoded, at: clock.now() }
      // Counted among what goes.
      await queue.flush()
      const history = await offline.forget(features, erasure)
      // In the same turn: what is computing now cannot bring the key back.
      applyErasure(erasure, features)
      try {
        return { at: erasure.at, online: await online.forget(erasure), history }
      } catch (error) {
        if (!isUnavailable(error)) throw error
        await pendingOnline.addFence(erasure).catch(() => undefined)
        throw new FabraError('outcome_unknown', 'History has forgotten the key; the online store did not answer.', {
          hint: 'Send it again in a few seconds. Until then other processes may serve what the online store has of the key.',
          cause: error,
        })
      }
    },
    applyErasure,
    counters: () => ({ ...queue.counters(), suppressed, setAside: setAside.count }),
    words() {
      const { failing, queued } = queue.counters()
      if (failing) return `history cannot be written; ${queued} rows are kept and tried again`
      return setAside.words && `ok; ${setAside.words}`
    },
    close: () => queue.close(),
  }
}

type Places = ReadonlySet<number>
const NOWHERE: Places = new Set()
const NOTHING: RecordedLot = { recorded: Promise.resolve(), giveUp: () => true }
const UNTOLD: Judgement = { rows: [], lastToken: undefined }

interface Visible {
  readonly stored: StoredWrite
  /** Undefined: it was recorded before, perhaps by another process. */
  readonly write: RecordedWrite | undefined
}

/** Items that come in one turn of the event loop are worked on together. */
function inOneTurn<Item>(work: (items: readonly Item[]) => Promise<void>): (items: readonly Item[]) => Promise<void> {
  let due: Item[] = []
  let underWay: Promise<void> | undefined
  return (items) => {
    for (const item of items) due.push(item)
    underWay ??= Promise.resolve().then(() => {
      const taken = due
      due = []
      underWay = undefined
      return taken.length === 0 ? undefined : work(taken)
    })
    return underWay
  }
}

function throwUnknown(error: unknown): never {
  throw new FabraError('outcome_unknown', 'History has the rows; that the online store lacks them could not be noted.', {
    hint: 'Send them again in a few seconds.',
    cause: error,
  })
}

/**
 * What history does not show though it was served, now that another process writes the same key: an equal value left out, where something
 * else had stood in between, and a value that may have been left out there, where one of this process came late.
 */
function notRecordedByOthers(
  { replacedForeign, winner }: WriteOutcome,
  stored: readonly StoredWrite[],
  suppressedIndexes: Places,
): { readonly index: number; readonly value: StoredValue }[] {
  const over = replacedForeign
    .filter((index) => suppressedIndexes.has(index))
    .map((index) => ({ index, value: (stored[index] as StoredWrite).value }))
  return [...over, ...winner.filter(({ value }) => value.origin === 'computed')]
}

/** Indexes into the writes that went on, as indexes into all of them. */
function withHidden(refused: readonly number[], hidden: readonly number[], count: number): readonly number[] {
  const behind = new Set(hidden)
  const shown = Array.from({ length: count }, (_, i) => i).filter((i) => !behind.has(i))
  return [...refused.map((i) => shown[i] ?? i), ...hidden].sort((a, b) => a - b)
}
