/** Which features follow when rows come to a source, and for which keys. Pure. */
import type { EntityKey } from '../definition/entity-key.ts'
import type { Entity, Feature, Registry } from '../definition/model.ts'

/** Keys by their encoded form; `all`: every key in use, where rows do not tell. */
export type AffectedKeys = 'all' | ReadonlyMap<string, EntityKey>

/** What the definitions say about who reads what. */
export interface Dependencies {
  readonly registry: Registry
  /** Names of declared sources that a feature's SQL reads. What a function reads is not known. */
  readonly sourcesOf: (feature: Feature) => readonly string[]
}

/** Features whose own SQL reads the source. */
export function readersOf({ registry, sourcesOf }: Dependencies, source: string): Feature[] {
  return [...registry.features.values()].filter((feature) => sourcesOf(feature).includes(source))
}

/** Features that declare this one as a part. */
export function dependentsOf(registry: Registry, feature: Feature): Feature[] {
  return [...registry.features.values()].filter((one) => one.name !== feature.name && one.uses.includes(feature.name))
}

/** Whether values of the feature are kept, so that they can be out of date. */
export function isKept(feature: Feature): boolean {
  return feature.refresh !== null && feature.refresh.kind !== 'realtime' && Object.keys(feature.inputs).length === 0
}

/**
 * Keys of a dependent feature when these keys of its part changed: the same ones where both have one entity; otherwise those keys in use that
 * contain one of the part's.
 */
export function keysOfDependent(
  registry: Registry,
  part: { readonly feature: Feature; readonly keys: AffectedKeys },
  dependent: { readonly feature: Feature; readonly inUse: () => readonly EntityKey[] },
): AffectedKeys {
  if (part.keys === 'all' || part.feature.entity === dependent.feature.entity) return part.keys
  const positions = columnsWithin(registry.entities.get(part.feature.entity), registry.entities.get(dependent.feature.entity))
  if (!positions) return 'all'
  const changed = new Set([...part.keys.values()].map((key) => key.values.join('\0')))
  const found = dependent.inUse().filter((key) => changed.has(positions.map((i) => key.values[i] ?? '').join('\0')))
  return new Map(found.map((key) => [key.encoded, key]))
}

function columnsWithin(part: Entity | undefined, whole: Entity | undefined): readonly number[] | undefined {
  const at = part?.key.map(({ name }) => whole?.key.findIndex((column) => column.name === name) ?? -1)
  return at === undefined || at.includes(-1) ? undefined : at
}
