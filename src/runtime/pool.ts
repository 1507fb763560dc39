import type { Micros } from '../clock.ts'
import type { CellForm, DbResult } from '../compute/db.ts'
import type { CallFailure } from '../compute/function-runner.ts'
import type { ReadPart } from '../compute/reader.ts'
import { createBacklog } from './backlog.ts'
import { createCallsInFlight, type Outcome } from './calls-in-flight.ts'
import { createDispatcher } from './dispatcher.ts'
import type { GuestFrame, LoadedFrame, LogLevel, ResultFrame, RuntimeLog, RuntimeRequest } from './frames.ts'
import type { GuestWorker, InFlightCall, StartWorker } from './guest-worker.ts'
import type { PoolDefinitions, WorkerDefinitions } from './host-definitions.ts'
import { loadOrFail } from './load-or-fail.ts'
import { createPoolWatch } from './pool-watch.ts'
import { createSuspects } from './quarantine.ts'
import { createRescue } from './rescue.ts'
import { createWorkerSet } from './worker-set.ts'

export interface PoolEvents {
  onOutcome(id: number, outcome: Outcome): void
  /** @param form How the guest is given the values of a query. */
  onRequest(id: number, question: RuntimeRequest, form: CellForm): Promise<{ rows?: DbResult; part?: ReadPart; error?: CallFailure }>
  onLog(id: number, level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void
}

export interface PoolOptions {
  readonly startWorker: StartWorker
  readonly form: CellForm
  /** What a guest of another language gave, in the words of this one. Default: as it is. */
  readonly read?: (definitions: PoolDefinitions, feature: string, frame: ResultFrame) => Outcome
  readonly files: readonly string[]
  readonly workers: number
  readonly clockOffset: Micros
  readonly loadTimeoutMs: number
  readonly log: RuntimeLog
  readonly events: PoolEvents
}

/** Workers of one language that hold one state of the definitions. */
export interface Pool {
  /** What the first worker loaded. */
  load(): Promise<LoadedFrame>
  /** Tells the workers what they have. No call comes before. */
  define(definitions: PoolDefinitions): void
  /** Starts the workers beyond the first, a little later: the first answers should not share the cores with that. */
  fill(): void
  fingerprint(feature: string): string | undefined
  start(call: InFlightCall): void
  /** Closes when nothing runs any more, at the latest after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>
  close(): Promise<void>
}

const FILL_AFTER_MS = 300
/** Workers that ended by themselves one after the other, without an answer in between: more of them are not replaced. */
const MAX_CRASHES = 5

const NO_THREAD: CallFailure = {
  code: 'overloaded',
  message: 'No worker is free to run the function.',
  hint: 'A function blocks its worker; the log names it.',
}

export function createPool(options: PoolOptions): Pool {
  const { log, events } = options
  const calls = createCallsInFlight(events.onOutcome)
  const backlog = createBacklog(calls)
  const suspects = createSuspects(log)
  const workers = createWorkerSet({ ...options, onFrame, onCrash, onSpent, onLate: (worker) => watch.replace(worker), onLoaded })
  const dispatcher = createDispatcher({ workers, calls, suspects })
  const rescue = createRescue(calls, dispatcher)
  const watch = createPoolWatch({ workers, calls, backlog, dispatcher, suspects, rescue })
  let definitions: PoolDefinitions | null = null
  let crashes = 0

  function onFrame(worker: GuestWorker, frame: GuestFrame): void {
    if (frame.t === 'result') {
      const call = calls.get(frame.id)
      if (call === undefined) return
      crashes = 0
      backlog.answered(worker)
      suspects.clear(call.frame.feature)
      calls.finish(call, definitions && options.read ? options.read(definitions, call.frame.feature, frame) : frame, worker)
    } else if (frame.t === 'ask') {
      void events.onRequest(frame.id, frame.question, options.form).then((reply) => worker.send({ t: 'answer', ask: frame.ask, ...reply }))
    } else if (frame.t === 'log') events.onLog(frame.id, frame.level, frame.message, frame.fields)
  }

  function onLoaded(worker: GuestWorker, loaded: LoadedFrame): void {
    if (definitions !== null) tell(worker, definitions.forWorker(loaded))
  }

  function onCrash(worker: GuestWorker, reason: string, failure: CallFailure, isFromOutside: boolean): void {
    // While the first one loads, that is the load's own failure.
    if (!workers.forget(worker) || definitions === null) return
    crashes += 1
    log('error', 'A worker ended by itself and is replaced.', { reason, crashes })
    worker.blamed = worker.runningId()
    suspects.accuseAmong(worker.lastFeatures(), isFromOutside)
    const goesOn = crashes <= MAX_CRASHES
    if (goesOn) workers.fill(1)
    rescue.fromCrashed(worker, failure, goesOn ? worker.watched.afterCrash : 'none')
  }

  function onSpent(worker: GuestWorker, culprits: readonly string[]): void {
    for (const feature of culprits) suspects.accuse(feature, 'ties up')
    workers.renew(worker)
  }

  async function close(): Promise<void> {
    watch.stop()
    for (const call of [...calls.all()]) calls.timeOut(call)
    await workers.close()
  }

  return {
    async load() {
      const first = workers.startFirst()
      const loaded = await loadOrFail(first, options)
      if (first.definitions === null) workers.end(first)
      return loaded
    },
    define(given) {
      definitions = given
      for (const worker of workers.all) if (worker.definitions !== null) tell(worker, given)
    },
    fill() {
      const later = setTimeout(() => workers.fill(options.workers), FILL_AFTER_MS)
      later.unref()
    },
    fingerprint: (feature) => definitions?.fingerprints.get(feature),
    start(call) {
      calls.add(call)
      watch.wake()
      if (!suspects.has(call.frame.feature)) dispatcher.dispatchOrPark(call)
      else if (!dispatcher.dispatch(call)) calls.fail(call, NO_THREAD)
    },
    async drain(timeoutMs) {
      await calls.whenNone(timeoutMs)
      await close()
    },
    close,
  }
}

function tell(worker: GuestWorker, { frame, fingerprints }: WorkerDefinitions): void {
  worker.send(frame)
  worker.fingerprints = fingerprints
}
