/** What a feature file imports from "fabra". fabra.d.ts declares it; the two cannot drift apart, see `satisfies`. */
import { entity } from './definition/entity.ts'
import { feature } from './definition/feature.ts'
import { featureSet } from './definition/feature-set.ts'
import { source } from './definition/source.ts'

export { entity, feature, featureSet, source }

type Fabra = typeof import('./fabra.d.ts')

const definitions = { entity, source, feature, featureSet } satisfies Omit<Fabra, 'db'>

/** The whole module. @param db Reads as of the computation that the calling code runs in. */
export function fabraModule<Db extends Fabra['db']>(db: Db): Omit<typeof definitions, 'db'> & { readonly db: Db } {
  return { ...definitions, db } satisfies Fabra
}
