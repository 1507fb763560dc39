import type { Sample } from '../compute/sql/sql-executor.ts'
import { freshnessRule } from '../definition/feature-traits.ts'
import type { Feature, Registry } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import { FabraError } from '../errors.ts'
import { type RunOptions, SqlError } from '../store/ports/source-engine.ts'
import type { Labels, OutputColumn, OutputFeature, Reads, TrainingWorkspace, ValuesId } from '../store/ports/training-store.ts'
import { columnTypes, outputColumns } from './columns.ts'
import type { TrainingDependencies, TrainingReport, TrainingSet } from './job.ts'
import { checkKept, checkWhole } from './kept-history.ts'
import type { Method, TrainingOptions } from './options.ts'
import { Progress } from './pace.ts'
import { entitiesOf, methodsOf, questionOf, readRows, slowSourcesOf } from './preparing.ts'
import { definitionsText, readsOf, requestText, versionOf } from './resume-identity.ts'
import { rowByRow, SQL_ROWS } from './row-by-row.ts'
import { type CopyPlan, giveUpUnlessSql, mergesOf, ownWay, type SetWay, uncopiedBecause, wayOverCopies } from './set-ways.ts'
import { doubts, summarize } from './summary.ts'
import { recordedOf, unrecordedRows } from './unrecorded-rows.ts'
import { sampleColumns } from './value-samples.ts'

type Found = Pick<OutputFeature, 'values' | 'firstColumn' | 'unrecorded'>

/** One training set on its way. */
export class Building {
  private readonly registry: Registry
  private readonly dependencies: TrainingDependencies
  private readonly workspace: TrainingWorkspace
  private readonly options: TrainingOptions
  private readonly run_: RunOptions
  private readonly cancel: AbortSignal
  private readonly keep: (report: TrainingReport) => void
  private report: TrainingReport
  private progress = new Progress(0, 0)
  /** Why no rows were copied; null: they were, or need not be. */
  private uncopied: string | null = null

  constructor(
    registry: Registry,
    dependencies: TrainingDependencies,
    workspace: TrainingWorkspace,
    options: TrainingOptions,
    run: RunOptions,
    { cancel, ...about }: Pick<TrainingReport, 'id' | 'owner'> & { readonly cancel: AbortSignal },
    keep: (report: TrainingReport) => void,
  ) {
    this.registry = registry
    this.dependencies = dependencies
    this.workspace = workspace
    this.options = options
    this.run_ = { ...run, signal: AbortSignal.any([run.signal, cancel]) }
    this.cancel = cancel
    this.keep = keep
    const nothing = {
      finishedAt: null,
      error: null,
      rows: null,
      resumed: 0,
      datasetHash: null,
      features: [],
      summary: [],
      samples: [],
      warnings: [],
      pace: null,
      metadata: null,
    }
    this.report = { ...about, state: 'running', beganAt: dependencies.now(), progress: 0, ...nothing }
  }

  async run(labels: Labels): Promise<TrainingSet> {
    try {
      return await (this.options.deterministic ? this.workspace.deterministically(() => this.make(labels)) : this.make(labels))
    } catch (error) {
      const isCancelled = this.cancel.aborted
      const reported = isCancelled ? cancelled(error) : asTrainingError(error)
      const why = reported instanceof FabraError ? reported : new FabraError('internal', 'Something went wrong inside Fabra.')
      this.tell({ state: isCancelled ? 'cancelled' : 'failed', finishedAt: this.dependencies.now(), error: why, pace: null })
      throw reported
    }
  }

  private async make(labels: Labels): Promise<TrainingSet> {
    const { workspace, options } = this
    const { refs, methods } = await methodsOf(this.registry, this.dependencies, workspace, options)
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
    const columns = outputColumns(refs, features, options)
    const entities = entitiesOf(this.registry, features)
    const { rows, columns: labelColumns } = await readRows(this.registry, this.dependencies, workspace, { labels, options }, this.run_)
    // What makes it slow is said before it begins.
    this.tell({ rows, progress: 0.05, warnings: await slowSourcesOf(this.registry, this.dependencies, methods) })
    this.progress = new Progress(features.length, rows)
    if (options.sample === null) await workspace.resume(requestText(methods, options, this.dependencies.version), options.fresh, this.run_)
    const entityOf = (feature: Feature) => entities.findIndex((one) => one.name === feature.entity)
    const whole = { wholeSince: this.dependencies.wholeSince, workspace, rows }
    await checkWhole(methods, whole, this.run_)
    const recomputed = features.filter((feature) => methods.get(feature) === 'recompute')
    const ways = await this.ways({ features: recomputed, entities, rows })
    const found = await this.together(recomputed, ways, { entityOf, rows })
    for (const entity of entities.keys()) {
      const recorded = features.filter((feature) => methods.get(feature) === 'history' && entityOf(feature) === entity)
      await this.recorded(recorded, entity, found)
    }
    for (const feature of features) {
      if (found.has(feature)) continue
      const started = performance.now()
      this.tell(this.progress.begin(feature.name))
      const progress = (share: number, taken: number) => this.tell({ ...this.progress.share(share, taken), resumed: workspace.resumed })
      const at = { entity: entityOf(feature), rows, progress }
      const { values, how } = await this.values(feature, methods.get(feature) ?? 'history', ways, at)
      found.set(feature, { values, firstColumn: 0 })
      this.done([feature], how, started)
    }
    await checkWhole(methods, whole, this.run_)
    const secondsOf = new Map(this.report.features.map(({ feature, seconds }) => [feature, seconds]))
    const made = features.map((feature) => {
      const method = methods.get(feature) ?? 'history'
      const values = found.get(feature) ?? { values: 0, firstColumn: 0 }
      // What is computed for the row's own time is fresh.
      const freshness = method === 'history' ? freshnessRule(feature, this.dependencies.nextFiring) : null
      return { feature, ...values, freshness, method, seconds: secondsOf.get(feature.name) ?? null }
    })
    const work = { workspace, features: made, columns, rows, run: this.run_ }
    const summary = await summarize(work)
    const samples = (await sampleColumns(work).catch(giveUpUnlessSql)) ?? []
    const { sourcesOf, hasAnyKey, now } = this.dependencies
    const latest = (feature: Feature) =>
      options.latestKnowledge || options.asServed ? null : questionOf(feature, { ...options, latestKnowledge: true })
    const found_ = await doubts({ ...work, summary, labels: labelColumns, entities, now: now(), sourcesOf, hasAnyKey, latest })
    this.tell({ summary, samples, warnings: [...this.report.warnings, ...found_] })
    return this.write(made, columns, rows)
  }

  /** The first that has a feature is tried first. */
  private async ways(plan: CopyPlan): Promise<readonly SetWay[]> {
    const own = ownWay(this.dependencies, this.workspace)
    const over = await wayOverCopies(plan, this.dependencies, this.workspace, this.run_).catch(giveUpUnlessSql)
    if (typeof over === 'string') this.uncopied = over
    return over === null || typeof over === 'string' ? [own] : [over, own]
  }

  /** Features that look at the same events, in one statement each group. What fails so is left to be tried one by one. */
  private async together(
    features: readonly Feature[],
    ways: readonly SetWay[],
    { entityOf, rows }: { readonly entityOf: (feature: Feature) => number; readonly rows: number },
  ): Promise<Map<Feature, Found>> {
    const found = new Map<Feature, Found>()
    for (const { way, merge } of await mergesOf(features, ways, rows)) {
      const members = merge.features.flatMap((name) => features.find((feature) => feature.name === name && !found.has(feature)) ?? [])
      const [first] = members
      if (!first || members.length < merge.features.length) continue
      const started = performance.now()
      this.tell(this.progress.begin(members.map(({ name }) => name).join(', ')))
      const request = {
        text: merge.text,
        entity: entityOf(first),
        columns: merge.columns.flat(),
        alwaysOneRow: true,
        features: members.map(versionOf),
        reads: this.reads(members),
      }
      const values = await way.compute(request, this.run_).catch(giveUpUnlessSql)
      if (values === null) continue
      let firstColumn = 0
      for (const [i, feature] of members.entries()) {
        found.set(feature, { values, firstColumn })
        firstColumn += merge.columns[i]?.length ?? 0
      }
      this.done(members, `rows and events joined, ${members.length} features together${way.place}`, started)
    }
    return found
  }

  private done(features: readonly Feature[], how: string, started: number): void {
    const seconds = Math.round((performance.now() - started) / 10 / features.length) / 100
    const names = new Set(features.map((feature) => feature.name))
    this.tell({
      features: this.report.features.map((one) => (names.has(one.feature) ? { ...one, how, seconds } : one)),
      ...this.progress.done(features.length),
      resumed: this.workspace.resumed,
    })
  }

  private async write(features: readonly OutputFeature[], columns: readonly OutputColumn[], rows: number): Promise<TrainingSet> {
    let metadata: Record<string, unknown> = {}
    const types = columnTypes(features, columns)
    const describe = (hash: string) => {
      metadata = { ...this.metadata(hash, rows), types: Object.fromEntries(types) }
      return { fabra: JSON.stringify(metadata) }
    }
    const { path, hash } = await this.workspace.write(
      { format: this.options.format, features, columns, types, metadata: describe },
      this.run_,
    )
    this.tell({ state: 'done', progress: 1, finishedAt: this.dependencies.now(), datasetHash: hash, metadata })
    return { path, report: this.report, sampled: this.workspace.sampled, delivered: () => this.workspace.delivered() }
  }

  /** Without times of the clock or anything else that would differ between two equal training sets. */
  private metadata(datasetHash: string, rows: number): Record<string, unknown> {
    const { timestamp, timezone, method, asServed, latestKnowledge, snapshot, deterministic } = this.options
    return {
      fabra_version: this.dependencies.version,
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

  private async values(
    feature: Feature,
    method: Method,
    ways: readonly SetWay[],
    at: { readonly entity: number; readonly rows: number; readonly progress: (share: number, taken: number) => void },
  ): Promise<{ readonly values: ValuesId; readonly how: string }> {
    const sample: Sample = (count) => this.workspace.rows({ from: 0, to: count, entity: at.entity, inputs: [] })
    for (const way of method === 'recompute' ? ways.filter((one) => one.has(feature)) : []) {
      const statement = await way.pastStatement(feature, at.rows, sample)
      if (!statement || !way.canCompute(statement.columns)) continue
      const { text, columns, alwaysOneRow, how } = statement
      // Row by row the same failure is told with its row; where it is none, the rows have their answers.
      const request = { text, entity: at.entity, columns, alwaysOneRow, features: [versionOf(feature)], reads: this.reads([feature]) }
      const values = await way.compute(request, this.run_).catch(giveUpUnlessSql)
      if (values !== null) return { values, how: how + way.place }
    }
    const hangsOn = feature.computation.kind === 'function' ? definitionsText(this.registry) : ''
    const work = {
      feature,
      workspace: this.workspace,
      executor: this.dependencies.executor,
      run: this.run_,
      reads: this.reads([feature]),
      hangsOn,
    }
    const values = await rowByRow(work, at)
    const why = uncopiedBecause(this.dependencies.portability(feature), this.uncopied)
    const sets = `${this.dependencies.explain(feature) ?? 'set-based'}, ${SQL_ROWS.toLocaleString('en')} rows at a time${why}`
    return { values, how: method === 'replay' ? 'the function, row by row' : sets }
  }

  private async recorded(features: readonly Feature[], entity: number, found: Map<Feature, Found>): Promise<void> {
    if (features.length === 0) return
    const started = performance.now()
    this.tell(this.progress.begin(`recorded values of ${features.length === 1 ? features[0]?.name : `${features.length} features`}`))
    const requests = features.map((feature) => questionOf(feature, this.options))
    const { keptSince } = this.dependencies
    const kept = { keptSince, workspace: this.workspace, snapshot: this.options.snapshot, rows: this.report.rows ?? 0 }
    await checkKept(features, kept, this.run_)
    const ids = await this.workspace.asOf(requests, entity, this.run_)
    await checkKept(features, kept, this.run_)
    const unrecorded = await unrecordedRows(features, { ...kept, workspace: this.workspace, entity, options: this.options }, this.run_)
    for (const [feature, of] of recordedOf(features, ids, unrecorded, this.workspace)) found.set(feature, of)
    this.done(features, this.workspace.historyHow, started)
  }

  private reads(features: readonly Feature[]): Reads {
    const { sourcesOf, pastRefusal } = this.dependencies
    return readsOf(features, { registry: this.registry, sourcesOf, pastRefusal })
  }

  private tell(news: Partial<TrainingReport>): void {
    this.report = { ...this.report, ...news }
    this.keep(this.report)
  }
}

function cancelled(cause: unknown): FabraError {
  return new FabraError('feature_timeout', 'The training set was cancelled.', {
    cause,
    hint: 'Ask for it again: what was computed is taken over.',
  })
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
