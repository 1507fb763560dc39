import type { Clock, Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { LargeMap } from '../large-map.ts'

const DAY: Micros = 86_400_000_000
/** Keys kept warm per feature; beyond, those longest unused are let go. */
const MAX_KEYS = 1_000_000

/** Which keys of which feature are in use: read or pushed within `keep_warm`. Only these are refreshed. */
export interface ActiveKeys {
  /** Cheap: called for every value read. @param at Default: now. */
  touch(feature: Feature, key: EntityKey, at?: Micros): void
  /** Keys in use, those unused for longer than keep_warm dropped on the way. */
  of(feature: Feature): readonly EntityKey[]
  drop(feature: Feature, key: EntityKey): void
}

interface Use {
  readonly key: EntityKey
  at: Micros
}

export function createActiveKeys(clock: Clock, limit = MAX_KEYS): ActiveKeys {
  const uses = new Map<string, LargeMap<Use>>()

  function usesOf(feature: Feature): LargeMap<Use> {
    let known = uses.get(feature.name)
    if (!known) {
      known = new LargeMap()
      uses.set(feature.name, known)
    }
    return known
  }

  return {
    touch(feature, key, at = clock.now()) {
      const known = usesOf(feature)
      const use = known.get(key.encoded)
      if (use) {
        if (at > use.at) use.at = at
        return
      }
      known.set(key.encoded, { key, at })
      if (known.size > limit + limit / 10) dropOldest(known, limit)
    },
    of(feature) {
      const known = usesOf(feature)
      const oldest = clock.now() - keepWarm(feature)
      for (const [encoded, use] of known) if (use.at < oldest) known.delete(encoded)
      if (known.size > limit) dropOldest(known, limit)
      return [...known.values()].map((use) => use.key)
    },
    drop(feature, key) {
      usesOf(feature).delete(key.encoded)
    },
  }
}

/** Declared, else the larger of a day and ten refreshes. */
export function keepWarm(feature: Feature): Micros {
  if (feature.keepWarm !== null) return feature.keepWarm
  return feature.refresh?.kind === 'interval' ? Math.max(DAY, 10 * feature.refresh.every) : DAY
}

function dropOldest(known: LargeMap<Use>, limit: number): void {
  const times = [...known.values()].map((use) => use.at).sort((a, b) => b - a)
  const bound = times[limit - 1] ?? 0
  for (const [encoded, use] of known) {
    if (known.size <= limit) return
    if (use.at <= bound) known.delete(encoded)
  }
}
