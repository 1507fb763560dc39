/** Training sets as a key is shown them that may see some features only. */
import { resolveRefs } from '../../definition/refs.ts'
import { FabraError } from '../../errors.ts'
import type { Serving } from '../../serving/serving.ts'
import type { TrainingExplanation, TrainingJob, TrainingReport } from '../../training/job.ts'
import type { HttpOptions } from '../options.ts'
import type { ConfinedWords } from './confined-words.ts'

export interface Confined {
  readonly serving: Serving
  readonly words: ConfinedWords
}

/** Names in the registry: features, their columns, sets. */
export function seesAll({ registry }: Serving, names: readonly string[]): boolean {
  return names.every((name) => registry.featureSets.has(name) || registry.features.has(name.split('.')[0] ?? name))
}

/** Sets of features that are seen can be made, from labels that are sent along; of sets that others made nothing is known. */
export function confinedTraining(training: HttpOptions['training'], current: () => Confined): HttpOptions['training'] {
  const serving = () => current().serving
  const report = (id: string) => {
    const found = training.report(id)
    const isSeen = found !== undefined && found.features.length > 0 && found.features.every(({ feature }) => seesAll(serving(), [feature]))
    return isSeen ? confinedReport(found, current().words) : undefined
  }
  return {
    ...training,
    begin: async (about) => confinedJob(await training.begin(about), current),
    beginLook: async () => confinedJob(await training.beginLook(), current),
    report,
    list: () => training.list().flatMap(({ id }) => report(id) ?? []),
    cancel: (id) => report(id) !== undefined && training.cancel(id),
  }
}

function confinedJob(job: TrainingJob, current: () => Confined): TrainingJob {
  /** @throws FabraError unknown_feature, forbidden */
  const check = (features: readonly string[], labels: Parameters<TrainingJob['explain']>[0]) => {
    resolveRefs(current().serving.registry, features)
    if (labels !== null && 'sql' in labels) {
      throw new FabraError('forbidden', 'The API key sees some features only, and labels_sql could read every source.', {
        hint: 'Send the labels along, or use a key that is not confined.',
      })
    }
  }
  const confineErrors = <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      throw error instanceof FabraError ? current().words.error(error) : error
    })
  return {
    folder: job.folder,
    columnsFor(features) {
      check(features, null)
      return job.columnsFor(features)
    },
    async build(labels, options, signal) {
      check(options.features, labels)
      const set = await confineErrors(job.build(labels, options, signal))
      return { ...set, report: confinedReport(set.report, current().words) }
    },
    async explain(labels, options, signal) {
      check(options.features, labels)
      return confinedExplanation(await confineErrors(job.explain(labels, options, signal)), current().words)
    },
    close: () => job.close(),
  }
}

/** Warnings that name what is not seen are for those who see it. */
function confinedReport(report: TrainingReport, words: ConfinedWords): TrainingReport {
  return {
    ...report,
    error: report.error && words.error(report.error),
    features: report.features.map((one) => ({ ...one, how: one.how && words.text(one.how) })),
    warnings: report.warnings.filter((warning) => words.text(JSON.stringify(warning)) !== null),
  }
}

function confinedExplanation(explanation: TrainingExplanation, words: ConfinedWords): TrainingExplanation {
  return {
    ...explanation,
    features: explanation.features.map((one) => ({ ...one, how: one.how && words.text(one.how), why: words.text(one.why) ?? '' })),
    warnings: explanation.warnings.filter((warning) => words.text(JSON.stringify(warning)) !== null),
  }
}
