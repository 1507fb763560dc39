import { type Definition, define, type FeatureSetDraft } from './draft.ts'
import type { SourceLocation } from './model.ts'
import { FEATURE_NAME, FEATURE_NAME_RULE, lawfulName } from './naming.ts'
import { readOptions } from './options.ts'
import { show } from './show.ts'
import { callPlace } from './source-location.ts'

const OPTIONS = ['description', 'owner', 'tags']
const EXAMPLE = 'featureSet("fraud_v1", [transaction_count_1h, "spend.avg_30d"])'

/** See fabra.d.ts. */
export function featureSet(name: unknown, features: unknown, given?: unknown): Definition<'feature_set'> {
  return define(readFeatureSet(name, features, given, callPlace()))
}

export function readFeatureSet(name: unknown, features: unknown, given: unknown, location: SourceLocation | null): FeatureSetDraft {
  const options = readOptions('featureSet', given ?? {}, OPTIONS, EXAMPLE)
  if (typeof name !== 'string') options.complain(`featureSet() needs a name first, got ${show(name)}.`, `Write ${EXAMPLE}.`)
  else if (!FEATURE_NAME.test(name)) {
    options.complain(`${show(name)} cannot be a feature set's name.`, `${FEATURE_NAME_RULE}: "${lawfulName(name)}".`)
  }
  if (!Array.isArray(features)) options.complain(`featureSet() needs a list of features, got ${show(features)}.`, `Write ${EXAMPLE}.`)
  else if (features.length === 0) options.complain('it has no features.', `Write ${EXAMPLE}.`)
  return {
    kind: 'feature_set',
    name: typeof name === 'string' ? name : '',
    features: Array.isArray(features) ? [...features] : [],
    description: options.text('description'),
    owner: options.text('owner'),
    tags: options.texts('tags'),
    location,
    complaints: options.complaints,
  }
}
