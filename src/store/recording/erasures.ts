import type { Micros } from '../../clock.ts'
import type { Erasure } from '../ports/erasure.ts'

/** The keys that were forgotten, in memory: asked for every value that is written, so asking must cost next to nothing. */
export interface Erasures {
  /** When the key was last forgotten; undefined: never. */
  at(entity: string, entityKey: string): Micros | undefined
  /** Whether something that happened then is no longer to be known. */
  isErased(entity: string, entityKey: string, eventAt: Micros): boolean
  /** An erasure never moves back. */
  add(erasure: Erasure): void
  /** Those at that time or later. */
  since(at: Micros): readonly Erasure[]
}

export function createErasures(known: readonly Erasure[]): Erasures {
  const entities = new Map<string, Map<string, Micros>>()
  const at = (entity: string, entityKey: string) => (entities.size === 0 ? undefined : entities.get(entity)?.get(entityKey))
  const add = (erasure: Erasure) => {
    let keys = entities.get(erasure.entity)
    if (!keys) {
      keys = new Map()
      entities.set(erasure.entity, keys)
    }
    keys.set(erasure.entityKey, Math.max(erasure.at, keys.get(erasure.entityKey) ?? erasure.at))
  }
  for (const erasure of known) add(erasure)
  return {
    at,
    isErased(entity, entityKey, eventAt) {
      const erasedAt = at(entity, entityKey)
      return erasedAt !== undefined && eventAt <= erasedAt
    },
    add,
    since: (bound) =>
      [...entities].flatMap(([entity, keys]) =>
        [...keys].filter(([, erasedAt]) => erasedAt >= bound).map(([entityKey, erasedAt]) => ({ entity, entityKey, at: erasedAt })),
      ),
  }
}
