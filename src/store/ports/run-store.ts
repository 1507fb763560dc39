import type { Micros } from '../../clock.ts'

/** What one refresh of one feature did, as it is kept. */
export interface RunRecord {
  /** Unique among all processes: time-ordered text (UUIDv7). */
  readonly id: string
  readonly feature: string
  readonly reason: string
  readonly startedAt: Micros
  readonly finishedAt: Micros
  readonly keys: number
  readonly changed: number
  readonly failed: number
  /** The first failure's words. */
  readonly error: string | null
}
