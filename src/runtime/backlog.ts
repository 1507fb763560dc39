/**
 * Calls that wait in a worker for others to end, by the pace at which it answers: those whose time would be over before their turn are turned away
 * at once, and not run in vain. A call that has begun is not turned away before its time is over, and nothing is known of a worker that has not yet
 * answered some. Of one whose time is over before it has an answer, it is said who took it: the function itself, or those before it.
 */
import type { CallFailure } from '../compute/function-runner.ts'
import type { CallsInFlight } from './calls-in-flight.ts'
import type { GuestWorker, InFlightCall } from './guest-worker.ts'

export interface Backlog {
  /** A result has come. */
  answered(worker: GuestWorker): void
  /**
   * Looks through the calls of a worker that shows signs of life.
   * @param now On the clock of `performance.now()`. @param lateMs How late this thread is to hear of answers.
   */
  lookAt(worker: GuestWorker, now: number, lateMs: number): void
  /** The call's time is over. @returns whether it was others that took most of it, which were answered meanwhile. */
  isCrowdedOut(call: InFlightCall): boolean
}

/** What a pace is measured over: so long, and so many answers. */
const MEASURED_MS = 100
const FEWEST_ANSWERS = 8
/** Answers may be a little slower from now on. */
const SLOWER = 1.1
/** A request waits for this thread before it is seen, and so does its answer: of a call's time, so much is kept for that. */
const WAYS = 2
const LEAST_KEPT = 0.05
const MOST_KEPT = 0.15
/** Of a call's time: who waited for so much of it was not given time enough. */
const MOST = 0.5

export const CROWDED_OUT: CallFailure = {
  code: 'overloaded',
  message: 'Too many others are before it to be answered in time.',
  hint: 'Try again in a second.',
}

/** Since some calls wait. */
interface Pace {
  since: number
  answers: number
  /** Answers in a millisecond, of the last two times that they were measured; 0: not known. */
  last: number
  before: number
}

export function createBacklog(calls: CallsInFlight): Backlog {
  const paces = new WeakMap<GuestWorker, Pace>()
  /** By any worker. */
  let answeredAt = 0

  function measured(worker: GuestWorker, now: number): number {
    const pace = paces.get(worker)
    if (pace === undefined) {
      paces.set(worker, { since: now, answers: 0, last: 0, before: 0 })
      return 0
    }
    const tookMs = now - pace.since
    if (tookMs >= MEASURED_MS && pace.answers >= FEWEST_ANSWERS) {
      pace.before = pace.last
      pace.last = pace.answers / tookMs
      pace.since = now
      pace.answers = 0
    }
    // A pause of the worker alone is no reason to turn many away that it makes up for.
    return Math.max(pace.last, pace.before)
  }

  return {
    answered(worker) {
      const pace = paces.get(worker)
      if (pace !== undefined) pace.answers++
      worker.answeredAt = worker.lastSeenAt
      answeredAt = worker.lastSeenAt
    },
    lookAt(worker, now, lateMs) {
      let ahead = 0
      let waiting = 0
      let pace: number | undefined
      for (const call of worker.inFlight.values()) {
        if (worker.hasBegun(call)) continue
        pace ??= measured(worker, now)
        call.waitedUntil = now
        waiting++
        ahead++
        const keptMs = keptOf(call.deadlineAt - call.askedAt, lateMs)
        if (pace === 0 || call.workers.size > 1 || (ahead / pace) * SLOWER <= call.deadlineAt - now - keptMs) continue
        calls.fail(call, CROWDED_OUT)
        ahead--
      }
      // As fast as it answers when nothing waits, it is asked, and not how fast it could.
      if (waiting === 0) paces.delete(worker)
    },
    isCrowdedOut(call) {
      if (answeredAt <= call.askedAt) return false
      const waitedMost = call.waitedUntil - call.askedAt >= MOST * (call.deadlineAt - call.askedAt)
      return [...call.workers].every((worker) => worker.answeredAt > call.askedAt && (waitedMost || !worker.hasBegun(call)))
    },
  }
}

function keptOf(timeMs: number, lateMs: number): number {
  return Math.min(Math.max(WAYS * lateMs, LEAST_KEPT * timeMs), MOST_KEPT * timeMs)
}
