import type { State, Time } from './basics.ts'

/**
 * GET /v1/entities/{entity}/{id}?as_of=…&history=7d: every feature of one key, now or as of a past moment. `changes`, `sources` and
 * `last_reads`, and the fields of `ValueHistory`, come with `history` alone.
 */
export interface EntityPage {
  /** The key's columns. */
  entity: Record<string, unknown>
  /** Null: now. */
  as_of?: Time | null
  /** With `as_of` or `history`: how many features are not computed yet, which who asks again in a second hears of. */
  pending?: number
  features: (EntityValue & Partial<ValueHistory>)[]
  /** How many values changed in each step of the window, oldest first. */
  changes?: { from: Time; step_ms: number; counts: number[] }
  sources?: EntitySource[]
  /** Newest first; null to who lacks `admin` where keys are asked for. Sampled, of this process. */
  last_reads?: EntityRead[] | null
}

export interface EntityValue {
  feature: string
  /** One value, or an object of columns. */
  value: unknown
  status: State
  /** Now: `online`, `computed`, `last_good`, `default`. In the past null. */
  served_from: string | null
  /** In the past: recomputed from rows of then, replayed, or recorded; null: now, or its past cannot be told. */
  method?: 'recompute' | 'replay' | 'history' | null
  /** Age at the moment that is looked at. */
  freshness_ms: number | null
  event_timestamp: Time | null
  oldest_input_timestamp?: Time
  error?: { code: string; message: string; hint?: string }
  /** It was not computed: these were not given. */
  needs_inputs?: string[]
  /** It is not computed yet. */
  pending?: boolean
}

export interface ValueHistory {
  /** Of its refresh or as learnt from pushes; null: realtime or not known. */
  interval_ms: number | null
  /** Recorded values of the window, oldest first, at most 200; `before` is the one that held when it begins. */
  history: HistoryStep[]
  /** There were more. */
  history_is_cut: boolean
  /** The value before the present one. Absent (null): there was none. */
  before: { value: unknown; at: Time } | null
  /** When the value became what it is. */
  changed_at: Time | null
  /** False: values that were computed of this key are not recorded, and there may have been others. */
  is_recorded: boolean
}

export interface HistoryStep {
  at: Time
  /** Absent: from then on nothing was known. */
  value?: unknown
}

export interface EntitySource {
  source: string
  /** Rows that have the key, at most `rows_limit` counted. */
  rows: number | null
  rows_limit: number
  newest_row_at: Time | null
}

export interface EntityRead {
  at: Time
  /** Name of the API key; null: none was asked for. */
  key: string | null
  /** What was asked for: a feature set, or features. */
  asked_for: string[]
  rows: number
  ms: number
  states: Record<State, number>
}
