import packageJson from '../../package.json'
import type { TrainingJob, TrainingReport } from '../training/job.ts'
import { refuseRowsRemoved } from '../training/kept-history.ts'
import { computeMany, computeOne, type ManyOfRow, type OneAnswer, type OneRow } from '../training/one-row.ts'
import { createTraining, type Training } from '../training/training-set.ts'
import type { CurrentDefinitions } from './current-definitions.ts'
import type { LiveDefinitionsDependencies } from './live-definitions.ts'
import { slowSourcesOf } from './open-stores.ts'
import type { Stores } from './stores.ts'

/** Looks at one row of the past, at once. */
const MOST_LOOKS = 4

/** Training sets over the definitions being served when they are begun. */
export interface FeatureStoreTraining {
  /** @throws FabraError overloaded */
  begin(about: Pick<TrainingReport, 'id' | 'owner'>): Promise<TrainingJob>
  report(id: string): TrainingReport | undefined
  list(): readonly TrainingReport[]
  cancel(id: string): boolean
  /** Of one row, for a look: beside those that are made. @throws FabraError overloaded */
  beginLook(): Promise<TrainingJob>
  /** Null: its past is what was recorded. @throws FabraError not_trainable */
  computeOne(row: OneRow, signal: AbortSignal): Promise<OneAnswer | null>
  /** Those of the features that are computed together, as they come; the others are left out. */
  computeMany(row: ManyOfRow, signal: AbortSignal): Promise<void>
}

export function createFeatureStoreTraining(
  { clock, recorder }: LiveDefinitionsDependencies,
  definitions: CurrentDefinitions,
  stores: Stores,
): FeatureStoreTraining {
  const [training, looks] = [createTraining(), createTraining(MOST_LOOKS)]
  const begin = (of: Training, about: Pick<TrainingReport, 'id' | 'owner'>) => {
    const { training: computing, serving } = definitions.live()
    const own = {
      store: stores.trainingStore,
      slowSources: slowSourcesOf(serving.registry, stores),
      keptSince: stores.historyRemoval.keptSince,
      now: clock.now,
    }
    return of.begin(serving.registry, { ...computing, ...own, flush: recorder.flush, version: packageJson.version }, about)
  }
  return {
    begin: (about) => begin(training, about),
    beginLook: () => begin(looks, { id: crypto.randomUUID(), owner: null }),
    async computeOne(row, signal) {
      const { training: computing } = definitions.live()
      const since = (await computing.wholeSince?.(row.feature)) ?? null
      if (since !== null) refuseRowsRemoved(row.feature.name, row.asOf, since)
      return computeOne(row, computing, signal)
    },
    async computeMany(row, signal) {
      const { training: computing } = definitions.live()
      const since = await Promise.all(row.features.map(async (feature) => (await computing.wholeSince?.(feature)) ?? 0))
      // The others fail when they are asked for one by one.
      await computeMany({ ...row, features: row.features.filter((_, i) => (since[i] ?? 0) <= row.asOf) }, computing, signal)
    },
    report: training.report,
    list: training.list,
    cancel: training.cancel,
  }
}
