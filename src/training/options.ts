import type { Micros } from '../clock.ts'
import type { OutputFormat } from '../store/ports/training-store.ts'

/**
 * How a feature's past is told. `recompute`: its SQL runs as of the row's time. `replay`: its function does. `history`: what was recorded.
 */
export type Method = 'recompute' | 'replay' | 'history'
export const METHODS: readonly Method[] = ['recompute', 'replay', 'history']
export const OUTPUT_FORMATS: readonly OutputFormat[] = ['parquet', 'arrow', 'csv', 'jsonl']

export interface TrainingOptions {
  /** Features, columns of features and feature sets; repeats are named once in the result. */
  readonly features: readonly string[]
  /** Column of the labels that says when each row looks at the world. */
  readonly timestamp: string
  /** Zone of times that carry none; null: they are refused. */
  readonly timezone: string | null
  /** The same method for all features; null: each its own. */
  readonly method: Method | null
  /** What serving showed at the row's time, recorded values alone. */
  readonly asServed: boolean
  /** Recorded values that arrived after the row's time count too. */
  readonly latestKnowledge: boolean
  /** Recorded values that were written later do not exist. */
  readonly snapshot: Micros | null
  /** Identical bytes for aggregates of floats too. */
  readonly deterministic: boolean
  /** Columns `<feature>__status`. */
  readonly withStatus: boolean
  /** Columns `<feature>__event_timestamp`. */
  readonly withEventTimestamp: boolean
  readonly format: OutputFormat
  /** Nothing is taken over from a run that was interrupted. */
  readonly fresh: boolean
  /** Only so many label rows, spread over their times: for a look. Null: all. */
  readonly sample: number | null
}
