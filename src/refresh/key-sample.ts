import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'

const MAX_KEYS = 1_000

/** The keys of a feature that were pushed last, some of them: enough to see whether pushes still come. */
export interface KeySample {
  note(feature: Feature, key: EntityKey): void
  of(feature: Feature): readonly EntityKey[]
  drop(feature: Feature, key: EntityKey): void
}

export function createKeySample(): KeySample {
  const features = new Map<string, Map<string, EntityKey>>()
  return {
    note({ name }, key) {
      const keys = features.get(name) ?? new Map<string, EntityKey>()
      features.set(name, keys)
      if (!keys.has(key.encoded) && keys.size >= MAX_KEYS) keys.delete(keys.keys().next().value ?? '')
      keys.set(key.encoded, key)
    },
    of: ({ name }) => [...(features.get(name)?.values() ?? [])],
    drop: ({ name }, key) => void features.get(name)?.delete(key.encoded),
  }
}
