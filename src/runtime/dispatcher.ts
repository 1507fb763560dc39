import type { CallsInFlight } from './calls-in-flight.ts'
import type { GuestWorker, InFlightCall } from './guest-worker.ts'
import type { Suspects } from './quarantine.ts'
import type { WorkerSet } from './worker-set.ts'

/** Which worker runs a call. */
export interface Dispatcher {
  /** @returns whether a worker took it. */
  dispatch(call: InFlightCall): boolean
  /** A call that no worker takes now waits until one does. */
  dispatchOrPark(call: InFlightCall): void
  /** Tries the calls that wait again. */
  retryParked(): void
}

export interface DispatcherDependencies {
  readonly workers: WorkerSet
  readonly calls: CallsInFlight
  readonly suspects: Suspects
}

export function createDispatcher({ workers, calls, suspects }: DispatcherDependencies): Dispatcher {
  /** Calls that no worker can take at the moment. */
  const parked = new Set<InFlightCall>()

  /** A worker that can take the call now, preferably the least busy; a new one when all are stalled. */
  function choose(call: InFlightCall): GuestWorker | null {
    const { feature } = call.frame
    if (suspects.has(feature)) {
      const apart = workers.openQuarantine()
      return apart !== null && !call.workers.has(apart) ? apart : null
    }
    const quarantine = workers.quarantine()
    const isProven = suspects.isProven(feature)
    let best: GuestWorker | null = null
    for (const worker of workers.all) {
      if (worker === quarantine || workers.isLeaving(worker)) continue
      // It would block the next one too. Soon it is known whether it did.
      if (worker.stalled && worker.inFlight.get(worker.blamed)?.frame.feature === feature) return null
      if (worker.stalled || call.workers.has(worker)) continue
      if (!isProven && isTrying(worker, feature)) return worker
      if (best === null || load(worker) < load(best)) best = worker
    }
    return best ?? workers.addExtra()
  }

  function dispatch(call: InFlightCall): boolean {
    const worker = choose(call)
    if (worker === null) return false
    call.runs += 1
    call.workers.add(worker)
    worker.inFlight.set(call.frame.id, call)
    if (worker.fingerprints !== null) deliver(worker, call)
    else
      worker.loaded.then(
        () => deliver(worker, call),
        () => {},
      )
    return true
  }

  function deliver(worker: GuestWorker, call: InFlightCall): void {
    if (!calls.has(call) || !call.workers.has(worker)) return
    if (worker.fingerprints?.get(call.frame.feature) === call.fingerprint) {
      worker.give(call)
      return
    }
    calls.fail(call, {
      code: 'feature_failed',
      message: `The file that defines "${call.frame.feature}" has changed since it was loaded.`,
      hint: 'Restart the server, or run it with --watch.',
    })
  }

  return {
    dispatch,
    dispatchOrPark(call) {
      if (!dispatch(call)) parked.add(call)
    },
    retryParked() {
      for (const call of parked) if (!calls.has(call) || dispatch(call)) parked.delete(call)
    },
  }
}

function isTrying(worker: GuestWorker, feature: string): boolean {
  for (const { frame } of worker.inFlight.values()) if (frame.feature === feature) return true
  return false
}

/** One that is still loading its files waits for them before it works. */
function load(worker: GuestWorker): number {
  return worker.inFlight.size + (worker.fingerprints === null ? 1000 : 0)
}
