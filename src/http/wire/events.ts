import type { Reason, State, Time } from './basics.ts'
import type { Run } from './runs.ts'

/**
 * GET /v1/events?kinds=requests,runs,states&feature=…&slower_than_ms=…&not_fresh=true: server-sent events. Each message has an `id`; a
 * client that comes again with Last-Event-ID gets what it missed, as far as it is kept (some hundreds), or a `gap` first.
 * The name of the event (`event:`) is the key of this table, its data (`data:`) one JSON object of the type beside it.
 */
export interface EventTypes {
  /** First of all, and whenever the sampling changes. */
  hello: HelloEvent
  /** Requests, up to twice a second: those sampled since the last such event. */
  requests: RequestsEvent
  /** A run began, came further (at most once a second) or ended. */
  run: Run
  /** State of a feature is another. */
  state: StateEvent
  /** Some events between the last one that the client saw and the next are gone. */
  gap: { missed_at_least: number }
}

export interface HelloEvent {
  now: Time
  /** False: statistics are off, and no requests are told. */
  requests: boolean
  /** Every how many requests one is told: 1 is all of them. Failed and slow ones are told always, up to a limit a second. */
  one_in: number
}

export interface RequestsEvent {
  one_in: number
  /** In all, since the last such event. */
  total: number
  /** Oldest first, at most 50. */
  requests: RequestEvent[]
}

export interface RequestEvent {
  at: Time
  /** Name of the API key; null: none was asked for, or the reader lacks `admin`. */
  key: string | null
  /** The feature set, or the features: at most 20 of them. */
  asked_for: string[]
  rows: number
  ms: number
  /** Counts of values by state; states that are not there have none. */
  states: Partial<Record<State, number>>
  /** Of the first row, as `{"user_id":"u1"}` and the entity; null: the reader lacks `admin`, and keys are asked for. */
  entity: { entity: string; key: Record<string, unknown> } | null
  /** Of the whole request, or of the first value that failed, as `feature_failed`. */
  error_code: string | null
  /** What a slow request waited for longest: `compute:spend`, `get:spend`, `store:online`; null: it was not slow, or it is not known. */
  waited_for: string | null
  waited_ms: number | null
  /** It was told for being slow or failed, not by sampling. */
  is_outlier: boolean
}

export interface StateEvent {
  at: Time
  feature: string
  state: State
  before: State
  reason: Reason | null
}
