import type { EntityKey } from '../definition/entity-key.ts'
import type { Entity, Feature, Registry } from '../definition/model.ts'
import type { IngestKeys } from '../ingest/ingest.ts'
import { createSharedKeys, SHARED_WITHIN_MS } from '../refresh/active-key-sync.ts'
import { createKeySample } from '../refresh/key-sample.ts'
import type { ActiveKeyStore } from '../store/ports/active-key-store.ts'
import type { Erasure } from '../store/ports/erasure.ts'
import type { LiveDefinitionsDependencies } from './live-definitions.ts'

/** Which keys are in use, here and in the processes beside this one. */
export interface KeysInUse extends IngestKeys {
  /** So many of them, for a look. */
  some(feature: Feature, count: number): readonly EntityKey[]
  /** After which time other processes have told which keys they use now; null: there are none. */
  readonly sharedWithinMs: number | null
  start(): void
  stop(): Promise<void> | undefined
}

export interface KeysInUseOptions {
  /** Through which processes tell one another; null: there is only this one. */
  readonly store: ActiveKeyStore | null
  /** Whether some keys of pushed features are noted: they are nobody's to refresh, but tell whether pushes still come. */
  readonly samplePushed: boolean
  readonly registry: () => Registry
  /** Resolves when all keys that were in use before this process are known. */
  readonly whole: () => Promise<void>
  /** Another process forgot a key. */
  readonly onForgotten: (entity: Entity, key: EntityKey, erasure: Erasure) => void
}

export function createKeysInUse(dependencies: LiveDefinitionsDependencies, options: KeysInUseOptions): KeysInUse {
  const { activeKeys, online, recorder, clock, log } = dependencies
  const { store, registry, onForgotten } = options
  const pushed = options.samplePushed ? createKeySample() : undefined
  const shared = store && createSharedKeys({ store, online, activeKeys, erasures: recorder.erasures, registry, onForgotten, clock, log })
  return {
    async of(feature) {
      await options.whole()
      return activeKeys.of(feature)
    },
    markUsed: (feature, key) => (feature.refresh === null ? pushed?.note(feature, key) : activeKeys.markUsed(feature, key)),
    drop(feature, key) {
      if (feature.refresh === null) return pushed?.drop(feature, key)
      activeKeys.drop(feature, key)
      shared?.drop(feature, key)
    },
    pull: (feature) => shared?.pull(feature),
    some: (feature, count) => (feature.refresh === null ? (pushed?.of(feature) ?? []) : activeKeys.some(feature, count)),
    sharedWithinMs: shared ? SHARED_WITHIN_MS : null,
    start() {
      shared?.start()
    },
    stop: () => shared?.stop(),
  }
}
