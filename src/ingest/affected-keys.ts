/** Which features follow when rows come to a source, and for which keys. Pure. */

import type { Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import { isScheduled, takesInputs } from '../definition/feature-traits.ts'
import type { Entity, Feature, Registry } from '../definition/model.ts'
import type { AppendedRows } from './appended-rows.ts'
import { keyOfRow, keyPositions } from './row-values.ts'

/** Keys by their encoded form; `all`: every key in use, where rows do not tell. */
export type AffectedKeys = 'all' | ReadonlyMap<string, EntityKey>

/** What the definitions say about who reads what. */
export interface Dependencies {
  readonly registry: Registry
  /** Names of declared sources that a feature reads. Of a function: those it was seen to read since the definitions were loaded. */
  readonly sourcesOf: (feature: Feature) => readonly string[]
}

/** Features that read the source themselves. */
export function readersOf({ registry, sourcesOf }: Dependencies, source: string): Feature[] {
  return [...registry.features.values()].filter((feature) => sourcesOf(feature).includes(source))
}

/** Of the definitions that are served: asked for with each push. */
const dependents = new WeakMap<Registry, Map<string, readonly Feature[]>>()

/** Features that declare this one as a part. They describe the same entity, so the same keys change. */
export function dependentsOf(registry: Registry, { name }: Feature): readonly Feature[] {
  const known = dependents.get(registry) ?? new Map<string, readonly Feature[]>()
  const found = known.get(name) ?? [...registry.features.values()].filter((one) => one.name !== name && one.uses.includes(name))
  dependents.set(registry, known.set(name, found))
  return found
}

/**
 * Whether rows are refused when the feature cannot keep up with them. A function that nobody said depends on anything may do what takes long, such
 * as asking another service: it follows as well as it can, and else with its next refresh.
 */
export function mustFollow(feature: Feature): boolean {
  return feature.computation.kind !== 'function' || feature.uses.length > 0
}

/** Whether values of the feature are kept, so that they can be out of date. */
export function isKept(feature: Feature): boolean {
  return isScheduled(feature) && !takesInputs(feature)
}

/** The keys that rows are about, by when that can be seen. @param lookAt When to look at what is seen from a time on. */
export function keysByTime(
  entity: Entity | undefined,
  { columns, rows, times }: AppendedRows,
  lookAt: (time: Micros) => Micros,
): ReadonlyMap<Micros, AffectedKeys> {
  const positions = entity && keyPositions(entity, columns)
  const byTime = new Map<Micros, Map<string, EntityKey> | 'all'>()
  for (const [i, row] of rows.entries()) {
    const time = times[i] ?? null
    if (time === null) continue
    const at = lookAt(time)
    if (!entity || !positions) byTime.set(at, 'all')
    else {
      const key = keyOfRow(entity, positions, row)
      const keys = byTime.get(at) ?? new Map<string, EntityKey>()
      byTime.set(at, keys)
      if (key && keys !== 'all') keys.set(key.encoded, key)
    }
  }
  return byTime
}
