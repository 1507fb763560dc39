import type { Micros } from '../../clock.ts'
import type { Fence } from '../ports/erasure.ts'

/** The keys that were forgotten, in memory: asked for every value that is written, so asking must cost next to nothing. */
export interface Fences {
  /** When the key was last forgotten; undefined: never. */
  at(entity: string, entityKey: string): Micros | undefined
  /** Whether something that happened then is no longer to be known. */
  hides(entity: string, entityKey: string, eventAt: Micros): boolean
  /** A fence never moves back. */
  raise(fence: Fence): void
  /** Those at that time or later. */
  since(at: Micros): readonly Fence[]
}

export function createFences(known: readonly Fence[]): Fences {
  const entities = new Map<string, Map<string, Micros>>()
  const at = (entity: string, entityKey: string) => (entities.size === 0 ? undefined : entities.get(entity)?.get(entityKey))
  const raise = (fence: Fence) => {
    let keys = entities.get(fence.entity)
    if (!keys) {
      keys = new Map()
      entities.set(fence.entity, keys)
    }
    keys.set(fence.entityKey, Math.max(fence.at, keys.get(fence.entityKey) ?? fence.at))
  }
  for (const fence of known) raise(fence)
  return {
    at,
    hides(entity, entityKey, eventAt) {
      const fence = at(entity, entityKey)
      return fence !== undefined && eventAt <= fence
    },
    raise,
    since: (bound) =>
      [...entities].flatMap(([entity, keys]) =>
        [...keys].filter(([, fence]) => fence >= bound).map(([entityKey, fence]) => ({ entity, entityKey, at: fence })),
      ),
  }
}
