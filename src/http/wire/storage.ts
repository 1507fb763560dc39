import type { Time } from './basics.ts'

/** GET /v1/storage. */
export interface Storage {
  now: Time
  stores: StoreSize[]
  /** Largest first; partitions with their table. */
  tables: StoreTable[]
  /** Of features that have something recorded or in Redis, largest first. */
  features: FeatureSize[]
  /** What `FABRA_HISTORY=auto` would save in a store that keeps to every change, and `FABRA_HISTORY_KEEP` for some values of it. */
  savings: Saving[]
  /** Bytes and rows of features are told from a sample. */
  is_estimate: boolean
}

export interface StoreSize {
  /** `duckdb`, `postgres` or `redis`. */
  technology: string
  bytes: number | null
  /** Beyond which Redis refuses writes. */
  max_bytes: number | null
  keys: number | null
  /** Of history: recorded within the last day. Null where it is not known. */
  bytes_a_day: number | null
  /** In a year, if every day is like the last and settings stay. */
  bytes_in_a_year: number | null
}

export interface StoreTable {
  name: string
  kind: 'history' | 'source' | 'other'
  rows: number | null
  bytes: number | null
  /** Of history and of sources with timestamps: new within the last day. Null where it is not known. */
  rows_a_day: number | null
  bytes_a_day: number | null
  bytes_in_a_year: number | null
}

export interface FeatureSize {
  feature: string
  /** False: its definition is gone, and what is recorded of it stays. */
  is_defined: boolean
  rows: number
  bytes: number
  rows_a_day: number
  bytes_a_day: number
  bytes_in_a_year: number
  /** How long it is kept; null: for ever. */
  keep_ms: number | null
  /** In Redis, by a sample of its keys. */
  online_bytes: number | null
}

export interface Saving {
  /** `FABRA_HISTORY_KEEP=90d`. */
  setting: string
  /** What would leave at once, but for the newest value of each key. */
  bytes_now: number
  bytes_in_a_year: number
}
