import type { Clock, Micros } from '../../clock.ts'
import { backoff, jittered } from '../../collections/backoff.ts'
import type { FabraError } from '../../errors.ts'

const PAUSE_MS = { first: 100, longest: 5_000 }
/** Failing keys remembered per feature; beyond, the oldest is forgotten and may be tried at once. */
const MAX_PAUSES = 10_000

interface Pause {
  readonly until: Micros
  readonly failures: number
  readonly error: FabraError
}

/** Keys of one feature that rest after a failure, each time longer and never quite as long as others, so that a broken source is not hammered. */
export class FailurePauses {
  private readonly pauses = new Map<string, Pause>()
  private readonly clock: Clock
  private readonly random: () => number

  constructor(clock: Clock, random: () => number) {
    this.clock = clock
    this.random = random
  }

  /** Why this one rests; undefined: it may be tried. */
  reason(id: string): FabraError | undefined {
    const pause = this.pauses.get(id)
    return pause && this.clock.now() < pause.until ? pause.error : undefined
  }

  /** That too many are asked for is not the fault of this one, which may be tried as soon as there is room. */
  failed(id: string, error: FabraError): void {
    if (error.code === 'overloaded') return
    const { pauses } = this
    const failures = (pauses.get(id)?.failures ?? 0) + 1
    pauses.delete(id)
    const pauseMs = Math.floor(jittered(backoff(failures, PAUSE_MS), this.random))
    pauses.set(id, { until: this.clock.now() + pauseMs * 1000, failures, error })
    const oldest = pauses.size > MAX_PAUSES ? pauses.keys().next().value : undefined
    if (oldest !== undefined) pauses.delete(oldest)
  }

  succeeded(id: string): void {
    if (this.pauses.size > 0) this.pauses.delete(id)
  }
}
