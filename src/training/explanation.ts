import type { Feature, Registry } from '../definition/model.ts'
import { resolveRefs } from '../definition/refs.ts'
import { FabraError } from '../errors.ts'
import type { TrainingWorkspace } from '../store/ports/training-store.ts'
import type { TrainingDependencies, TrainingExplanation } from './job.ts'
import { methodOf, whyOf } from './methods.ts'
import type { Method, TrainingOptions } from './options.ts'
import { slowSourcesOf } from './preparing.ts'
import { HERE, uncopiedBecause } from './set-ways.ts'

/** Rows that are assumed where there are no labels. */
const ASSUMED_ROWS = 1_000_000

/** What would be done for these features, without doing it. Those that cannot be trained are among them, with the reason. */
export async function explainTraining(
  registry: Registry,
  dependencies: TrainingDependencies,
  workspace: Pick<TrainingWorkspace, 'hasHistory' | 'canCompute' | 'historyHow' | 'bring'>,
  asked: { readonly options: TrainingOptions; readonly rows: number | null },
): Promise<Pick<TrainingExplanation, 'features' | 'warnings'>> {
  const { options, rows } = asked
  const features = [...new Set(resolveRefs(registry, options.features).map((ref) => ref.feature))]
  const facts = {
    pastRefusal: dependencies.pastRefusal,
    hasHistory: (feature: Feature) => workspace.hasHistory(feature.name, feature.fingerprint),
  }
  await dependencies.flush()
  const methods = new Map<Feature, Method | FabraError>()
  for (const feature of features) methods.set(feature, await methodOf(feature, options, facts).catch(refusalOf))
  const recomputed = features.filter((feature) => methods.get(feature) === 'recompute')
  const merges = await dependencies.pastMerges(recomputed, rows ?? ASSUMED_ROWS, (columns) => workspace.canCompute(columns))
  const trained = new Map([...methods].filter((one): one is [Feature, Method] => !(one[1] instanceof FabraError)))
  const warnings = await slowSourcesOf(registry, dependencies, trained)
  const explained = features.map((feature) => {
    const { name, fingerprint } = feature
    const method = methods.get(feature)
    if (method === undefined || method instanceof FabraError)
      return { feature: name, fingerprint, method: null, how: null, why: method?.message ?? '' }
    const together = merges.find((merge) => merge.features.includes(name))?.features.length
    return {
      feature: name,
      fingerprint,
      method,
      how: method === 'history' ? workspace.historyHow : howOf(feature, method, together, { dependencies, workspace }),
      why: whyOf(feature, method, options),
    }
  })
  return { features: explained, warnings }
}

interface Explained {
  readonly dependencies: TrainingDependencies
  readonly workspace: Pick<TrainingWorkspace, 'bring'>
}

function howOf(feature: Feature, method: Method, together: number | undefined, { dependencies, workspace }: Explained): string {
  if (method === 'replay') return 'the function, row by row'
  if (together !== undefined) return `rows and events joined, ${together} features together`
  const own = dependencies.explain(feature) ?? 'set-based'
  const portability = workspace.bring === null ? null : dependencies.portability(feature)
  return portability?.portable
    ? `rows and events joined, ${HERE} where that is worth it; else ${own}`
    : own + uncopiedBecause(portability, null)
}

function refusalOf(error: unknown): FabraError {
  if (error instanceof FabraError && error.code === 'not_trainable') return error
  throw error
}
