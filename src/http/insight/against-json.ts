/** What is served beside what a training set held, as answers tell it. */
import { formatTime } from '../../definition/time.ts'
import type { FiguresView } from '../../observability/figures-elsewhere.ts'
import type { TrainingReport } from '../../training/job.ts'
import type { Against, Distribution } from '../wire.ts'
import { overBinsOf, psiOf } from './drift.ts'
import { distributionJson } from './figures-json.ts'

export function againstJson(feature: string, figures: FiguresView | undefined, set: TrainingReport): Against {
  const own = set.samples.filter((sample) => sample.feature === feature)
  return {
    training_set: set.id,
    made_at: formatTime(set.finishedAt ?? set.beganAt),
    columns: own.map(({ column, values }): Against['columns'][number] => {
      const served = figures?.columns.find(({ shape }) => shape.name === column)
      const shape = served?.shape ?? { column: column === feature ? null : column.slice(feature.length + 1), name: column, type: null }
      const hasServed = served !== undefined && served.values.seen > 0
      const distribution: Distribution = distributionJson(shape, hasServed ? overBinsOf(served.values.figures(), values) : values.figures())
      return { name: column, psi: hasServed ? psiOf(served.values, values) : null, distribution }
    }),
  }
}
