import type { Clock, Micros } from '../clock.ts'
import type { List } from '../collections/chunked-list.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { KeyUse } from '../store/ports/active-key-store.ts'
import { KeyUses } from './key-uses.ts'

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
  /** How many there are, those among them that were used too long ago and are not dropped yet. */
  count(feature: Feature): number
  drop(feature: Feature, key: EntityKey): void
  /** Another process used the key: nobody needs to be told. */
  recordRemoteUse(feature: Feature, key: EntityKey, at: Micros): void
  /** Uses to tell other processes, which are told of from then on. Empty unless they are collected. */
  drain(): ReadonlyMap<Feature, readonly KeyUse[]>
}

/** @param options.collect Keep uses for `drain`. Default false. @param options.limit Default a million. */
export function createActiveKeys(clock: Clock, options: { readonly limit?: number; readonly collect?: boolean } = {}): ActiveKeys {
  const { limit = MAX_KEYS, collect = false } = options
  let undrained = new Map<Feature, KeyUse[]>()
  const uses = new Map<string, KeyUses>()

  function usesOf(feature: Feature): KeyUses {
    let known = uses.get(feature.name)
    if (!known) {
      known = new KeyUses()
      uses.set(feature.name, known)
    }
    return known
  }

  function note(known: KeyUses, key: EntityKey, at: Micros): number {
    const row = known.note(key, at)
    if (known.size <= limit + limit / 10) return row
    known.keepLatest(limit)
    return row
  }

  return {
    markUsed(feature, key, at = clock.now()) {
      const known = usesOf(feature)
      const row = note(known, key, at)
      if (!collect || at - known.sharedAt(row) < TELL_EVERY) return
      known.share(row, at)
      const undrainedUses = undrained.get(feature)
      if (undrainedUses) undrainedUses.push({ key: key.encoded, at })
      else undrained.set(feature, [{ key: key.encoded, at }])
    },
    recordRemoteUse(feature, key, at) {
      const known = usesOf(feature)
      const row = note(known, key, at)
      known.share(row, Math.max(known.sharedAt(row), at))
    },
    drain() {
      const taken = undrained
      undrained = new Map()
      return taken
    },
    async of(feature) {
      const known = usesOf(feature)
      known.keepLatest(limit)
      return known.usedSince(clock.now() - keepWarm(feature))
    },
    some: (feature, count) => usesOf(feature).someSince(clock.now() - keepWarm(feature), count),
    count: (feature) => uses.get(feature.name)?.size ?? 0,
    drop(feature, key) {
      usesOf(feature).drop(key.encoded)
      // Read just now, it stands at the end.
      const undrainedUses = undrained.get(feature)
      const at = undrainedUses?.findLastIndex((use) => use.key === key.encoded) ?? -1
      if (at >= 0) undrainedUses?.splice(at, 1)
    },
  }
}

/** Declared, else the larger of a day and ten refreshes. */
export function keepWarm(feature: Feature): Micros {
  if (feature.keepWarm !== null) return feature.keepWarm
  return feature.refresh?.kind === 'interval' ? Math.max(DAY, 10 * feature.refresh.every) : DAY
}
