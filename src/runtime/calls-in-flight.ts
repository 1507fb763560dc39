import type { CallFailure, CallOutcome } from '../compute/function-runner.ts'
import type { GuestWorker, InFlightCall } from './guest-worker.ts'
import { ping } from './watchdog.ts'

/** What came of a call: of one with many keys, one outcome each, unless it failed as a whole. */
export type Outcome = CallOutcome & { readonly elements?: readonly CallOutcome[] }

/** The calls that somebody waits for. */
export interface CallsInFlight {
  count(): number
  add(call: InFlightCall): void
  get(id: number): InFlightCall | undefined
  has(call: InFlightCall): boolean
  all(): Iterable<InFlightCall>
  /** Answers the call, and tells the workers that nobody waits for it. @param by The worker whose answer it is, which need not be told. */
  finish(call: InFlightCall, outcome: Outcome, by?: GuestWorker): void
  fail(call: InFlightCall, error: CallFailure): void
  timeOut(call: InFlightCall): void
  /** Resolves when there are none, at the latest after `timeoutMs`. */
  whenNone(timeoutMs: number): Promise<void>
}

export const IN_TIME: CallFailure = { code: 'feature_timeout', message: 'The function did not answer in time.' }

export function createCallsInFlight(onOutcome: (id: number, outcome: Outcome) => void): CallsInFlight {
  const calls = new Map<number, InFlightCall>()
  let onNone: (() => void) | null = null

  function finish(call: InFlightCall, outcome: Outcome, by?: GuestWorker): void {
    calls.delete(call.frame.id)
    for (const worker of call.workers) {
      worker.inFlight.delete(call.frame.id)
      worker.release(call)
      if (worker !== by) worker.send({ t: 'cancel', id: call.frame.id })
    }
    onOutcome(call.frame.id, outcome)
    if (calls.size === 0) onNone?.()
  }

  return {
    count: () => calls.size,
    add(call) {
      calls.set(call.frame.id, call)
    },
    get: (id) => calls.get(id),
    has: (call) => calls.has(call.frame.id),
    all: () => calls.values(),
    finish,
    fail: (call, error) => finish(call, { texts: null, error }),
    timeOut(call) {
      // It may be what blocks them, too short a time to have been noticed.
      for (const worker of call.workers) ping(worker, performance.now())
      const place = [...call.workers].map((worker) => worker.placeOf(call)).find((one) => one !== null)
      const error = place === undefined ? IN_TIME : { ...IN_TIME, message: `The function did not answer in time; it was at ${place}.` }
      finish(call, { texts: null, error })
    },
    async whenNone(timeoutMs) {
      if (calls.size === 0) return
      const none = Promise.withResolvers<void>()
      onNone = none.resolve
      const deadline = setTimeout(none.resolve, timeoutMs)
      await none.promise
      clearTimeout(deadline)
    },
  }
}
