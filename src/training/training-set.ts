/**
 * Training sets: label rows in, the features as of each row's own time, a file out.
 *
 *     const job = await training.begin(id)
 *     // put the labels into job.folder
 *     const set = await job.build({ format: 'parquet', path }, options, signal)
 *     // send set.path
 *     await job.close()
 *
 * Everything that can be refused is refused before anything is computed, and the first failing row fails the whole: there is no such thing as
 * half a training set.
 */
import type { Executor } from '../compute/executor.ts'
import type { PastStatement, Sample } from '../compute/sql-executor.ts'
import type { Entity, Feature, FeatureRef, Registry } from '../definition/model.ts'
import { resolveRefs } from '../definition/refs.ts'
import { formatTime } from '../definition/time.ts'
import { FabraError } from '../errors.ts'
import { type RunOptions, SqlError } from '../store/source-store.ts'
import type { Labels, OutputColumn, OutputFeature, TrainingDesk, TrainingStore, ValuesId } from '../store/training-store.ts'
import { checkColumnNames, outputColumns } from './columns.ts'
import { methodOf } from './methods.ts'
import type { Method, TrainingOptions } from './options.ts'
import { rowByRow } from './row-by-row.ts'

/** Training sets being made at once. Each takes every core it can get. */
const MAX_RUNNING = 2
/** Reports kept for those who ask later. */
const MAX_REPORTS = 100
const LONGEST_MS = 24 * 3_600_000

export interface TrainingParts {
  readonly store: TrainingStore
  readonly executor: Executor
  /** How SQL runs over many rows of the past at once; null where it goes row by row. */
  readonly pastStatement: (feature: Feature, rowCount: number, sample: Sample) => Promise<PastStatement | null>
  readonly pastRefusal: (feature: Feature) => string | null
  /** Everything recorded so far is in history when it resolves. */
  readonly flush: () => Promise<void>
  readonly version: string
}

export interface FeatureReport {
  readonly feature: string
  readonly fingerprint: string
  readonly method: Method
  /** One line for people; null until it has run. */
  readonly how: string | null
  readonly seconds: number | null
}

/** What a training set is, while it is made and afterwards. */
export interface TrainingReport {
  readonly id: string
  readonly state: 'running' | 'done' | 'failed'
  /** 0 to 1. */
  readonly progress: number
  readonly rows: number | null
  readonly datasetHash: string | null
  readonly features: readonly FeatureReport[]
  /** As in the finished file; null before. */
  readonly metadata: Readonly<Record<string, unknown>> | null
}

export interface TrainingSet {
  /** In the job's folder. */
  readonly path: string
  readonly report: TrainingReport
}

export interface TrainingJob {
  readonly folder: string
  /** Columns that labels must have for these features, besides the time. @throws FabraError unknown_feature */
  columnsFor(features: readonly string[]): readonly string[]
  /** @throws FabraError; nothing is left of a training set that fails. */
  build(labels: Labels, options: TrainingOptions, signal: AbortSignal): Promise<TrainingSet>
  close(): Promise<void>
}

export interface Training {
  /** @throws FabraError overloaded when too many are being made. */
  begin(registry: Registry, parts: TrainingParts, id: string): Promise<TrainingJob>
  report(id: string): TrainingReport | undefined
}

/** Which features by which method; refused before anything runs. */
export async function explainTraining(
  registry: Registry,
  parts: TrainingParts,
  desk: Pick<TrainingDesk, 'hasHistory'>,
  options: TrainingOptions,
): Promise<{ readonly refs: readonly FeatureRef[]; readonly methods: ReadonlyMap<Feature, Method> }> {
  const refs = resolveRefs(registry, options.features)
  const unique = refs.filter((ref, i) => refs.findIndex((other) => other.name === ref.name) === i)
  const methods = new Map<Feature, Method>()
  const facts = { pastRefusal: parts.pastRefusal, hasHistory: (feature: Feature) => desk.hasHistory(feature.name, feature.fingerprint) }
  await parts.flush()
  for (const { feature } of unique) if (!methods.has(feature)) methods.set(feature, await methodOf(feature, options, facts))
  return { refs: unique, methods }
}

export function createTraining(): Training {
  const reports = new Map<string, TrainingReport>()
  let running = 0
  const keep = (report: TrainingReport) => {
    reports.delete(report.id)
    reports.set(report.id, report)
    const oldest = reports.size > MAX_REPORTS ? reports.keys().next().value : undefined
    if (oldest !== undefined) reports.delete(oldest)
  }
  return {
    report: (id) => reports.get(id),
    async begin(registry, parts, id) {
      if (running >= MAX_RUNNING) {
        throw new FabraError('overloaded', `${MAX_RUNNING} training sets are being made already.`, {
          hint: 'Try again when one of them is done.',
        })
      }
      running++
      let desk: TrainingDesk
      try {
        desk = await parts.store.open()
      } catch (error) {
        running--
        throw error
      }
      return {
        folder: desk.folder,
        columnsFor: (features) =>
          resolveRefs(registry, features).flatMap(({ feature }) => [
            ...(registry.entities.get(feature.entity)?.key ?? []).map((column) => column.name),
            ...Object.keys(feature.inputs),
          ]),
        build: (labels, options, signal) =>
          new Building(registry, parts, desk, options, { signal, timeoutMs: LONGEST_MS }, id, keep).run(labels),
        async close() {
          running--
          await desk.close()
        },
      }
    },
  }
}

/** One training set on its way. */
class Building {
  private readonly registry: Registry
  private readonly parts: TrainingParts
  private readonly desk: TrainingDesk
  private readonly options: TrainingOptions
  private readonly run_: RunOptions
  private readonly keep: (report: TrainingReport) => void
  private report: TrainingReport

  constructor(
    registry: Registry,
    parts: TrainingParts,
    desk: TrainingDesk,
    options: TrainingOptions,
    run: RunOptions,
    id: string,
    keep: (report: TrainingReport) => void,
  ) {
    this.registry = registry
    this.parts = parts
    this.desk = desk
    this.options = options
    this.run_ = run
    this.keep = keep
    this.report = { id, state: 'running', progress: 0, rows: null, datasetHash: null, features: [], metadata: null }
  }

  async run(labels: Labels): Promise<TrainingSet> {
    try {
      return await (this.options.deterministic ? this.desk.deterministically(() => this.make(labels)) : this.make(labels))
    } catch (error) {
      this.tell({ state: 'failed' })
      throw asTrainingError(error)
    }
  }

  private async make(labels: Labels): Promise<TrainingSet> {
    const { desk, options } = this
    const { refs, methods } = await explainTraining(this.registry, this.parts, desk, options)
    const features = [...methods.keys()]
    this.tell({
      features: features.map((feature) => ({
        feature: feature.name,
        fingerprint: feature.fingerprint,
        method: methods.get(feature) ?? 'history',
        how: null,
        seconds: null,
      })),
    })
    const labelColumns = await desk.readLabels(labels, options.format === 'csv', this.run_)
    const columns = outputColumns(refs, features, options)
    checkColumnNames(labelColumns, columns, features, options.timestamp)
    const entities = this.entitiesOf(features)
    const rows = await desk.prepareRows({ entities, timestamp: options.timestamp, timezone: options.timezone }, this.run_)
    this.tell({ rows, progress: 0.05 })
    const made: OutputFeature[] = []
    for (const [i, feature] of features.entries()) {
      const started = performance.now()
      const entity = entities.findIndex((one) => one.name === feature.entity)
      const progress = (share: number) => this.tell({ progress: 0.05 + (0.85 * (i + share)) / features.length })
      const { values, how } = await this.values(feature, methods.get(feature) ?? 'history', { entity, rows, progress })
      const seconds = Math.round((performance.now() - started) / 10) / 100
      this.tell({ features: this.report.features.map((one, f) => (f === i ? { ...one, how, seconds } : one)) })
      progress(1)
      made.push({ feature, values, freshFor: freshFor(feature, methods.get(feature) ?? 'history') })
    }
    return this.write(made, columns, rows)
  }

  private async write(features: readonly OutputFeature[], columns: readonly OutputColumn[], rows: number): Promise<TrainingSet> {
    let metadata: Record<string, unknown> = {}
    const describe = (hash: string) => {
      metadata = this.metadata(hash, rows)
      return { fabra: JSON.stringify(metadata) }
    }
    const { path, hash } = await this.desk.write({ format: this.options.format, features, columns, metadata: describe }, this.run_)
    this.tell({ state: 'done', progress: 1, datasetHash: hash, metadata })
    return { path, report: this.report }
  }

  /** Without times of the clock or anything else that would differ between two equal training sets. */
  private metadata(datasetHash: string, rows: number): Record<string, unknown> {
    const { timestamp, timezone, method, asServed, latestKnowledge, snapshot, deterministic } = this.options
    return {
      fabra_version: this.parts.version,
      dataset_hash: datasetHash,
      rows,
      options: {
        timestamp,
        timezone,
        method,
        as_served: asServed,
        latest_knowledge: latestKnowledge,
        snapshot: snapshot === null ? null : formatTime(snapshot),
        deterministic,
      },
      features: this.report.features.map(({ feature, fingerprint, method: by }) => ({ feature, fingerprint, method: by })),
    }
  }

  private entitiesOf(features: readonly Feature[]): Entity[] {
    const names = [...new Set(features.map((feature) => feature.entity))]
    return names.flatMap((name) => {
      const entity = this.registry.entities.get(name)
      return entity ? [entity] : []
    })
  }

  private async values(
    feature: Feature,
    method: Method,
    at: { readonly entity: number; readonly rows: number; readonly progress: (share: number) => void },
  ): Promise<{ readonly values: ValuesId; readonly how: string }> {
    if (method === 'history') return { values: await this.recorded(feature, at.entity), how: 'as-of join over recorded values' }
    const sample: Sample = (count) => this.desk.rows({ from: 0, to: count, entity: at.entity, inputs: [] })
    const statement = method === 'recompute' ? await this.parts.pastStatement(feature, at.rows, sample) : null
    if (statement && this.desk.canCompute(statement.columns)) {
      const { text, columns, alwaysOneRow, how } = statement
      try {
        return { values: await this.desk.compute({ text, entity: at.entity, columns, alwaysOneRow }, this.run_), how }
      } catch (error) {
        // Row by row the same failure is told with its row; where it is none, the rows have their answers.
        if (!(error instanceof SqlError) || error.kind === 'timeout' || error.kind === 'interrupted' || error.kind === 'unavailable')
          throw error
      }
    }
    const values = await rowByRow({ feature, desk: this.desk, executor: this.parts.executor, signal: this.run_.signal }, at)
    return { values, how: method === 'replay' ? 'the function, row by row' : 'in small sets, values as JSON' }
  }

  private recorded(feature: Feature, entity: number): Promise<ValuesId> {
    const { asServed, latestKnowledge, snapshot } = this.options
    const question = {
      feature: feature.name,
      fingerprint: feature.fingerprint,
      lookBack: asServed ? feature.maxStaleness : feature.lookBack,
      knowledge: latestKnowledge ? ('latest' as const) : asServed ? ('served' as const) : ('serving' as const),
      snapshot,
    }
    return this.desk.asOf(question, entity, this.run_)
  }

  private tell(news: Partial<TrainingReport>): void {
    this.report = { ...this.report, ...news }
    this.keep(this.report)
  }
}

/** Until which age a value counts as fresh, as serving judges it; null: at any. */
function freshFor(feature: Feature, method: Method): number | null {
  if (method !== 'history') return null
  if (feature.refresh === null) return feature.maxStaleness
  if (feature.refresh.kind === 'realtime') return 0
  return feature.refresh.kind === 'interval' ? feature.refresh.every + Math.max(feature.refresh.every / 10, 1_000_000) : null
}

function asTrainingError(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error
  if (error.kind === 'interrupted')
    return new FabraError('feature_timeout', 'The training set was given up: nobody waits for it any more.', { cause: error })
  return new FabraError('io_failed', 'The training set could not be made: the engine failed.', {
    hint: `The log has the details: ${/space|disk/i.test(error.message) ? 'the disk may be full' : error.kind}.`,
    cause: error,
  })
}
