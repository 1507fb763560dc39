import { type Backlog, CROWDED_OUT } from './backlog.ts'
import type { CallsInFlight } from './calls-in-flight.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { GuestWorker, InFlightCall } from './guest-worker.ts'
import type { Suspects } from './quarantine.ts'
import type { Rescue } from './rescue.ts'
import { sparedUntil } from './victims.ts'
import { checkSilence } from './watchdog.ts'
import type { WorkerSet } from './worker-set.ts'

/** Looks every few milliseconds, while calls are running, for workers that are blocked and calls whose time is over. */
export interface PoolWatch {
  /** A call has been started. */
  wake(): void
  /** Ends the worker, starts another in its place and finds others for its calls. */
  replace(worker: GuestWorker): void
  stop(): void
}

export interface PoolWatchDependencies {
  readonly workers: WorkerSet
  readonly calls: CallsInFlight
  readonly backlog: Backlog
  readonly dispatcher: Dispatcher
  readonly suspects: Suspects
  readonly rescue: Rescue
}

const WATCH_MS = 10
/** So long before a call's time is over it is found out where it is. */
const LOCATE_MS = 100
/** Of how late this thread was, what the next looks still count on. */
const REMEMBERED = 0.9

export function createPoolWatch({ workers, calls, backlog, dispatcher, suspects, rescue }: PoolWatchDependencies): PoolWatch {
  let timer: ReturnType<typeof setInterval> | null = null
  let lastLookAt = 0
  let lateMs = 0

  function look(): void {
    const now = performance.now()
    // When this thread itself was held up, answers may be waiting in its queue: judge nobody by that.
    const late = now - lastLookAt > 3 * WATCH_MS
    const overAt = late ? lastLookAt : now
    lateMs = Math.max(now - lastLookAt - WATCH_MS, REMEMBERED * lateMs)
    lastLookAt = now
    for (const worker of [...workers.all]) lookAtWorker(worker, now, late)
    workers.shrink(now, suspects.any())
    dispatcher.retryParked()
    for (const call of calls.all()) {
      if (overAt >= call.deadlineAt || call.signal.aborted) giveUp(call, now)
      else if (now >= call.deadlineAt - LOCATE_MS) for (const worker of call.workers) worker.locate(call)
    }
    if (calls.count() === 0 && ![...workers.all].some((worker) => worker.pingedAt !== 0)) stop()
  }

  function lookAtWorker(worker: GuestWorker, now: number, late: boolean): void {
    if (worker.definitions === null) return
    const isLeft = worker.inFlight.size === 0 && !isBusy(worker, now)
    if (worker.stalled && (isLeft || (worker.sparedUntil !== 0 && now >= worker.sparedUntil))) replace(worker)
    else if (worker.inFlight.size > 0 || worker.pingedAt !== 0) listenTo(worker, now, late)
  }

  function listenTo(worker: GuestWorker, now: number, late: boolean): void {
    const silentMs = checkSilence(worker, now, late)
    if (worker === workers.quarantine()) return
    if (!worker.stalled) {
      backlog.lookAt(worker, now, lateMs)
      return
    }
    const culprit = worker.inFlight.get(worker.blamed)
    if (culprit && silentMs >= worker.watched.suspectAfterMs) suspects.accuse(culprit.frame.feature, 'blocks')
    rescue.fromStalled(worker, silentMs)
  }

  /** The call's time is over. A stalled worker goes with it, at once or when those that it spares are through. */
  function giveUp(call: InFlightCall, now: number): void {
    const stalled = [...call.workers].filter((worker) => worker.stalled && worker.definitions !== null)
    const isCrowdedOut = !call.signal.aborted && backlog.isCrowdedOut(call)
    if (isCrowdedOut) calls.fail(call, CROWDED_OUT)
    else calls.timeOut(call)
    if (isCrowdedOut && stalled.every((worker) => isBusy(worker, now))) return
    for (const worker of stalled) {
      if (worker.blamed === call.frame.id || (!isCrowdedOut && worker.blamed === 0 && worker.watched.blamesUnknown))
        suspects.accuse(call.frame.feature, 'blocks')
      if (worker.sparedUntil === 0 && worker !== workers.quarantine()) worker.sparedUntil = sparedUntil(worker, now)
      if (worker.sparedUntil <= now) replace(worker)
    }
  }

  function replace(worker: GuestWorker): void {
    if (!workers.end(worker)) return
    workers.fill(1)
    rescue.fromEnded(worker)
  }

  function stop(): void {
    if (timer !== null) clearInterval(timer)
    timer = null
  }

  return {
    wake() {
      if (timer !== null) return
      lastLookAt = performance.now()
      timer = setInterval(look, WATCH_MS)
    },
    replace,
    stop,
  }
}

/** One that is silent for a moment only. */
function isBusy(worker: GuestWorker, now: number): boolean {
  return now - worker.lastSeenAt < worker.watched.suspectAfterMs
}
