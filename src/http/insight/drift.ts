/** How far what is served has moved from what a training set held. */
import { countsIn, stabilityIndex } from '../../observability/distribution.ts'
import type { FiguresView } from '../../observability/figures-elsewhere.ts'
import { SAMPLE_SIZE, type SampleFigures, type ValueSample } from '../../observability/value-sample.ts'
import type { TrainingReport } from '../../training/job.ts'

/** Beyond it they are taken for other populations. */
export const DRIFTED = 0.25
/** Fewer values say too little. */
const FEWEST = 200

/**
 * Population stability index of values now against those of then, in the bins of then. Null: they cannot be compared.
 * Below 0.1 they are much alike.
 */
export function psiOf(now: ValueSample, then: ValueSample): number | null {
  const [present, past] = [now.figures(), then.figures()]
  if (present.measure !== past.measure) return null
  if (present.trueShare !== null && past.trueShare !== null)
    return stabilityIndex([present.trueShare, 1 - present.trueShare], [past.trueShare, 1 - past.trueShare])
  if (present.top && past.top) {
    const words = [...new Set([...present.top, ...past.top].map(({ value }) => value))]
    const shares = (of: readonly { readonly value: string; readonly share: number }[]) =>
      words.map((word) => of.find(({ value }) => value === word)?.share ?? 0)
    return stabilityIndex(shares(present.top), shares(past.top))
  }
  if (!present.bins || !past.bins) return null
  return stabilityIndex(countsIn(now.latest(SAMPLE_SIZE), past.bins.edges), past.bins.counts)
}

/** The one's figures with counts in the bins of the other, so that both can be drawn over one axis. */
export function overBinsOf(other: SampleFigures, values: ValueSample): SampleFigures {
  const figures = values.figures()
  if (!figures.bins || !other.bins) return figures
  return { ...figures, bins: { edges: other.bins.edges, counts: countsIn(values.latest(SAMPLE_SIZE), other.bins.edges) } }
}

export interface Drift {
  readonly column: string
  readonly psi: number
  /** Where drift begins: samples of one population differ too, the more the smaller they are. */
  readonly from: number
  readonly set: TrainingReport
}

/** The column that moved furthest from the newest set that was made with the feature. */
export function driftOf(feature: string, figures: FiguresView, sets: readonly TrainingReport[]): Drift | null {
  const set = newestWith(sets, feature)
  if (!set) return null
  const found = figures.columns.flatMap(({ shape, values }): Drift[] => {
    const then = set.samples.find(({ column }) => column === shape.name)?.values
    if (!then || kept(values) < FEWEST || kept(then) < FEWEST) return []
    const psi = psiOf(values, then)
    const from = DRIFTED + 2 * (binsOf(then.figures()) - 1) * (1 / kept(values) + 1 / kept(then))
    return psi !== null && psi > from ? [{ column: shape.name, psi, from, set }] : []
  })
  return found.sort((a, b) => b.psi - a.psi)[0] ?? null
}

function newestWith(sets: readonly TrainingReport[], feature: string): TrainingReport | undefined {
  return sets
    .filter(({ samples }) => samples.some((sample) => sample.feature === feature))
    .sort((a, b) => (b.finishedAt ?? 0) - (a.finishedAt ?? 0))[0]
}

function kept({ seen }: ValueSample): number {
  return Math.min(seen, SAMPLE_SIZE)
}

function binsOf({ bins, top }: SampleFigures): number {
  return bins?.counts.length ?? top?.length ?? 2
}
