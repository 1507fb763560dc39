/**
 * Where every accepted value goes: into the online store, and through a queue into history.
 *
 * Computed values are served at once, and history has them a moment later. Pushed values are durable first and visible after: what history
 * refused was never served, and what is served cannot be lost.
 */
import type { Clock, Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Entity } from '../../definition/model.ts'
import { FabraError, isUnavailable } from '../../errors.ts'
import type { Erasure } from '../ports/erasure.ts'
import type { OfflineStore } from '../ports/offline-store.ts'
import type { OnlineStore, StoredWrite, WriteOutcome } from '../ports/online-store.ts'
import { prepareWrites, withErased } from './computed-writes.ts'
import { createErasures, type Erasures } from './erasures.ts'
import { rowsForForeignWrites, rowsOfUnrecorded, type StoredBatch } from './foreign-writes.ts'
import { createHistoryPolicy } from './history-policy.ts'
import { createHistoryQueue, type HistoryQueueCounters } from './history-queue.ts'
import { createPendingOnlineWrites, type PendingOnlineWrites } from './pending-online-writes.ts'
import type { RecordedLot, RecordedWrite } from './recorded-write.ts'
import { createSequence } from './sequence.ts'
import { createSetAside } from './set-aside.ts'
import { createVisibleWrites } from './visible-writes.ts'

export interface RecorderCounters extends HistoryQueueCounters {
  /** Computed values that history already held, or whose keys are not recorded. */
  readonly suppressed: number
  /** Rows that the store refused for good, of which no sender was told. */
  readonly setAside: number
}

export interface Recorder {
  /**
   * @param options.durable Resolve only after the history rows are committed.
   * @returns indexes of the writes that the online store refused because it holds something newer; history has them all the same. Those
   * that an erasure hides are refused too, and history does not have them.
   * What is durable in history is recorded: where the online store is down, it is owed to it until it is back.
   * @throws FabraError overloaded when the queue is full (nothing was written), store_unavailable when a store fails.
   */
  record(writes: readonly RecordedWrite[], options: { readonly durable: boolean }): Promise<readonly number[]>
  /**
   * Values from outside, none of them hidden by an erasure: durable first, visible after.
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
  /** Another process forgot a key: from now on this one keeps to that too. */
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

/** Sequence numbers begin where history ends. @throws FabraError store_unavailable */
export async function createRecorder(options: RecorderOptions): Promise<Recorder> {
  const { online, offline, clock, onProblem } = options
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
  const [lastSeq, known] = await Promise.all([offline.lastSeq(), offline.erasures()])
  const erasures = createErasures(known)
  const nextSeq = createSequence(lastSeq)
  const pendingOnline = createPendingOnlineWrites({ online, offline, clock, writer: crypto.randomUUID() })
  let suppressed = 0

  const applyErasure = (erasure: Erasure, features: readonly string[]) => {
    erasures.add(erasure)
    policy.forget(features, erasure.entityKey)
  }
  /** Takes from the online store's answer what other processes did. @returns how many rows history gets for that. */
  const followOthers = (outcome: WriteOutcome, batch: StoredBatch): number => {
    if (outcome.erasures.length > 0) {
      const features = [...new Set(batch.shown.flatMap((write) => write?.feature.name ?? []))]
      for (const erasure of outcome.erasures) applyErasure(erasure, features)
    }
    const rows = rowsForForeignWrites(outcome, batch, clock.now(), nextSeq)
    queue.add(rows)
    return rows.length
  }
  const visible = createVisibleWrites({ online, queue, policy, pendingOnline, clock, nextSeq, onStored: followOthers, onProblem })

  return {
    erasures,
    async record(writes, { durable }) {
      queue.checkRoom()
      const prepared = prepareWrites(writes, clock.now(), { erasures, policy, setAside, nextSeq })
      suppressed += prepared.suppressed.size
      queue.add(prepared.rows)
      // Both are awaited before either may throw: a failure must not be an unhandled rejection.
      const [written, committed] = await Promise.allSettled([online.write(prepared.stored), durable ? queue.flush() : undefined])
      if (committed.status === 'rejected') throw committed.reason
      if (written.status === 'rejected') {
        if (!isUnavailable(written.reason)) throw written.reason
        queue.add(rowsOfUnrecorded(prepared, clock.now(), nextSeq))
        await pendingOnline.add(prepared.stored)
        return prepared.erased
      }
      const added = followOthers(written.value, prepared)
      if (durable && added > 0) await queue.flush()
      return withErased(written.value.refused, prepared.erased, writes.length)
    },
    push(lots, deadlineAt) {
      queue.checkRoom()
      return visible.push(lots, deadlineAt)
    },
    show: visible.show,
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
        await pendingOnline.addErasure(erasure).catch(() => undefined)
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
