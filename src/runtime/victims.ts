/**
 * What becomes of the calls on a worker that one of them blocks. User functions are meant to read and no more, but nobody can know: so
 *
 * - a call that has not begun goes to another worker; it never runs twice, see gates.ts;
 * - a call that has begun and has run for a moment only is run once more elsewhere when the silence lasts, and the first answer counts: its caller
 *   should not wait for somebody else's loop;
 * - a call that has run for longer stays where it is as long as the block may end by itself and there would still be time to run it anew: half of
 *   what it has left. Only then is its worker given up, and the call run once more;
 * - no call is run a third time.
 */
import type { GuestWorker, InFlightCall } from './guest-worker.ts'

/** A call that ran for longer than this before the block is not run elsewhere while its worker lives. */
const LONG_MS = 250
export const MAX_RUNS = 2

export type Fate = 'stays' | 'moves' | 'runs again'

/** @param silentMs How long the worker has not answered. */
export function fateOf(call: InFlightCall, worker: GuestWorker, silentMs: number): Fate {
  if (call.frame.id === worker.blamed) return 'stays'
  if ([...call.workers].some((other) => other !== worker && !other.stalled)) return 'stays'
  if (!worker.hasBegun(call)) return 'moves'
  if (silentMs < worker.watched.hedgeAfterMs || call.runs >= MAX_RUNS || worker.ranMs(call) > LONG_MS) return 'stays'
  return 'runs again'
}

/** Until when a blocked worker is left alone for the calls on it that have run for long; 0: nothing speaks for it. */
export function sparedUntil(worker: GuestWorker, now: number): number {
  let until = 0
  for (const call of worker.inFlight.values()) {
    if (call.frame.id === worker.blamed || call.workers.size > 1 || !worker.hasBegun(call)) continue
    if (worker.ranMs(call) <= LONG_MS || now >= call.deadlineAt) continue
    const half = now + (call.deadlineAt - now) / 2
    until = until === 0 ? half : Math.min(until, half)
  }
  return until
}
