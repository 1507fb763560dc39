/**
 * Values pushed from outside. They are durable before they are visible, and a push that was refused is neither, ever. They end in one defined
 * state, in whatever order and however often they come:
 *
 *   - a row that history already has (same key, event timestamp and value) is told as a duplicate and not written again,
 *   - of rows with the same key and event timestamp the one accepted last wins,
 *   - an older event goes to history and never replaces a newer one,
 *   - events from before their key was forgotten are dropped.
 *
 * A push is decided in turn with all others, so that two equal rows on their way at once are told apart (push-turns.ts); its commit is shared
 * with whatever comes meanwhile. A row that repeats one of a push under way is answered when that one is durable; where that one is refused, it
 * is decided anew. What the stores know of the rows is looked up by row-cache-reader.ts.
 */
import type { Clock } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Entity, Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { OfflineStore } from '../store/ports/offline-store.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import { PATIENCE_MS } from '../store/recording/history-queue.ts'
import type { Recorder } from '../store/recording/recorder.ts'
import { giveUp, type PushReceipt, type PushRequest } from './push-request.ts'
import { readPushedRows } from './push-rows.ts'
import { PushTurns } from './push-turns.ts'
import { RowCacheReader } from './row-cache-reader.ts'
import { RowsUnderWay } from './rows-under-way.ts'

/** Rows that may wait for their turn; more are refused as overloaded. */
const MAX_WAITING_ROWS = 100_000

export interface Pusher {
  /**
   * All rows or none; durable when it resolves.
   * Answers within five seconds.
   * @throws FabraError naming the row that is wrong; overloaded or store_unavailable: nothing is recorded, nor will be; outcome_unknown: it may be,
   * and sending it again is safe.
   */
  push(feature: Feature, rows: readonly unknown[]): Promise<PushReceipt>
  /** Resolves when no push is under way. */
  idle(): Promise<void>
}

export interface PusherOptions {
  readonly online: OnlineStore
  readonly offline: OfflineStore
  readonly recorder: Recorder
  readonly clock: Clock
  readonly entityOf: (feature: Feature) => Entity
  /** Called with the keys that have another value now. */
  readonly onPushed: (feature: Feature, keys: ReadonlyMap<string, EntityKey>) => void
}

export function createPusher({ online, offline, recorder, clock, entityOf, onPushed }: PusherOptions): Pusher {
  const underWay = new RowsUnderWay()
  const known = new RowCacheReader({ online, offline, recorder, underWay })
  const turns = new PushTurns({ recorder, known, underWay, clock, onPushed })
  let waitingRows = 0

  return {
    async push(feature, rows) {
      const entity = entityOf(feature)
      if (waitingRows + rows.length > MAX_WAITING_ROWS) {
        throw new FabraError('overloaded', `${waitingRows} pushed rows are waiting to be written.`, {
          hint: 'Send less at a time, and again in a moment.',
        })
      }
      const pushed = readPushedRows(feature, entity, rows, clock.now())
      const { promise, resolve, reject } = Promise.withResolvers<PushReceipt>()
      const request: PushRequest = {
        feature,
        field: fieldOf(feature),
        entity,
        rows: pushed,
        deadlineAt: performance.now() + PATIENCE_MS,
        recorded: 0,
        decisions: 0,
        lot: undefined,
        answered: false,
        answer: resolve,
        fail: reject,
      }
      const timer = setTimeout(() => giveUp(request, underWay), PATIENCE_MS)
      waitingRows += pushed.length
      turns.add(request)
      try {
        return await promise
      } finally {
        request.answered = true
        clearTimeout(timer)
        waitingRows -= pushed.length
      }
    },
    idle: () => turns.idle(),
  }
}
