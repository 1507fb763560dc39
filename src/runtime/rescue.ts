/** Finds other workers for the calls of one that is silent or gone. What becomes of each, victims.ts tells. */
import type { CallFailure } from '../compute/function-runner.ts'
import { type CallsInFlight, IN_TIME } from './calls-in-flight.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { GuestWorker, InFlightCall } from './guest-worker.ts'
import { fateOf, MAX_RUNS } from './victims.ts'

/** `waiting`: those that had not begun. */
export type Again = 'all' | 'waiting' | 'none'

export interface Rescue {
  /** The worker is silent: its calls go elsewhere, but for the one that is to blame. */
  fromStalled(worker: GuestWorker, silentMs: number): void
  /** The worker is gone: what had not begun goes elsewhere, what had is run once more. */
  fromEnded(worker: GuestWorker): void
  /** The same where it ended by itself. @param again Which calls may be sent to another one. */
  fromCrashed(worker: GuestWorker, error: CallFailure, again: Again): void
}

const TWICE: CallFailure = {
  code: 'feature_failed',
  message: 'Other functions blocked the threads that it ran on, twice; it is not run a third time.',
  hint: 'The log names the functions that block.',
}

export function createRescue(calls: CallsInFlight, { dispatch, dispatchOrPark }: Dispatcher): Rescue {
  function move(call: InFlightCall, worker: GuestWorker): void {
    if (!worker.withdraw(call)) return
    worker.inFlight.delete(call.frame.id)
    call.workers.delete(worker)
    call.runs -= 1
    if (call.workers.size === 0) dispatchOrPark(call)
  }

  /** @param error Of those that are not run again. */
  function takeAll(worker: GuestWorker, error: CallFailure | null, again: Again): void {
    for (const call of [...worker.inFlight.values()]) {
      worker.inFlight.delete(call.frame.id)
      call.workers.delete(worker)
      const isWaiting = worker.withdraw(call)
      if (isWaiting) call.runs -= 1
      if (call.workers.size > 0) continue
      const isOver = again === 'none' || (again === 'waiting' && !isWaiting) || call.frame.id === worker.blamed
      if (isOver || call.runs >= MAX_RUNS) calls.fail(call, error ?? (isOver ? IN_TIME : TWICE))
      else dispatchOrPark(call)
    }
  }

  return {
    fromStalled(worker, silentMs) {
      for (const call of [...worker.inFlight.values()]) {
        const fate = fateOf(call, worker, silentMs)
        if (fate === 'moves') move(call, worker)
        else if (fate === 'runs again') dispatch(call)
      }
    },
    fromEnded: (worker) => takeAll(worker, null, 'all'),
    fromCrashed: takeAll,
  }
}
