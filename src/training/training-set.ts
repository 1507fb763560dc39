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

import type { Micros } from '../clock.ts'
import type { Executor } from '../compute/executor.ts'
import type { MergedPast, PastStatement, Sample } from '../compute/sql/sql-executor.ts'
import type { Entity, Feature, Registry } from '../definition/model.ts'
import { resolveRefs } from '../definition/refs.ts'
import { FabraError } from '../errors.ts'
import type { Labels, TrainingDesk, TrainingStore } from '../store/ports/training-store.ts'
import { Building } from './training-run.ts'
import { explainTraining, type FeatureExplanation } from './explanation.ts'
import type { Method, TrainingOptions } from './options.ts'
import type { TrainingPace } from './pace.ts'
import { readRows } from './preparing.ts'
import type { ColumnSummary, Doubts, TrainingWarning } from './summary.ts'

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
  /** Features that are computed together for many rows. */
  readonly pastMerges: (
    features: readonly Feature[],
    rowCount: number,
    fits: (columns: PastStatement['columns']) => boolean,
  ) => Promise<readonly MergedPast[]>
  readonly pastRefusal: (feature: Feature) => string | null
  /** Sources that its SQL reads; null where that is not known. */
  readonly sourcesOf: (feature: Feature) => readonly string[] | null
  /** How an SQL feature is computed, in a line; null for others. */
  readonly explain: (feature: Feature) => string | null
  /** What may be run for a client's query that gives labels. @throws FabraError invalid_labels */
  readonly clientSql: (text: string) => Promise<string>
  /** What doctor knows of tables that are slow to read by the keys of these entities. */
  readonly slowSources: (sources: readonly string[], entities: readonly Entity[]) => Promise<readonly TrainingWarning[]>
  readonly hasAnyKey: Doubts['hasAnyKey']
  readonly now: () => Micros
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
  /** Values taken over from a run of the same set that was interrupted: one for each feature and row. */
  readonly resumed: number
  readonly datasetHash: string | null
  readonly features: readonly FeatureReport[]
  /** Of every column that comes from a feature; empty until all are computed. */
  readonly summary: readonly ColumnSummary[]
  /** What is legal, but seldom meant. What makes it slow is told when it begins. */
  readonly warnings: readonly TrainingWarning[]
  /** What is being computed right now. */
  readonly pace: TrainingPace | null
  /** As in the finished file; null before. */
  readonly metadata: Readonly<Record<string, unknown>> | null
}

export interface TrainingSet {
  /** In the job's folder. */
  readonly path: string
  readonly report: TrainingReport
  /** To be told when whoever asked has the whole file: until then the same set asked for again is soon there. Also after the job's `close`. */
  delivered(): Promise<void>
}

export interface TrainingJob {
  readonly folder: string
  /** Columns that labels must have for these features, besides the time. @throws FabraError unknown_feature */
  columnsFor(features: readonly string[]): readonly string[]
  /** @throws FabraError; nothing is left of a training set that fails. */
  build(labels: Labels, options: TrainingOptions, signal: AbortSignal): Promise<TrainingSet>
  /** What `build` would do. @param labels null: none are read. @throws FabraError when the labels are not as they must be. */
  explain(labels: Labels | null, options: TrainingOptions, signal: AbortSignal): Promise<TrainingExplanation>
  close(): Promise<void>
}

export interface TrainingExplanation {
  /** Null without labels. */
  readonly rows: number | null
  readonly features: readonly FeatureExplanation[]
}

export interface Training {
  /** @throws FabraError overloaded when too many are being made. */
  begin(registry: Registry, parts: TrainingParts, id: string): Promise<TrainingJob>
  report(id: string): TrainingReport | undefined
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
        async explain(labels, options, signal) {
          const run = { signal, timeoutMs: LONGEST_MS }
          const rows = labels === null ? null : (await readRows(registry, parts, desk, { labels, options }, run)).rows
          return { rows, features: await explainTraining(registry, parts, desk, { options, rows }) }
        },
        async close() {
          running--
          await desk.close()
        },
      }
    },
  }
}
