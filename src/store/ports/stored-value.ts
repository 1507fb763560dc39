import type { Micros } from '../../clock.ts'

/** Where one feature's latest value for one key lives. `field` is `name@fingerprint`, so versions side by side never mix. */
export interface StoredKey {
  readonly entity: string
  /** Encoded entity key. */
  readonly key: string
  readonly field: string
}

/** Latest value of a feature (all its columns, computed together) for one entity key. */
export interface StoredValue {
  /** JSON text per column, ready to go out; null: known to be missing (no row, or a tombstone). */
  readonly texts: readonly string[] | null
  readonly eventAt: Micros
  readonly availableAt: Micros
  /** Decides between writes of equal event and available times: the last accepted wins. */
  readonly seq: number
  readonly origin: 'computed' | 'pushed' | 'backfill'
  readonly oldestInputAt: Micros | null
}

/** By key and field. Whoever reads the same again may be given the same lists. */
export type StoredRows = readonly (readonly (StoredValue | undefined)[])[]
