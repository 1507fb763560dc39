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
import type { Flight, GuestWorker } from './guest-worker.ts'

/** Silence after which a call that has begun is run elsewhere as well. */
const HEDGE_AFTER_MS = 100
/** A call that ran for longer than this before the block is not run elsewhere while its worker lives. */
const LONG_MS = 250
export const MAX_RUNS = 2

export type Fate = 'stays' | 'moves' | 'runs again'

/** @param silentMs How long the worker has not answered. */
export function fateOf(flight: Flight, worker: GuestWorker, silentMs: number): Fate {
  if (flight.frame.id === worker.blamed) return 'stays'
  if ([...flight.workers].some((other) => other !== worker && !other.stalled)) return 'stays'
  if (!worker.hasBegun(flight)) return 'moves'
  if (silentMs < HEDGE_AFTER_MS || flight.runs >= MAX_RUNS || worker.ranMs(flight) > LONG_MS) return 'stays'
  return 'runs again'
}

/** Until when a blocked worker is left alone for the calls on it that have run for long; 0: nothing speaks for it. */
export function sparedUntil(worker: GuestWorker, now: number): number {
  let until = 0
  for (const flight of worker.flights.values()) {
    if (flight.frame.id === worker.blamed || flight.workers.size > 1 || !worker.hasBegun(flight)) continue
    if (worker.ranMs(flight) <= LONG_MS || now >= flight.deadlineAt) continue
    const half = now + (flight.deadlineAt - now) / 2
    until = until === 0 ? half : Math.min(until, half)
  }
  return until
}
