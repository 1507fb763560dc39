/** The state of everything at once. A key that sees a part of it is shown the same of that part, which its catalogue tells. */
import type { Attention, FeatureList, Overview, StateCounts } from '../../http/wire.ts'
import { CATALOGUE } from './catalogue.ts'
import { type Shown, useData } from './data.ts'
import { seesWords } from './session.ts'

export interface Glance {
  readonly features: StateCounts
  readonly attention: readonly Attention[]
  /** Traffic and stores; null: they are of more than the key sees. */
  readonly whole: Overview | null
}

export function useGlance(): Shown<Glance> {
  const isPart = seesWords() !== null
  const overview = useData<Overview>(isPart ? null : '/v1/overview')
  const list = useData<FeatureList>(isPart ? CATALOGUE : null)
  if (isPart) return { ...list, value: list.value && partOf(list.value) }
  return { ...overview, value: overview.value && { ...overview.value, whole: overview.value } }
}

const WORST = ['error', 'stale', 'missing', 'default', 'fresh'] as const

function partOf({ features }: FeatureList): Glance {
  const counts: StateCounts = { fresh: 0, stale: 0, missing: 0, default: 0, error: 0 }
  for (const { state } of features) if (state) counts[state]++
  const attention = features.flatMap(({ name, state, reason, further_reasons, reads }) =>
    state && reason
      ? [reason, ...(further_reasons ?? [])].map((one) => ({
          feature: name,
          state,
          reason: one,
          reads_per_second: reads?.reads_per_second ?? null,
        }))
      : [],
  )
  attention.sort((a, b) => WORST.indexOf(a.state) - WORST.indexOf(b.state) || (b.reads_per_second ?? 0) - (a.reads_per_second ?? 0))
  return { features: counts, attention, whole: null }
}
