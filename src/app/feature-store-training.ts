import packageJson from '../../package.json'
import type { TrainingJob, TrainingReport } from '../training/job.ts'
import { createTraining } from '../training/training-set.ts'
import type { CurrentDefinitions } from './current-definitions.ts'
import type { LiveDefinitionsDependencies } from './live-definitions.ts'
import { slowSourcesOf } from './open-stores.ts'
import type { Stores } from './stores.ts'

/** Training sets over the definitions being served when they are begun. */
export interface FeatureStoreTraining {
  /** @throws FabraError overloaded */
  begin(id: string): Promise<TrainingJob>
  report(id: string): TrainingReport | undefined
}

export function createFeatureStoreTraining(
  { clock, recorder }: LiveDefinitionsDependencies,
  definitions: CurrentDefinitions,
  stores: Stores,
): FeatureStoreTraining {
  const training = createTraining()
  return {
    begin(id) {
      const { training: computing, serving } = definitions.live()
      const own = { store: stores.trainingStore, slowSources: slowSourcesOf(serving.registry, stores), now: clock.now }
      return training.begin(serving.registry, { ...computing, ...own, flush: recorder.flush, version: packageJson.version }, id)
    },
    report: training.report,
  }
}
