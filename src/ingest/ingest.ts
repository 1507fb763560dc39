/** Data that comes in: pushed values, events of sources, keys to forget. */
import type { Clock, Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { recordsKey } from '../definition/history-sample.ts'
import type { Entity, Feature, Source } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import type { Erasure } from '../store/ports/erasure.ts'
import type { OfflineStore } from '../store/ports/offline-store.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import type { SourceRows } from '../store/ports/source-rows.ts'
import type { Recorder } from '../store/recording/recorder.ts'
import type { AffectedKeys } from './affected-keys.ts'
import { type AppendReceipt, createAppender } from './append.ts'
import { applyForgotten, type ForgetReceipt, forgetKey } from './forget.ts'
import { createPusher } from './push.ts'
import type { PushReceipt } from './push-request.ts'
import { createRecomputer, type RecomputeVersion } from './recompute.ts'

/** Requests after which it is noted how far values are up with the events. */
const SETTLE_EVERY = 500
/** Nobody computes for longer without new rows being refused. */
const LONGEST_BEHIND: Micros = 600_000_000

export interface Ingest {
  /** All rows or none; durable when it resolves. @throws FabraError */
  push(feature: Feature, rows: readonly unknown[]): Promise<PushReceipt>
  /** All rows or none; durable when it resolves, and read by whatever is computed from then on. @throws FabraError */
  append(source: Source, rows: readonly unknown[], idempotencyKey: string | null): Promise<AppendReceipt>
  /** Durable when it resolves. @throws FabraError */
  forget(entity: Entity, key: EntityKey): Promise<ForgetReceipt>
  /** Another process forgot a key: nothing that this one has of it stays. */
  applyErasure(entity: Entity, key: EntityKey, erasure: Erasure): void
  /** These keys of a feature have other values now, or all: what is built on it follows. */
  changed(feature: Feature, keys: AffectedKeys): void
  /** Takes up what an earlier process left undone. */
  start(): Promise<void>
  /** Resolves when what came in is written and what it changes is computed, but for what becomes visible later. */
  idle(): Promise<void>
  /** Finishes what is under way. */
  close(): Promise<void>
}

export interface IngestOptions {
  readonly online: OnlineStore
  readonly offline: OfflineStore
  readonly recorder: Recorder
  readonly sourceRows: SourceRows
  /** The definitions in use. */
  readonly version: () => RecomputeVersion
  readonly keysInUse: IngestKeys
  /** After which time other processes have told which keys they use now; null: there are none. */
  readonly sharedWithinMs: number | null
  readonly clock: Clock
  readonly log: Logger
}

/** Which keys are in use: refreshes and features of unknown keys ask. */
export interface IngestKeys {
  of(feature: Feature): Promise<List<EntityKey>>
  markUsed(feature: Feature, key: EntityKey): void
  drop(feature: Feature, key: EntityKey): void
  /** Learn which keys other processes use; undefined: there are none. @throws FabraError store_unavailable */
  pull(feature: Feature): Promise<void> | undefined
}

export function createIngest(options: IngestOptions): Ingest {
  const { online, offline, recorder, sourceRows, version, keysInUse, clock, log } = options
  let appends = 0
  const recomputer = createRecomputer({
    version,
    online,
    sharedWithinMs: options.sharedWithinMs,
    async keysInUse(feature) {
      await keysInUse.pull(feature)
      return keysInUse.of(feature)
    },
    async recorded(feature, encoded) {
      await recorder.flush()
      const rows = await offline.latestOf(feature.name, feature.fingerprint, encoded)
      // Of a key that is not recorded a value may be served all the same.
      return rows.map((row, i) => row !== undefined || !recordsKey(feature, encoded[i] ?? ''))
    },
    clock,
    log,
  })
  const appender = createAppender({
    sourceRows,
    clock,
    registry: () => version().registry,
    onAppended(appended) {
      recomputer.follow(appended)
      if (++appends % SETTLE_EVERY === 0) settle().catch((error) => log.warn('appended rows could not be settled', { error }))
    },
    checkRoom: recomputer.checkRoom,
  })
  const pusher = createPusher({
    online,
    offline,
    recorder,
    clock,
    entityOf(feature) {
      const entity = version().registry.entities.get(feature.entity)
      if (!entity) throw new FabraError('internal', `Entity ${feature.entity} is not in the registry.`)
      return entity
    },
    onPushed(feature, keys) {
      for (const key of keys.values()) keysInUse.markUsed(feature, key)
      recomputer.changed(feature, keys)
    },
  })
  /** What is still being computed is no older than this. */
  async function settle(): Promise<void> {
    await sourceRows.settle(recomputer.isIdle() ? clock.now() : clock.now() - LONGEST_BEHIND)
  }
  const idle = async () => {
    await Promise.all([pusher.idle(), appender.idle()])
    await recomputer.idle()
  }
  return {
    push: pusher.push,
    append: appender.append,
    changed: recomputer.changed,
    forget: (entity, key) =>
      forgetKey(entity, key, { recorder, ...version(), drop: (feature, dropped) => keysInUse.drop(feature, dropped) }),
    applyErasure: (entity, key, erasure) =>
      applyForgotten(entity, key, erasure, { recorder, ...version(), drop: (feature, dropped) => keysInUse.drop(feature, dropped) }),
    async start() {
      const arrivals = await sourceRows.arrivals()
      if (arrivals.length === 0) return
      recomputer.recover(arrivals)
      const before = clock.now()
      await recomputer.idle()
      if (recomputer.isIdle()) await sourceRows.settle(before)
    },
    idle,
    async close() {
      await Promise.all([pusher.idle(), appender.idle()])
      const isSettled = recomputer.isIdle()
      await recomputer.close()
      if (isSettled && appends > 0) await sourceRows.settle(clock.now()).catch(() => undefined)
    },
  }
}
