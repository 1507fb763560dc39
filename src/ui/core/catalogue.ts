/** What is defined, in the form in which several pages need it: a row for each column of each feature. */
import type { Distribution, Feature, FeatureFigures, FeatureList, ValueType } from '../../http/wire.ts'
import type { Shape } from '../parts/mark.tsx'
import { useData } from './data.ts'

export const CATALOGUE = '/v1/features?statistics=1h'

export type ListedFeature = Feature & Partial<FeatureFigures>

export interface ColumnRow {
  /** As it is asked for: `spend.avg_30d`. */
  readonly name: string
  readonly feature: ListedFeature
  readonly type: ValueType | null
  readonly distribution: Distribution | null
}

export function useCatalogue() {
  return useData<FeatureList>(CATALOGUE)
}

export function columnRows(features: readonly ListedFeature[]): ColumnRow[] {
  return features.flatMap((feature) => {
    const columns = feature.columns ? Object.entries(feature.columns) : [[null, feature.type ?? null] as const]
    return columns.map(([column, type]) => {
      const name = column === null ? feature.name : `${feature.name}.${column}`
      return { name, feature, type, distribution: feature.reads?.columns.find((one) => one.name === name) ?? null }
    })
  })
}

export function shapeOf(feature: ListedFeature): Shape {
  if (feature.refreshed?.running && feature.state === 'missing') return 'running'
  return feature.state ?? 'none'
}
