/** What decides the values of a training set, so that those of an interrupted run are taken over only where all of it is the same. */
import { replays, takesInputs } from '../definition/feature-traits.ts'
import type { Described, Feature, Registry } from '../definition/model.ts'
import type { FeatureVersion, Reads } from '../store/ports/training-store.ts'
import type { TrainingDependencies } from './job.ts'
import type { Method, TrainingOptions } from './options.ts'

/**
 * How the result is written and what is told beside the values does not count. The code does, also where a version stands for it: what is
 * recorded stays valid, but one training set is made by one code.
 */
export function requestText(methods: ReadonlyMap<Feature, Method>, options: TrainingOptions, version: string): string {
  const { timezone, method, asServed, latestKnowledge, snapshot, deterministic } = options
  const features = [...methods].map(([feature, by]) => [feature.name, feature.fingerprint, feature.codeFingerprint, by])
  return JSON.stringify([version, features, timezone, method, asServed, latestKnowledge, snapshot, deterministic])
}

export function versionOf({ name, fingerprint }: Feature): FeatureVersion {
  return { feature: name, fingerprint }
}

export interface ReadableDefinitions {
  readonly registry: Registry
  readonly sourcesOf: TrainingDependencies['sourcesOf']
  readonly pastRefusal: TrainingDependencies['pastRefusal']
}

/** A function may ask for any source and any feature, and what of those cannot be computed for the past is read from history. */
export function readsOf(features: readonly Feature[], { registry, sourcesOf, pastRefusal }: ReadableDefinitions): Reads {
  if (features.every((feature) => feature.computation.kind === 'sql'))
    return { sources: features.flatMap((feature) => sourcesOf(feature) ?? [...registry.sources.keys()]), recorded: [] }
  const recorded = [...registry.features.values()].filter((other) =>
    other.computation.kind === 'sql' ? pastRefusal(other) !== null : !replays(other) || takesInputs(other),
  )
  return { sources: [...registry.sources.keys()], recorded: recorded.map(versionOf) }
}

/** What a function's values hang on besides rows: all definitions, since it may ask for any of them. */
export function definitionsText({ features, sources, entities }: Registry): string {
  return JSON.stringify([...features.values(), ...sources.values(), ...entities.values()].map(withoutWords))
}

function withoutWords(definition: Described): object {
  const { description: _description, owner: _owner, tags: _tags, location: _location, ...rest } = definition
  return rest
}
