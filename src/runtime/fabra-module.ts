/** What a feature file imports from "fabra", besides `db`. fabra.d.ts declares it; the two cannot drift apart, see `satisfies`. */
import { entity } from '../definition/entity.ts'
import { feature } from '../definition/feature.ts'
import { featureSet } from '../definition/feature-set.ts'
import { source } from '../definition/source.ts'

export const fabraExports = { entity, source, feature, featureSet } satisfies Omit<typeof import('../fabra.d.ts'), 'db'>
