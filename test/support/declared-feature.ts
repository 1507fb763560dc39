import { draftOf, type FeatureDraft } from '../../src/definition/draft.ts'
import { entity } from '../../src/definition/entity.ts'
import { feature } from '../../src/definition/feature.ts'

/** A feature of `User` as a file would declare it, computed by a function in each request. */
export function readFeature(options: Readonly<Record<string, unknown>>): FeatureDraft {
  const draft = draftOf(feature({ entity: entity('User', { key: 'user_id' }), refresh: 0, ...options }, () => null))
  if (draft?.kind !== 'feature') throw new Error('It is no feature.')
  return draft
}
