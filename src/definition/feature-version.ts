import type { Feature } from './model.ts'

/** What is needed to tell versions of features apart. */
export type FeatureVersion = Pick<Feature, 'name' | 'fingerprint'>

/** `name@fingerprint`: where the version's values are in the online store, and its id wherever versions live side by side and must not mix. */
export function fieldOf({ name, fingerprint }: FeatureVersion): string {
  return `${name}@${fingerprint}`
}

/** The feature that a field is a version of. A name has no `@`. */
export function featureOfField(field: string): string {
  return field.slice(0, field.lastIndexOf('@'))
}
