import type { Micros } from '../clock.ts'
import type { Executor } from '../compute/executor.ts'
import type { OverCopies } from '../compute/sql/portable/over-copies.ts'
import type { Portability } from '../compute/sql/portable/portable.ts'
import type { MergedPast, PastStatement, Sample, SqlExecutor } from '../compute/sql/sql-executor.ts'
import type { NextFiring } from '../definition/feature-traits.ts'
import type { Entity, Feature } from '../definition/model.ts'
import type { FabraError } from '../errors.ts'
import type { SourceEngine } from '../store/ports/source-engine.ts'
import type { Labels, TrainingStore } from '../store/ports/training-store.ts'
import type { KeptHistory } from './kept-history.ts'
import type { Method, TrainingOptions } from './options.ts'
import type { TrainingPace } from './pace.ts'
import type { ColumnSummary, Doubts, TrainingWarning } from './summary.ts'
import type { ColumnSample } from './value-samples.ts'

export interface TrainingDependencies {
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
  /** How a feature is computed over copies of the rows that it reads, or why not; null where its sources are here. */
  readonly portability: (feature: Feature) => Portability | null
  /** @param engine Holds the copies. */
  readonly overCopies: (features: readonly Feature[], engine: SourceEngine) => Promise<OverCopies>
  /** SQL features of one key as of one time, as many as go together; the others are not told of. */
  readonly pastOfKey: SqlExecutor['pastOfKey']
  readonly pastRefusal: (feature: Feature) => string | null
  /** Sources that its SQL reads; null where that is not known. */
  readonly sourcesOf: (feature: Feature) => readonly string[] | null
  /** How an SQL feature is computed, in a line; null for others. */
  readonly explain: (feature: Feature) => string | null
  /** What may be run for a client's query that gives labels. @throws FabraError invalid_labels */
  readonly clientSql: (text: string) => Promise<string>
  /** What doctor knows of tables that are slow to read by the keys of these entities. */
  readonly slowSources: (sources: readonly string[], entities: readonly Entity[]) => Promise<readonly TrainingWarning[]>
  /** Since when history is whole, of features of which something left it. */
  readonly keptSince: KeptHistory['keptSince']
  /** Since when it can be computed as it was; null: for any time. Infinity: for none. */
  readonly wholeSince?: (feature: Feature) => Promise<Micros | null>
  readonly hasAnyKey: Doubts['hasAnyKey']
  readonly now: () => Micros
  readonly nextFiring: NextFiring
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
  readonly state: 'running' | 'done' | 'failed' | 'cancelled'
  readonly beganAt: Micros
  /** Null while it is being made. */
  readonly finishedAt: Micros | null
  /** Why it failed. */
  readonly error: FabraError | null
  /** Name of the API key that it is made for; null: none was asked for. */
  readonly owner: string | null
  /** 0 to 1. */
  readonly progress: number
  readonly rows: number | null
  /** Values taken over from a run of the same set that was interrupted: one for each feature and row. */
  readonly resumed: number
  readonly datasetHash: string | null
  readonly features: readonly FeatureReport[]
  /** Of every column that comes from a feature; empty until all are computed. */
  readonly summary: readonly ColumnSummary[]
  /** Of the newest sets: what their columns are like. */
  readonly samples: readonly ColumnSample[]
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
  /** Of a sample: how many label rows there were, and which were taken. */
  readonly sampled: { readonly of: number; readonly rows: readonly number[] } | null
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
  /** What would make it slow. */
  readonly warnings: readonly TrainingWarning[]
}

export interface FeatureExplanation {
  readonly feature: string
  readonly fingerprint: string
  /** Null: it cannot be trained. */
  readonly method: Method | null
  /** One line for people; null where there is no method. */
  readonly how: string | null
  readonly why: string
}
