import type { Coverage, Distribution, Reason, State, StateCounts, Time, ValueType } from './basics.ts'

/** GET /v1/features?statistics=1h (1h, 24h, 7d or 30d). Without the parameter the fields of `FeatureFigures` are not there. */
export interface FeatureList {
  features: (Feature & Partial<FeatureFigures>)[]
  /** With `statistics` alone. */
  coverage?: Coverage
  now?: Time
}

export interface Feature {
  name: string
  entity: string
  kind: 'sql' | 'function' | 'pushed'
  /** Of a feature with one value; else there is `columns`. */
  type?: ValueType | null
  columns?: Record<string, ValueType | null>
  /** A duration, a cron pattern or `realtime`; null of pushed features. */
  refresh: string | null
  max_staleness_ms: number | null
  look_back_ms: number | null
  inputs: Record<string, ValueType>
  default: unknown
  history: 'auto' | 'changes' | 'all' | 'off'
  /** What is recorded, and why: `recorded for 1 % of keys: its past can be recomputed`. */
  recorded: string
  /** Fingerprint. */
  version: string
  description: string | null
  owner: string | null
  tags: string[]
}

export interface FeatureFigures {
  state: State
  /** The worst of what is wrong; null: nothing is. */
  reason: Reason | null
  /** What is the matter besides. */
  further_reasons: Reason[]
  version_number: number | null
  /** Since when this version is served. */
  version_since: Time | null
  refreshed: Refreshed
  /** Null where statistics are off, and before the first read. */
  reads: ReadFigures | null
}

/** How old the feature is: since the beginning of its last run that computed something, or since its last push, beside what is usual. */
export interface Refreshed {
  /** Null: never, or realtime. */
  at: Time | null
  age_ms: number | null
  /** Of its refresh, or as learnt from earlier pushes; null: realtime, or not known. */
  interval_ms: number | null
  /** `interval_ms` is learnt. */
  is_learnt: boolean
  /** A run is under way: its id, with how far it is. */
  running: { id: string; done: number; keys: number } | null
}

/** Of reads in the window asked for. */
export interface ReadFigures {
  window_ms: number
  /** Since when reads are counted: later than the beginning of the window after a start. */
  since: Time
  reads_per_second: number
  reads: number
  /** Of what was served: one for each row, whatever its columns. */
  states: StateCounts
  null_share: number | null
  age_ms: { p50: number | null; p99: number | null }
  /** Of requests that asked for it. */
  latency_ms: { p50: number | null; p99: number | null }
  /** In the order of the columns. */
  columns: Distribution[]
}

/** GET /v1/features/{name}/statistics?window=1h. */
export interface FeatureStatistics extends FeatureFigures {
  feature: string
  entity: string
  now: Time
  window_ms: number
  coverage: Coverage
  /** Keys that refreshes keep fresh. */
  keys_in_use: number | null
  over_time: OverTime
  /** Null: nothing was asked for. */
  against: Against | null
}

/** Lists of one length, oldest first: one figure for each step, null where nothing is known. */
export interface OverTime {
  from: Time
  step_ms: number
  reads_per_second: (number | null)[]
  null_share: (number | null)[]
  fresh_share: (number | null)[]
  error_share: (number | null)[]
  age_p50_ms: (number | null)[]
  age_p99_ms: (number | null)[]
  latency_p50_ms: (number | null)[]
  latency_p99_ms: (number | null)[]
  /** In the order of the columns; of columns of texts the lists are of nulls. */
  columns: { name: string; p10: (number | null)[]; p50: (number | null)[]; p90: (number | null)[] }[]
  /** Runs that ended in the window, oldest first, at most 500. */
  runs: { at: Time; duration_ms: number; keys: number; failed: number }[]
  /** Versions that were first served in the window. */
  versions: { at: Time; number: number | null; version: string }[]
}

/** What is served, beside what a training set holds. */
export interface Against {
  training_set: string
  made_at: Time
  columns: {
    name: string
    /** Population stability index of now against the set: below 0.1 much alike, above 0.25 another; null: not comparable. */
    psi: number | null
    /** Of the set; its bins are those of what is served. */
    distribution: Distribution
  }[]
}
