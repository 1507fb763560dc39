import type { Micros } from '../clock.ts'
import type { Computations } from '../compute/single-flight/computations.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Entity, Feature, Registry } from '../definition/model.ts'
import type { Erasure } from '../store/ports/erasure.ts'
import type { Recorder } from '../store/recording/recorder.ts'

export interface ForgetReceipt {
  /** Only later events count from then on. */
  readonly at: Micros
  /** Values that went from the online store. */
  readonly online: number
  /** Rows that went from history. */
  readonly history: number
  /** Tables that may still hold rows about the key. */
  readonly sources: readonly string[]
}

export interface ForgetOptions {
  readonly recorder: Recorder
  readonly registry: Registry
  readonly computations: Computations
  readonly sourcesOf: (feature: Feature) => readonly string[]
  /** The key is in use no longer. */
  readonly drop: (feature: Feature, key: EntityKey) => void
}

/**
 * Forget one key: stored values, history, its place among the keys in use, and what is being computed of it. Nothing from before this moment
 * is recorded of it any more, whoever brings it. Rows of sources stay where they are: features that read them are computed from them again
 * when somebody asks.
 */
export async function forgetKey(entity: Entity, key: EntityKey, options: ForgetOptions): Promise<ForgetReceipt> {
  const { registry, recorder, computations } = options
  const features = featuresOf(registry, entity)
  // In one turn with the erasure, which recorder.forget notes first of all.
  for (const feature of features) {
    computations.forget(feature, key)
    options.drop(feature, key)
  }
  const names = features.map((feature) => feature.name)
  const { at, online, history } = await recorder.forget(entity, names, key)
  const read = new Set(features.flatMap((feature) => options.sourcesOf(feature)))
  // What functions read is not known, so every source may hold the key that one of them might ask.
  const blind = features.some((feature) => feature.computation.kind === 'function')
  return { at, online, history, sources: [...registry.sources.keys()].filter((source) => blind || read.has(source)) }
}

/** Another process forgot the key: what this one computes and remembers of it goes too. */
export function applyForgotten(entity: Entity, key: EntityKey, erasure: Erasure, options: Omit<ForgetOptions, 'sourcesOf'>): void {
  const features = featuresOf(options.registry, entity)
  for (const feature of features) {
    options.computations.forget(feature, key)
    options.drop(feature, key)
  }
  const names = features.map((feature) => feature.name)
  options.recorder.applyErasure(erasure, names)
}

function featuresOf(registry: Registry, entity: Entity): Feature[] {
  return [...registry.features.values()].filter((feature) => feature.entity === entity.name)
}
