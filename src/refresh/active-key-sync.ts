/**
 * What processes tell one another: which keys they read, and which were forgotten.
 *
 * Twice a second the keys read since are written down, each at most once a minute, and what others forgot is applied. The process
 * that refreshes a feature gathers the keys that others read before it begins.
 */
import type { Clock, Micros } from '../clock.ts'
import { decodeKey, type EntityKey } from '../definition/entity-key.ts'
import type { Entity, Feature, Registry } from '../definition/model.ts'
import type { Logger } from '../observability/logger.ts'
import type { ActiveKeyStore } from '../store/ports/active-key-store.ts'
import type { Erasure } from '../store/ports/erasure.ts'
import type { OnlineStore } from '../store/ports/online-store.ts'
import type { Erasures } from '../store/recording/erasures.ts'
import { type ActiveKeys, keepWarm } from './active-keys.ts'

const SYNC_EVERY_MS = 400
/** After which time a key that was read is nearly always told of. */
export const SHARED_WITHIN_MS = 600
/** Clocks of processes differ, and what is read now is told a little later. */
const OVERLAP: Micros = 120_000_000
const DAY: Micros = 86_400_000_000

export interface SharedKeysOptions {
  readonly store: ActiveKeyStore
  readonly online: OnlineStore
  readonly activeKeys: ActiveKeys
  readonly erasures: Erasures
  readonly registry: () => Registry
  /** Another process forgot a key: what this one has of it goes. */
  readonly onForgotten: (entity: Entity, key: EntityKey, erasure: Erasure) => void
  readonly clock: Clock
  readonly log: Logger
}

export interface SharedKeys {
  /** Learn which keys others use of a feature. @throws FabraError store_unavailable */
  pull(feature: Feature): Promise<void>
  /** The key is in use no longer, in any process. */
  drop(feature: Feature, key: EntityKey): void
  /** Tell and learn now; done by itself every 0.4 seconds. */
  sync(): Promise<void>
  start(): void
  /** Tells the rest. */
  stop(): Promise<void>
}

export function createSharedKeys(options: SharedKeysOptions): SharedKeys {
  const { store, online, activeKeys, erasures, registry, onForgotten, clock, log } = options
  const pulledAt = new Map<string, Micros>()
  let dropped = new Map<string, string[]>()
  /** Erasures told of late that this process has applied; undefined before the first look. */
  let applied: Map<string, Micros> | undefined
  let erasuresReadUpTo = clock.now() - DAY
  let timer: Timer | undefined
  let running: Promise<void> | undefined

  async function tell(): Promise<void> {
    const drops = dropped
    dropped = new Map()
    for (const [feature, keys] of drops) await store.drop(feature, keys)
    for (const [feature, uses] of activeKeys.drain()) {
      const entity = feature.entity
      await store.markUsed(
        feature.name,
        uses.filter(({ key, at }) => !erasures.isErased(entity, key, at)),
      )
    }
  }

  async function applyRemote(): Promise<void> {
    const now = clock.now()
    const recent = await online.erasuresSince(erasuresReadUpTo - OVERLAP)
    for (const erasure of recent) {
      const id = `${erasure.entity}:${erasure.entityKey}`
      // A write may have met the erasure already, and yet the key be in use here. What was known at the start was not.
      const appliedAt = applied?.get(id) ?? (applied ? undefined : erasures.at(erasure.entity, erasure.entityKey))
      if (appliedAt !== undefined && appliedAt >= erasure.at) continue
      const entity = registry().entities.get(erasure.entity)
      if (entity) onForgotten(entity, decodeKey(entity, erasure.entityKey), erasure)
      else erasures.add(erasure)
    }
    applied = new Map(recent.map(({ entity, entityKey, at }) => [`${entity}:${entityKey}`, at]))
    erasuresReadUpTo = now
  }

  async function sync(): Promise<void> {
    try {
      // First what was forgotten, so that nothing of it is told.
      await applyRemote()
      await tell()
    } catch (error) {
      log.debug('keys in use could not be shared', { error })
    }
  }

  return {
    async pull(feature) {
      const entity = registry().entities.get(feature.entity)
      if (!entity) return
      const now = clock.now()
      const oldest = now - keepWarm(feature)
      const last = pulledAt.get(feature.name)
      if (last === undefined) await store.dropBefore(feature.name, oldest)
      for await (const uses of store.since(feature.name, last === undefined ? oldest : Math.max(oldest, last - OVERLAP))) {
        for (const { key, at } of uses) {
          if (erasures.isErased(entity.name, key, at)) continue
          const decoded = decodeKey(entity, key)
          if (decoded.values.length === entity.key.length) activeKeys.recordRemoteUse(feature, decoded, at)
        }
      }
      pulledAt.set(feature.name, now)
    },
    drop({ name }, key) {
      const keys = dropped.get(name)
      if (keys) keys.push(key.encoded)
      else dropped.set(name, [key.encoded])
    },
    sync,
    start() {
      timer ??= setInterval(() => {
        running ??= sync().finally(() => {
          running = undefined
        })
      }, SYNC_EVERY_MS)
      timer.unref()
    },
    async stop() {
      clearInterval(timer)
      await running
      await sync()
    },
  }
}
