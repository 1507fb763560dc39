import type { Time } from './basics.ts'

/** GET /v1/runs?feature=…&state=…&since=…&limit=…: newest first, those under way among them. */
export interface Runs {
  runs: Run[]
}

export type RunState =
  /** Under way. */
  | 'running'
  | 'done'
  /** No key could be computed. */
  | 'failed'
  /** Some keys could not be computed. */
  | 'partly_failed'

export interface Run {
  id: string
  feature: string
  reason: 'schedule' | 'request' | 'new version' | 'rows appended'
  state: RunState
  started_at: Time
  finished_at: Time | null
  duration_ms: number | null
  /** Keys to compute; while under way those known so far. */
  keys: number
  /** Of them, computed or failed already. */
  done: number
  changed: number
  failed: number
  skipped: number
  error: string | null
  /** As `feature_timeout`; null: none, or of before it was kept. */
  error_code: string | null
  /** The line at fault, else that of the definition where it failed. */
  file: string | null
  line: number | null
  /** When the feature is due again; null: not by a schedule. The same in all runs of a feature. */
  next_at: Time | null
  /** Median duration of the runs of the last days; null before three of them. */
  usual_ms: number | null
}
