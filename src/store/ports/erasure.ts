import type { Micros } from '../../clock.ts'

/** An entity key that was forgotten. Of it, only events later than `at` count from then on. */
export interface Erasure {
  readonly entity: string
  /** Encoded entity key. */
  readonly entityKey: string
  readonly at: Micros
}
