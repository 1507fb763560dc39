import type { Feature } from './model.ts'

/** `fieldOf(feature)` is the name of the feature's slot in the online store: versions side by side never mix. */
export function fieldOf(feature: Feature): string {
  return `${feature.name}@${feature.fingerprint}`
}
