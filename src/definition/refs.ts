import { FabraError, suggest } from '../errors.ts'
import type { Feature, FeatureRef, Registry } from './model.ts'

/** `transaction_count_1h`, or `spend.avg_30d` for a column. */
export function columnRefs(feature: Feature): FeatureRef[] {
  return feature.columns.map((column, i) => ({
    feature,
    column: i,
    name: column.name === null ? feature.name : `${feature.name}.${column.name}`,
  }))
}

/**
 * The columns that a list of names means, in its order, repeats kept: `spend` and a feature set's name stand for all their columns.
 * No feature set has a feature's name.
 * @throws FabraError unknown_feature
 */
export function resolveRefs(registry: Registry, names: readonly string[]): FeatureRef[] {
  return names.flatMap((name) => {
    const set = registry.featureSets.get(name)
    return set ? set.features.flatMap((member) => resolveRef(registry.features, member)) : resolveRef(registry.features, name)
  })
}

/** @throws FabraError unknown_feature */
export function resolveRef(features: ReadonlyMap<string, Feature>, name: string): FeatureRef[] {
  const whole = features.get(name)
  if (whole) return columnRefs(whole)
  const [featureName, ...rest] = name.split('.')
  const feature = features.get(featureName ?? '')
  if (!feature || rest.length === 0) {
    const known = [...features.values()].flatMap((one) => [one.name, ...(name.includes('.') ? columnRefs(one).map((ref) => ref.name) : [])])
    throw new FabraError('unknown_feature', `No feature "${cut(name)}".`, { hint: suggest(name, [...new Set(known)]) })
  }
  const column = rest.join('.')
  const refs = columnRefs(feature)
  const found = refs.find((ref) => ref.name === name)
  if (found) return [found]
  if (feature.columns[0]?.name === null) {
    throw new FabraError('unknown_feature', `${feature.name} has no column "${cut(column)}": it is a single value.`, {
      hint: `Ask for "${feature.name}".`,
    })
  }
  const columns = refs.map((ref) => ref.name)
  throw new FabraError('unknown_feature', `${feature.name} has no column "${cut(column)}".`, { hint: suggest(name, columns) })
}

function cut(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}…` : name
}
