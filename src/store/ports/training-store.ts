import type { Micros } from '../../clock.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { FreshnessRule } from '../../definition/feature-traits.ts'
import type { DeclaredType, Entity, Feature, ValueType } from '../../definition/model.ts'
import type { WantedRows } from './copied-rows.ts'
import type { RunOptions, SourceEngine, TableColumn } from './source-engine.ts'

export type LabelFormat = 'parquet' | 'arrow' | 'csv' | 'jsonl'
export type OutputFormat = LabelFormat

/** Where label rows come from: a file in the workspace's folder, or a query over the sources, as the gate for clients' SQL wrote it. */
export type Labels = { readonly format: LabelFormat; readonly path: string } | { readonly sql: string }

/** What the label rows must hold for the features asked for. */
export interface RowNeeds {
  /** In the order by which rows are asked for later. */
  readonly entities: readonly Entity[]
  readonly timestamp: string
  /** IANA zone of times that carry none; null: such times are refused. */
  readonly timezone: string | null
}

/** One label row as a function is asked about it. */
export interface LabelRow {
  /** From 0, in the order of the labels. */
  readonly ord: number
  readonly key: EntityKey
  readonly asOf: Micros
  /** As they would stand in a JSON body. */
  readonly inputs: Readonly<Record<string, unknown>>
}

/** One row's values from a computation in this process; null texts: missing. */
export interface TextRow {
  readonly ord: number
  /** JSON text per column. */
  readonly texts: readonly string[]
  readonly eventAt: Micros
}

/** How one column of a statement becomes a value of its declared type. */
export interface TypedColumn {
  /** Place among the columns after `__fabra_ord` and `__fabra_hit`. */
  readonly index: number
  readonly type: ValueType
  readonly sqlType: string
}

export interface AsOfRequest {
  readonly feature: string
  readonly fingerprint: string
  /** Oldest age that counts, in microseconds; null: any. */
  readonly lookBack: Micros | null
  /**
   * `serving`: what had been available at the row's time. `latest`: also what arrived later. `served`: what serving showed, so values computed
   * at or before the row's time, and of those pushed what had arrived; none that was filled in afterwards.
   */
  readonly knowledge: 'serving' | 'latest' | 'served'
  /** Rows recorded later than this do not exist; null: all do. */
  readonly snapshot: Micros | null
  /** What its values are; null: they are left as JSON texts. */
  readonly type: Exclude<ValueType, 'list' | 'dict' | 'json'> | null
  /** Of values that are objects: the names of their columns. */
  readonly members: readonly string[]
}

/** One column of the training set that comes from a feature. */
export interface OutputColumn {
  readonly name: string
  readonly content: 'value' | 'status' | 'event_timestamp'
  /** Which of the features given to `write`. */
  readonly feature: number
  /** Index into the feature's columns; of `value` only. */
  readonly column: number
}

export interface OutputFeature {
  readonly feature: Feature
  /** What the workspace gave when its values were made. */
  readonly values: ValuesId
  /** Which of those values' columns is the feature's first; 0 unless several features were computed together. */
  readonly firstColumn: number
  /** Which of its values are stale; null: none is. */
  readonly freshness: FreshnessRule | null
  /** Rows of which it is not known what was served: values that only they have, and how many. Default: none are such. */
  readonly unrecorded?: { readonly values: ValuesId; readonly count: number } | undefined
}

/** Of one column. */
export interface ColumnCounts {
  /** Rows that have an answer. */
  readonly found: number
  /** Of those, rows whose value is not null. */
  readonly given: number
}

/** Names values of one feature that the workspace holds. */
export type ValuesId = number

export interface Output {
  readonly format: OutputFormat
  readonly features: readonly OutputFeature[]
  readonly columns: readonly OutputColumn[]
  /** Types of the columns of values, by their names. */
  readonly types: ReadonlyMap<string, DeclaredType>
  /** Told in the file where its format has room. Called with the hash of the rows. */
  readonly metadata: (rowsHash: string) => Readonly<Record<string, string>>
}

/** What values hang on, besides the label rows and what is asked. */
export interface Reads {
  /** Names of sources. */
  readonly sources: readonly string[]
  /** Versions of features whose recorded values are read. */
  readonly recorded: readonly FeatureVersion[]
}

export interface FeatureVersion {
  readonly feature: string
  readonly fingerprint: string
}

/** A statement over the row list (`__fabra_row`, see SourceStore.queryOver). Columns: `__fabra_ord`, `__fabra_hit`, the features'. */
export interface ComputeRequest {
  readonly text: string
  readonly entity: number
  readonly columns: readonly TypedColumn[]
  readonly alwaysOneRow: boolean
  /** Those that it answers. */
  readonly features: readonly FeatureVersion[]
  readonly reads: Reads
}

/** Values of one feature that are computed in this process. */
export interface CollectRequest {
  readonly feature: FeatureVersion
  readonly columnCount: number
  readonly entity: number
  /** Columns of the labels that it is given. */
  readonly inputs: readonly string[]
  /** Whatever else decides its values, as text. */
  readonly hangsOn: string
  readonly reads: Reads
}

/** Values that come row by row, in order. Rows that are never added are missing. */
export interface Collected {
  readonly id: ValuesId
  /** @returns the first row from this one on whose values are not there from an interrupted run. */
  goOn(from: number): Promise<number>
  /** @param to The first row after them. Rows before it that are not given are missing. */
  add(rows: readonly TextRow[], to: number): Promise<void>
  /** No more rows come. */
  end(): Promise<void>
}

/** Opens a workspace for one training set. */
export interface TrainingStore {
  open(): Promise<TrainingWorkspace>
}

/** Copies of rows, in an engine of their own. Gone with the workspace. */
export interface Brought {
  readonly engine: SourceEngine
  /** As the workspace's, over the copies. */
  readonly canCompute: TrainingWorkspace['canCompute']
  readonly compute: TrainingWorkspace['compute']
}

/**
 * Where one training set is made: a folder of its own, in which an engine without access to anything else reads the labels and writes the
 * result, while the engines that hold sources and history read the rows and leave values there.
 */
export interface TrainingWorkspace {
  /** Label files are put here. */
  readonly folder: string
  /**
   * Reads the labels.
   * @param asText Columns of CSV stay texts, as they are written: the result is CSV too.
   * @param sample So many of them, spread over the times in this column, are the labels from then on; null (default): all are.
   * @returns their columns, with types as they will be in the result.
   * @throws FabraError invalid_labels naming the row or line, or the SQL's mistake.
   */
  readLabels(
    labels: Labels,
    asText: boolean,
    options: RunOptions,
    sample?: { readonly count: number; readonly by: string } | null,
  ): Promise<readonly TableColumn[]>
  /** Of a sample: rows there were, and the number of each that was taken, in order. */
  readonly sampled: { readonly of: number; readonly rows: readonly number[] } | null
  /**
   * Keys and times of all rows, checked.
   * @returns how many rows there are.
   * @throws FabraError invalid_key or invalid_time naming the first row that is wrong.
   */
  prepareRows(needs: RowNeeds, options: RunOptions): Promise<number>
  /** Rows `from` to `to` (excluded), in order. `entity` is an index into `RowNeeds.entities`; `inputs` are columns of the labels. */
  rows(range: {
    readonly from: number
    readonly to: number
    readonly entity: number
    readonly inputs: readonly string[]
  }): Promise<LabelRow[]>
  /** Whether `compute` can bring these columns into their types. */
  canCompute(columns: readonly TypedColumn[]): boolean
  /**
   * From now on values are kept for a run of the same set that comes after this one was interrupted, where they can be; and what was kept
   * by an earlier run is taken over where everything that decides it is the same. After `prepareRows`.
   * @param asked Tells this set from others of the same rows. @param fresh Nothing is taken over.
   */
  resume(asked: string, fresh: boolean, options: RunOptions): Promise<void>
  /** Values taken over from an interrupted run: one for each feature and row. */
  readonly resumed: number
  /**
   * Runs a statement over the rows and holds its values.
   * @throws SqlError; also when a value does not fit its declared type, or a row has two answers: then nothing is kept, and computing row by row tells which.
   */
  compute(request: ComputeRequest, options: RunOptions): Promise<ValuesId>
  /**
   * Copies rows of sources on another machine beside the workspace, all of one moment. Null where sources are here already. After `prepareRows`.
   * @param values How many are to be computed over them: for few it is not worth it. @returns why nothing was copied, in a few words.
   * @throws SqlError
   */
  readonly bring: ((wanted: readonly WantedRows[], values: number, options: RunOptions) => Promise<Brought | string>) | null
  /** How `asOf` goes about it: one line for people. */
  readonly historyHow: string
  /**
   * Recorded values as of each row's time. One total order (event time, available at, seq), so the same question has the same answer.
   * @param requests About features of one entity, with the same knowledge and snapshot.
   * @returns values per request, in the order given.
   */
  asOf(requests: readonly AsOfRequest[], entity: number, options: RunOptions): Promise<readonly ValuesId[]>
  /** The same values, but of rows that others are of. */
  without(values: ValuesId, others: ValuesId): ValuesId
  collect(request: CollectRequest, options: RunOptions): Promise<Collected>
  /** What is computed meanwhile has the same bytes every time, aggregates of floats too. */
  deterministically<T>(work: () => Promise<T>): Promise<T>
  /** Whether anything at all was ever recorded for a version of a feature. */
  hasHistory(feature: string, fingerprint: string): Promise<boolean>
  /** @returns path of the finished file in the workspace's folder, and the hash of its rows. */
  write(output: Output, options: RunOptions): Promise<{ readonly path: string; readonly hash: string }>
  /** Counts what is held. @param columns Of values. */
  counts(
    output: { readonly features: readonly OutputFeature[]; readonly columns: readonly OutputColumn[] },
    options: RunOptions,
  ): Promise<readonly ColumnCounts[]>
  /** Values of a sample of the rows, as JSON texts, of each column: of a row without a value null or nothing. @param columns Of values. */
  someValues(
    output: { readonly features: readonly OutputFeature[]; readonly columns: readonly OutputColumn[]; readonly most: number },
    options: RunOptions,
  ): Promise<readonly (readonly string[])[]>
  /** Label rows that look from later than this. */
  laterThan(time: Micros, options: RunOptions): Promise<{ readonly count: number; readonly latest: Micros | null }>
  /** Label rows that look from earlier than this. */
  earlierThan(time: Micros, options: RunOptions): Promise<{ readonly count: number; readonly earliest: Micros | null }>
  /** Some of the values that a key column has in the label rows, as texts. Both are indexes: of the entity and of its key's column. */
  someKeys(
    asked: { readonly entity: number; readonly column: number; readonly limit: number },
    options: RunOptions,
  ): Promise<readonly string[]>
  /** Whoever asked has the set: nothing that was kept of it is needed. Also after `close`. */
  delivered(): Promise<void>
  /** Removes the folder and everything in it. */
  close(): Promise<void>
}
