import type { Clock, Micros } from '../clock.ts'
import { ChunkedList, type List } from '../collections/chunked-list.ts'
import { ShardedMap } from '../collections/sharded-map.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { KeyUse } from '../store/ports/active-key-store.ts'

const DAY: Micros = 86_400_000_000
/** Keys kept warm per feature; beyond, those longest unused are let go. */
const MAX_KEYS = 1_000_000
/** How often another use of a key is worth telling other processes. */
const TELL_EVERY: Micros = 60_000_000

/** Which keys of which feature are in use: read or pushed within `keep_warm`. Only these are refreshed. */
export interface ActiveKeys {
  /** Cheap: called for every value read. @param at Default: now. */
  markUsed(feature: Feature, key: EntityKey, at?: Micros): void
  /** Keys in use, those unused for longer than keep_warm dropped on the way. */
  of(feature: Feature): Promise<List<EntityKey>>
  /** So many of them, for a look. */
  some(feature: Feature, count: number): readonly EntityKey[]
  drop(feature: Feature, key: EntityKey): void
  /** Another process used the key: nobody needs to be told. */
  recordRemoteUse(feature: Feature, key: EntityKey, at: Micros): void
  /** Uses to tell other processes, which are told of from then on. Empty unless they are collected. */
  drain(): ReadonlyMap<Feature, readonly KeyUse[]>
}

interface Use {
  readonly key: EntityKey
  at: Micros
  sharedAt: Micros
}

/** @param options.collect Keep uses for `takeUntold`. Default false. @param options.limit Default a million. */
export function createActiveKeys(clock: Clock, options: { readonly limit?: number; readonly collect?: boolean } = {}): ActiveKeys {
  const { limit = MAX_KEYS, collect = false } = options
  let undrained = new Map<Feature, KeyUse[]>()
  const uses = new Map<string, ShardedMap<Use>>()

  function usesOf(feature: Feature): ShardedMap<Use> {
    let known = uses.get(feature.name)
    if (!known) {
      known = new ShardedMap()
      uses.set(feature.name, known)
    }
    return known
  }

  function note(feature: Feature, key: EntityKey, at: Micros): Use {
    const known = usesOf(feature)
    const use = known.get(key.encoded)
    if (use) {
      if (at > use.at) use.at = at
      return use
    }
    const added = { key, at, sharedAt: Number.NEGATIVE_INFINITY }
    known.set(key.encoded, added)
    if (known.size > limit + limit / 10) dropOldest(known, limit)
    return added
  }

  return {
    markUsed(feature, key, at = clock.now()) {
      const use = note(feature, key, at)
      if (!collect || at - use.sharedAt < TELL_EVERY) return
      use.sharedAt = at
      const told = undrained.get(feature)
      if (told) told.push({ key: key.encoded, at })
      else undrained.set(feature, [{ key: key.encoded, at }])
    },
    recordRemoteUse(feature, key, at) {
      const use = note(feature, key, at)
      use.sharedAt = Math.max(use.sharedAt, at)
    },
    drain() {
      const taken = undrained
      undrained = new Map()
      return taken
    },
    async of(feature) {
      const known = usesOf(feature)
      const oldest = clock.now() - keepWarm(feature)
      if (known.size > limit) dropOldest(known, limit)
      const keys = new ChunkedList<EntityKey>()
      await known.inSteps((use, encoded) => {
        if (use.at < oldest) known.delete(encoded)
        else keys.push(use.key)
      })
      return keys
    },
    some(feature, count) {
      const oldest = clock.now() - keepWarm(feature)
      const keys: EntityKey[] = []
      for (const use of usesOf(feature).values()) {
        if (keys.length >= count) break
        if (use.at >= oldest) keys.push(use.key)
      }
      return keys
    },
    drop(feature, key) {
      usesOf(feature).delete(key.encoded)
      // Read just now, it stands at the end.
      const told = undrained.get(feature)
      const at = told?.findLastIndex((use) => use.key === key.encoded) ?? -1
      if (at >= 0) told?.splice(at, 1)
    },
  }
}

/** Declared, else the larger of a day and ten refreshes. */
export function keepWarm(feature: Feature): Micros {
  if (feature.keepWarm !== null) return feature.keepWarm
  return feature.refresh?.kind === 'interval' ? Math.max(DAY, 10 * feature.refresh.every) : DAY
}

function dropOldest(known: ShardedMap<Use>, limit: number): void {
  const times = new Float64Array(known.size)
  let count = 0
  known.forEach((use) => {
    times[count++] = use.at
  })
  const bound = times.sort()[known.size - limit] ?? 0
  for (const [encoded, use] of known) {
    if (known.size <= limit) return
    if (use.at <= bound) known.delete(encoded)
  }
}
