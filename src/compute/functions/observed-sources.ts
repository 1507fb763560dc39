/**
 * Sources that functions were seen to read: nothing else tells that they follow a source's events. What is seen here for the first time is told
 * to other processes at once, and all of it again when the store may have lost it.
 */
import { fieldOf } from '../../definition/feature-version.ts'
import type { Feature } from '../../definition/model.ts'
import type { ObservedSourceStore } from '../../store/ports/observed-source-store.ts'

export interface SeenSources {
  note(feature: Feature, sources: readonly string[]): void
  /** Nothing is known of a function that has not run yet. */
  of(feature: Feature): readonly string[]
  /** Learn what others saw of these, asked after this call; undefined: there are no others. Never rejects: who cannot be asked has seen nothing. */
  recordRemote(features: readonly Feature[]): Promise<void> | undefined
}

/** @param store Null: there is only this process. */
export function createSeenSources(store: ObservedSourceStore | null): SeenSources {
  const seen = new Map<string, Set<string>>()
  let pulling: Promise<void> | undefined
  let next: Promise<void> | undefined

  function add(feature: Feature, sources: readonly string[]): boolean {
    let known = seen.get(fieldOf(feature))
    if (!known) {
      known = new Set()
      seen.set(fieldOf(feature), known)
    }
    const before = known.size
    for (const source of sources) known.add(source)
    return known.size > before
  }
  const tell = (feature: Feature) => store?.tell(fieldOf(feature), [...(seen.get(fieldOf(feature)) ?? [])])

  async function pull(from: ObservedSourceStore, features: readonly Feature[]): Promise<void> {
    try {
      const remote = await from.of(features.map(fieldOf))
      for (const [i, feature] of features.entries()) {
        const others = remote[i] ?? []
        add(feature, others)
        if ((seen.get(fieldOf(feature))?.size ?? 0) > others.length) await tell(feature)
      }
    } catch {
      // The store is away; what this process saw itself has to do.
    }
  }

  function begin(from: ObservedSourceStore, features: readonly Feature[]): Promise<void> {
    pulling = pull(from, features).finally(() => {
      pulling = undefined
    })
    return pulling
  }

  return {
    note(feature, sources) {
      if (add(feature, sources)) tell(feature)?.catch(() => undefined)
    },
    of: (feature) => [...(seen.get(fieldOf(feature)) ?? [])],
    recordRemote(features) {
      if (!store || features.length === 0) return undefined
      // An answer that is on its way may be from before what the caller wants to know: all who come meanwhile share the next one.
      if (!pulling) return begin(store, features)
      next ??= pulling.then(() => {
        next = undefined
        return begin(store, features)
      })
      return next
    },
  }
}
