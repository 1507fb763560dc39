import type { Micros } from '../clock.ts'
import type { DbResult } from '../compute/db.ts'
import type { CallFailure, CallOutcome } from '../compute/function-runner.ts'
import type { ReadPart } from '../compute/reader.ts'
import type { Problem, Registry } from '../definition/model.ts'
import type { GuestFrame, LogLevel, RuntimeLog, RuntimeRequest } from './frames.ts'
import { type GuestWorker, type InFlightCall, startGuestWorker } from './guest-worker.ts'
import { loadOrFail, NO_DEFINITIONS } from './load-or-fail.ts'
import { createSuspects } from './quarantine.ts'
import { fateOf, MAX_RUNS, sparedUntil } from './victims.ts'
import { checkSilence, ping } from './watchdog.ts'

export interface PoolEvents {
  onOutcome(id: number, outcome: CallOutcome): void
  onRequest(id: number, question: RuntimeRequest): Promise<{ rows?: DbResult; part?: ReadPart; error?: CallFailure }>
  onLog(id: number, level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>): void
}

export interface PoolOptions {
  readonly url: string
  readonly files: readonly string[]
  readonly workers: number
  readonly clockOffset: Micros
  readonly loadTimeoutMs: number
  readonly log: RuntimeLog
  readonly events: PoolEvents
}

/** Workers that hold one state of the definitions. */
export interface Pool {
  load(): Promise<{ registry: Registry; problems: readonly Problem[]; files: readonly string[] }>
  /** Starts the workers beyond the first, a little later: the first answers should not share the cores with that. */
  fill(): void
  fingerprint(feature: string): string | undefined
  start(call: InFlightCall): void
  /** Closes when nothing runs any more, at the latest after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>
  close(): Promise<void>
}

const WATCH_MS = 10
const FILL_AFTER_MS = 300
/** Silence with the same function running the whole time, after which that feature goes into quarantine. */
const SUSPECT_AFTER_MS = 100
/** Threads that would not end. Beyond this number, features in quarantine are refused instead of tying up more. */
const MAX_WRITTEN_OFF = 8
/** Workers beyond the configured number, while stalled ones wait for their deadline. */
const MAX_EXTRA = 4

const IN_TIME: CallFailure = { code: 'feature_timeout', message: 'The function did not answer in time.' }
const TWICE: CallFailure = {
  code: 'feature_failed',
  message: 'Other functions blocked the threads that it ran on, twice; it is not run a third time.',
  hint: 'The log names the functions that block.',
}

export function createPool(options: PoolOptions): Pool {
  const { log, events } = options
  const workers = new Set<GuestWorker>()
  const inFlight = new Map<number, InFlightCall>()
  /** Calls that no worker can take at the moment. */
  const parked = new Set<InFlightCall>()
  const suspects = createSuspects(log)
  /** Features that have given an answer without blocking anybody. Others try their first calls on one worker. */
  const proven = new Set<string>()
  let quarantine: GuestWorker | null = null
  let registry = NO_DEFINITIONS
  let writtenOff = 0
  let crashes = 0
  let timer: ReturnType<typeof setInterval> | null = null
  let lastWatchAt = 0
  let idle: (() => void) | null = null
  let closed = false

  const startWorker = () => startGuestWorker({ ...options, onFrame, onCrash })

  function onFrame(worker: GuestWorker, frame: GuestFrame): void {
    if (frame.t === 'result') {
      const call = inFlight.get(frame.id)
      if (call === undefined) return
      crashes = 0
      proven.add(call.frame.feature)
      finish(call, frame, worker)
    } else if (frame.t === 'ask') {
      void events.onRequest(frame.id, frame.question).then((reply) => worker.send({ t: 'answer', ask: frame.ask, ...reply }))
    } else if (frame.t === 'log') events.onLog(frame.id, frame.level, frame.message, frame.fields)
  }

  function finish(call: InFlightCall, outcome: CallOutcome, by?: GuestWorker): void {
    inFlight.delete(call.frame.id)
    for (const worker of call.workers) {
      worker.inFlight.delete(call.frame.id)
      worker.release(call)
      if (worker !== by) worker.send({ t: 'cancel', id: call.frame.id })
    }
    events.onOutcome(call.frame.id, outcome)
    if (inFlight.size === 0) idle?.()
  }

  function timeout(call: InFlightCall): void {
    // It may be what blocks them, too short a time to have been noticed.
    for (const worker of call.workers) ping(worker, performance.now())
    finish(call, { texts: null, error: IN_TIME })
  }

  /** A worker that can take the call now, preferably the least busy; a new one when all are stalled. */
  function choose(call: InFlightCall): GuestWorker | null {
    const { feature } = call.frame
    if (suspects.has(feature)) {
      if (quarantine === null && writtenOff < MAX_WRITTEN_OFF) quarantine = add(startWorker())
      return quarantine !== null && !call.workers.has(quarantine) ? quarantine : null
    }
    let best: GuestWorker | null = null
    let usable = 0
    for (const worker of workers) {
      if (worker === quarantine) continue
      // It would block the next one too. Soon it is known whether it did.
      if (worker.stalled && worker.inFlight.get(worker.blamed)?.frame.feature === feature) return null
      if (worker.stalled || call.workers.has(worker)) continue
      usable += 1
      if (!proven.has(feature) && isTrying(worker, feature)) return worker
      if (best === null || load(worker) < load(best)) best = worker
    }
    if (usable === 0 && workers.size < options.workers + MAX_EXTRA + (quarantine ? 1 : 0)) return add(startWorker())
    return best
  }

  function isTrying(worker: GuestWorker, feature: string): boolean {
    for (const { frame } of worker.inFlight.values()) if (frame.feature === feature) return true
    return false
  }

  /** One that is still loading its files waits for them before it works. */
  const load = (worker: GuestWorker) => worker.inFlight.size + (worker.definitions === null ? 1000 : 0)

  function add(worker: GuestWorker): GuestWorker {
    workers.add(worker)
    const deadline = setTimeout(() => {
      log('error', 'A new worker did not load the definitions in time and is given up.', { timeoutMs: options.loadTimeoutMs })
      replace(worker)
    }, options.loadTimeoutMs)
    deadline.unref()
    worker.loaded.finally(() => clearTimeout(deadline)).catch(() => {})
    worker.loaded.then(
      (loaded) => {
        if (loaded.problems.length === 0) return
        const first = loaded.problems[0]
        log('error', 'A new worker could not load the definitions again.', { problem: first?.message, file: first?.location?.file })
      },
      () => {},
    )
    return worker
  }

  /** @returns whether a worker took it. */
  function dispatch(call: InFlightCall): boolean {
    const worker = choose(call)
    if (worker === null) return false
    call.runs += 1
    call.workers.add(worker)
    worker.inFlight.set(call.frame.id, call)
    if (worker.definitions !== null) deliver(worker, call)
    else
      worker.loaded.then(
        () => deliver(worker, call),
        () => {},
      )
    return true
  }

  function deliver(worker: GuestWorker, call: InFlightCall): void {
    if (!inFlight.has(call.frame.id) || !call.workers.has(worker)) return
    const found = worker.definitions?.registry.features.get(call.frame.feature)
    if (found?.fingerprint === call.fingerprint) {
      worker.give(call)
      return
    }
    finish(call, {
      texts: null,
      error: {
        code: 'feature_failed',
        message: `The file that defines "${call.frame.feature}" has changed since it was loaded.`,
        hint: 'Restart the server, or run it with --watch.',
      },
    })
  }

  /** Finds other places for the calls of a silent worker, but for the one that is to blame; see victims.ts. */
  function rescue(worker: GuestWorker, silentMs: number): void {
    for (const call of [...worker.inFlight.values()]) {
      const fate = fateOf(call, worker, silentMs)
      if (fate === 'moves') move(call, worker)
      else if (fate === 'runs again') dispatch(call)
    }
  }

  function move(call: InFlightCall, worker: GuestWorker): void {
    if (!worker.withdraw(call)) return
    worker.inFlight.delete(call.frame.id)
    call.workers.delete(worker)
    call.runs -= 1
    if (call.workers.size === 0 && !dispatch(call)) parked.add(call)
  }

  /** The worker is gone: what had not begun goes elsewhere, what had is run once more. @param error Of those that are not. */
  function bury(worker: GuestWorker, error: CallFailure | null, again = true): void {
    for (const call of [...worker.inFlight.values()]) {
      worker.inFlight.delete(call.frame.id)
      call.workers.delete(worker)
      if (worker.withdraw(call)) call.runs -= 1
      if (call.workers.size > 0) continue
      const isOver = !again || call.frame.id === worker.blamed
      if (isOver || call.runs >= MAX_RUNS) finish(call, { texts: null, error: error ?? (isOver ? IN_TIME : TWICE) })
      else if (!dispatch(call)) parked.add(call)
    }
  }

  function watch(): void {
    const now = performance.now()
    // When this thread itself was held up, answers may be waiting in its queue: judge nobody by that.
    const late = now - lastWatchAt > 3 * WATCH_MS
    lastWatchAt = now
    for (const worker of [...workers]) {
      if (worker.definitions === null) continue
      if (worker.stalled && (worker.inFlight.size === 0 || (worker.sparedUntil !== 0 && now >= worker.sparedUntil))) replace(worker)
      else if (worker.inFlight.size > 0 || worker.pingedAt !== 0) watchWorker(worker, now, late)
    }
    for (const call of parked) if (!inFlight.has(call.frame.id) || dispatch(call)) parked.delete(call)
    for (const call of inFlight.values()) {
      if (now < call.deadlineAt && !call.signal.aborted) continue
      const stalled = [...call.workers].filter((worker) => worker.stalled && worker.definitions !== null)
      timeout(call)
      for (const worker of stalled) {
        if (worker.blamed === 0 || worker.blamed === call.frame.id) accuse(call.frame.feature)
        if (worker.sparedUntil === 0 && worker !== quarantine) worker.sparedUntil = sparedUntil(worker, now)
        if (worker.sparedUntil <= now) replace(worker)
      }
    }
    if (inFlight.size === 0 && timer !== null && ![...workers].some((worker) => worker.pingedAt !== 0)) {
      clearInterval(timer)
      timer = null
    }
  }

  function watchWorker(worker: GuestWorker, now: number, late: boolean): void {
    const silentMs = checkSilence(worker, now, late)
    if (!worker.stalled || worker === quarantine) return
    const culprit = worker.inFlight.get(worker.blamed)
    if (culprit && silentMs >= SUSPECT_AFTER_MS) accuse(culprit.frame.feature)
    rescue(worker, silentMs)
  }

  function accuse(feature: string): void {
    proven.delete(feature)
    suspects.accuse(feature)
  }

  function replace(worker: GuestWorker): void {
    if (!workers.delete(worker)) return
    if (worker === quarantine) quarantine = null
    dismiss(worker)
    if (!closed && workers.size < options.workers) add(startWorker())
    bury(worker, null)
  }

  function dismiss(worker: GuestWorker): void {
    void worker.terminate().then((ended) => {
      if (ended) return
      writtenOff += 1
      void worker.ended.then(() => {
        writtenOff -= 1
      })
      log('error', 'A worker thread could not be ended; it sits in a call that nothing can interrupt.', {
        writtenOff,
        limit: MAX_WRITTEN_OFF,
      })
    })
  }

  function onCrash(worker: GuestWorker, reason: string): void {
    // While the first one loads, that is the load's own failure.
    if (!workers.delete(worker) || registry === NO_DEFINITIONS) return
    if (worker === quarantine) quarantine = null
    crashes += 1
    log('error', 'A worker thread ended by itself and is replaced.', { reason, crashes })
    worker.blamed = worker.runningId()
    const culprit = worker.inFlight.get(worker.blamed)
    if (culprit) accuse(culprit.frame.feature)
    if (!closed && workers.size < options.workers && crashes <= 5) add(startWorker())
    const failure: CallFailure = { code: 'feature_failed', message: 'The worker thread ended.', thrown: reason }
    bury(worker, failure, crashes <= 5)
  }

  return {
    async load() {
      const first = startWorker()
      workers.add(first)
      const loaded = await loadOrFail(first, options)
      if (first.definitions === null) {
        workers.delete(first)
        dismiss(first)
      }
      registry = loaded.registry
      return loaded
    },
    fill() {
      const later = setTimeout(() => {
        while (!closed && workers.size < options.workers) add(startWorker())
      }, FILL_AFTER_MS)
      later.unref()
    },
    fingerprint: (feature) => registry.features.get(feature)?.fingerprint,
    start(call) {
      inFlight.set(call.frame.id, call)
      if (timer === null) {
        lastWatchAt = performance.now()
        timer = setInterval(watch, WATCH_MS)
      }
      if (dispatch(call)) return
      if (!suspects.has(call.frame.feature)) parked.add(call)
      else {
        finish(call, {
          texts: null,
          error: {
            code: 'overloaded',
            message: 'No worker thread is free to run the function.',
            hint: 'A function blocks its thread; the log names it.',
          },
        })
      }
    },
    async drain(timeoutMs) {
      if (inFlight.size > 0) {
        const empty = Promise.withResolvers<void>()
        idle = empty.resolve
        const deadline = setTimeout(empty.resolve, timeoutMs)
        await empty.promise
        clearTimeout(deadline)
      }
      await this.close()
    },
    async close() {
      closed = true
      if (timer !== null) clearInterval(timer)
      for (const call of [...inFlight.values()]) timeout(call)
      await Promise.all([...workers].map((worker) => worker.terminate()))
      workers.clear()
    },
  }
}
