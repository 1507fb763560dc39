import type { Coverage, Reason, State, StateCounts, Time } from './basics.ts'

/** GET /v1/overview. */
export interface Overview {
  now: Time
  started_at: Time
  /** Null where statistics are off, as are all figures of reads. */
  traffic: Traffic | null
  /** Of features, each by the worst that it shows. Their sum is the number of features. */
  features: StateCounts
  stores: StoreState[]
  /** Of the process that answers, with everything in it. */
  memory_bytes: number
  /** Worst first, then by reads. A feature has one entry for each reason. */
  attention: Attention[]
  coverage: Coverage
}

/** Of the last minute; `hour` has what came before. */
export interface Traffic {
  requests_per_second: number
  /** Values of features: one for each column and row. */
  values_per_second: number
  /** Requests that were answered with an error, and values whose state is `error`. */
  errors_per_second: number
  latency_ms: { p50: number | null; p99: number | null }
  /** Shares of states among values served; null before the first. */
  states: StateCounts | null
  /** Of values when they were served. */
  age_ms: { p50: number | null; p99: number | null }
  /** Requests by name of the key, most first. Only for `admin`, and where no keys are asked for; else null. */
  callers: { key: string; requests_per_second: number; p99_ms: number | null; fresh_share: number | null }[] | null
  hour: TrafficHour
}

/** Lists of one length, oldest first: one figure for each step, null where nothing is known. */
export interface TrafficHour {
  /** Beginning of the first step. */
  from: Time
  step_ms: number
  requests_per_second: (number | null)[]
  p50_ms: (number | null)[]
  p99_ms: (number | null)[]
  fresh_share: (number | null)[]
  age_p50_ms: (number | null)[]
  errors_per_second: (number | null)[]
  /** Requests by how long they took, a list of counts for each step, with the edges between them: for a heat map. */
  latency: { edges_ms: number[]; counts: number[][] }
}

export interface StoreState {
  /** `online` or `offline`, and what it is: `memory`, `redis`, `duckdb`, `postgres`. */
  role: 'online' | 'offline'
  technology: string
  /** `ok`, or why not. */
  state: string
  /** What it holds, where that is known without a search. */
  size_bytes: number | null
  keys: number | null
}

export interface Attention {
  feature: string
  /** Of the feature. */
  state: State
  reason: Reason
  reads_per_second: number | null
  /**
   * Over the last day, or the last hour of a server that is young: the share of errors where it fails, the median age at serve where it is late, the
   * share of nulls, or the slowest of a hundred reads. Null: nothing is known of it; of the first fifty alone.
   */
  trend?: { step_ms: number; values: (number | null)[] } | null
}
