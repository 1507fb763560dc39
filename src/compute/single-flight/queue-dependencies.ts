import type { Clock } from '../../clock.ts'
import type { Activity } from './activity.ts'
import type { BatchRunner } from './batch-runner.ts'
import type { CrossProcess } from './cross-process.ts'

/** What the queues of all features have in common. */
export interface QueueDependencies {
  readonly runner: BatchRunner
  readonly clock: Clock
  /** 0 ≤ random < 1. */
  readonly random: () => number
  /** Computations that are shared with other processes; null: there are none. */
  readonly shared: CrossProcess | null
  readonly activity: Activity
}
