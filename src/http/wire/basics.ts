/** What several answers share. */

/** RFC 3339 in UTC, as `2026-11-22T12:59:55.820Z`. */
export type Time = string

/** How a value was served, and how a feature is: the worst that it shows now. */
export type State = 'fresh' | 'stale' | 'missing' | 'default' | 'error'

/** How many of each state. */
export type StateCounts = Record<State, number>

export type Scope = 'read' | 'train' | 'write' | 'admin'

export type ValueType = 'int' | 'float' | 'string' | 'bool' | 'timestamp' | 'list' | 'dict' | 'json'

/** Of how many processes figures are, and how many are known to serve. */
export interface Coverage {
  processes: number
  of: number
}

/** Where something stands in the files of definitions. */
export interface SourceLine {
  /** Relative to the folder of the project, as `features/fraud.ts`. */
  file: string
  /** From 1. */
  line: number
}

/** Why a feature wants attention. */
export type ReasonCode =
  /** Its last run failed, for some keys or all (`now`: runs in a row, unit `runs`); or reads of it fail (`now`: of values served, unit `share`). `usual`: 0. */
  | 'failing'
  /** Its refresh is overdue. `now`: age of the refresh, `usual`: the interval. Unit `ms`. */
  | 'late'
  /** Nothing was pushed for longer than between earlier pushes. `now`: since the last push, `usual`: learnt. Unit `ms`. */
  | 'pushes_stopped'
  /** More of the values served are null than usual. Unit `share`. */
  | 'nulls'
  /** Requests that ask for it take longer than usual (p99). Unit `ms`. */
  | 'slow'
  /** Values served are spread otherwise than those of an earlier time or set. `now`: PSI, `usual`: where drift begins. Unit `psi`. */
  | 'drifted'

export interface Reason {
  code: ReasonCode
  /** One sentence for people. */
  message: string
  now: number | null
  usual: number | null
  unit: 'ms' | 'share' | 'runs' | 'psi'
  /** Since when it is so, as far as is known. */
  since: Time | null
  /** The line at fault, else that of the definition. */
  place: SourceLine | null
  /** Of `failing`: the code of the first failure, as `feature_timeout`. */
  error_code: string | null
}

/** GET /v1/me. */
/** Of what is defined, by name; null: all. */
export interface Sees {
  features: readonly string[] | null
  entities: readonly string[] | null
}

export interface Me {
  /** Of the key that the request carries; null where none is asked for. */
  key: { name: string; scopes: Scope[]; sees: Sees | null } | null
  /** What requests like this one may do: those of the key; all of them where no key is asked for. */
  scopes: Scope[]
  mode: 'laptop' | 'production'
  /** Name of the folder that the definitions lie in. */
  project: string
  version: string
  /** Whether figures of reads are kept (`FABRA_STATISTICS`). */
  statistics: boolean
  started_at: Time
  /** Of the server: ages are counted from it, not from the clock of the client. */
  now: Time
  coverage: Coverage
}

/** Quantiles of what was sampled; null where nothing was. */
export interface Quantiles {
  min: number
  p10: number
  p50: number
  p90: number
  p99: number
  max: number
}

/** What a figure rests on. */
export interface Sample {
  /** Values there were. */
  seen: number
  /** Of them, those that the figures are made of. */
  kept: number
}

/**
 * What the values of one column are like. Numbers and times have `bins` and `quantiles`, texts `top`, truth values `true_share`; lists,
 * dicts and JSON the number of their elements as `bins` and `quantiles`.
 */
export interface Distribution {
  /** Null for the one value of a feature without columns. */
  column: string | null
  /** As features are asked for: `spend.avg_30d`, or `transaction_count_1h`. */
  name: string
  type: ValueType | null
  /** What numbers in bins and quantiles are; `time`: milliseconds since 1970. */
  measure: 'number' | 'time' | 'elements' | 'text' | 'truth'
  sample: Sample
  /** Of values that were found and are null. */
  null_share: number | null
  /** One more edge than counts; a bin has its lower edge and not its upper one, the last has both. */
  bins: { edges: number[]; counts: number[] } | null
  quantiles: Quantiles | null
  /** The most frequent, first. Shares are of the values that are not null. Long texts are cut. */
  top: { value: string; share: number }[] | null
  true_share: number | null
}
