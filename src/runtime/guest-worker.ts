import type { Micros } from '../clock.ts'
import type { CallFailure } from '../compute/function-runner.ts'
import { type CallFrame, createOutbox, type GuestFrame, type HostFrame, type LoadedFrame, PROTOCOL_VERSION } from './frames.ts'
import { startGuestThread } from './guest-thread.ts'
import { createSentCalls, type SentCalls } from './sent-calls.ts'

/** One call on its way: asked by somebody, running on one worker, or on two after the first went silent. */
export interface InFlightCall {
  readonly frame: Omit<CallFrame, 'slot'>
  /** On the clock of `performance.now()`. */
  readonly deadlineAt: number
  /** Since when it waits for its turn, and until when it was seen to. On the same clock. */
  readonly askedAt: number
  waitedUntil: number
  readonly fingerprint: string
  readonly signal: AbortSignal
  /** How often it has begun, or may have. */
  runs: number
  readonly workers: Set<GuestWorker>
}

/** How the pool watches workers of a kind, whose silence means different things. Milliseconds. */
export interface Watchfulness {
  /** Silence after which a worker is asked for a sign of life, and then declared stalled. */
  readonly pingAfterMs: number
  readonly stalledAfterMs: number
  /** Silence with the same function running the whole time, after which that feature goes into quarantine. */
  readonly suspectAfterMs: number
  /** Silence after which a call that has begun is run elsewhere as well. */
  readonly hedgeAfterMs: number
  /** Whether a call that times out on a stalled worker is held to blame when nobody knows better. */
  readonly blamesUnknown: boolean
  /** Which of its calls are sent to another worker when it ends by itself; `waiting`: those that had not begun. */
  readonly afterCrash: 'all' | 'waiting'
}

/** A worker as the pool sees it: a thread, or a process. */
export interface GuestWorker {
  readonly watched: Watchfulness
  readonly inFlight: Map<number, InFlightCall>
  /** When the last frame came, on the clock of `performance.now()`. */
  lastSeenAt: number
  /** When the last result came, on the same clock; 0: none has. */
  answeredAt: number
  /** When the unanswered ping was sent; 0 when there is none. */
  pingedAt: number
  /** It has not answered a ping: nothing new is sent to it until it does. */
  stalled: boolean
  /** Who was found running when it stalled; 0 when nobody knows. */
  blamed: number
  /** Settles when the user's files are loaded; rejects when the thread ends before. */
  readonly loaded: Promise<LoadedFrame>
  /** What it loaded; null until then. */
  definitions: LoadedFrame | null
  /** Line of the user's files at which it is while it loads them, as `features.py:3 in <module>`; null when nobody knows. */
  placeInFiles(): Promise<string | null>
  /** Feature → fingerprint of what it was told that it has; null until then, and no call comes before. */
  fingerprints: ReadonlyMap<string, string> | null
  send(frame: HostFrame): void
  /** Sends a call, which may be taken back until it begins. */
  give(call: InFlightCall): void
  hasBegun(call: InFlightCall): boolean
  /** How long it had run when the last sign of life came. Milliseconds. */
  ranMs(call: InFlightCall): number
  /** @returns whether the call never begins here. */
  withdraw(call: InFlightCall): boolean
  /** Nobody waits for the call here any more. */
  release(call: InFlightCall): void
  /** The call's time is nearly over: finds out where it is, for `placeOf`. */
  locate(call: InFlightCall): void
  /** Line of the user's code that it was at, as `features.py:42 in slow`; null when nobody knows. */
  placeOf(call: InFlightCall): string | null
  /** A stalled worker lives on until then, for the sake of calls that it has begun; 0: it does not. On the clock of `performance.now()`. */
  sparedUntil: number
  /** Id of the call whose function runs synchronously at this instant; 0 for none or unknown. */
  runningId(): number
  /** Features of the calls whose code was running when it ended by itself: one of them did it. */
  lastFeatures(): readonly string[]
  /** Resolves when the worker has ended. */
  readonly ended: Promise<void>
  /** @returns whether it really ended; false when it sits in a call that cannot be interrupted. */
  terminate(): Promise<boolean>
}

export interface GuestWorkerOptions {
  readonly files: readonly string[]
  readonly clockOffset: Micros
  onFrame(worker: GuestWorker, frame: GuestFrame): void
  /**
   * The worker ended though nobody asked for it.
   * @param reason For the log. @param failure Of the calls that it took along. @param isFromOutside See `Suspects`.
   */
  onCrash(worker: GuestWorker, reason: string, failure: CallFailure, isFromOutside: boolean): void
  /** The worker should be replaced: calls that nobody waits for any more tie it up. @param culprits Names of their features. */
  onSpent(worker: GuestWorker, culprits: readonly string[]): void
}

/** Starts a place that runs the functions of one language. */
export type StartWorker = (options: GuestWorkerOptions) => GuestWorker

/** A thread answers as soon as no function runs: it is silent only while one does. */
const THREAD: Watchfulness = {
  pingAfterMs: 15,
  stalledAfterMs: 20,
  suspectAfterMs: 100,
  hedgeAfterMs: 100,
  blamesUnknown: true,
  afterCrash: 'all',
}

/** A thread for TypeScript. @param url Where its code is. */
export function startGuestWorker(url: string, options: GuestWorkerOptions): GuestWorker {
  const running = new Int32Array(new SharedArrayBuffer(4))
  const sent = createSentCalls()
  const loaded = Promise.withResolvers<LoadedFrame>()
  loaded.promise.catch(() => {})
  const thread = startGuestThread(url, {
    onFrames(frames) {
      noteSignOfLife(worker)
      for (const frame of frames) {
        if (frame.t === 'loaded') {
          worker.definitions = frame
          loaded.resolve(frame)
        } else if (frame.t === 'hello' && frame.version !== PROTOCOL_VERSION) {
          loaded.reject(new Error(`The worker speaks version ${frame.version} of the protocol; ${PROTOCOL_VERSION} is needed.`))
        } else options.onFrame(worker, frame)
      }
    },
    onCrash(reason) {
      loaded.reject(new Error(reason))
      options.onCrash(worker, reason, { code: 'feature_failed', message: 'The worker thread ended.', thrown: reason }, false)
    },
  })
  const worker: GuestWorker = {
    ...newState(THREAD),
    ...sentBy(sent, () => worker),
    loaded: loaded.promise,
    ended: thread.ended,
    send: createOutbox(thread.post, unsendable),
    runningId: () => Atomics.load(running, 0),
    terminate() {
      loaded.reject(new Error('The worker was terminated while it loaded.'))
      return thread.terminate()
    },
  }
  worker.send({ t: 'load', files: options.files, clockOffset: options.clockOffset, running, gates: sent.gates })
  return worker
}

type State =
  | 'watched'
  | 'inFlight'
  | 'lastSeenAt'
  | 'answeredAt'
  | 'pingedAt'
  | 'stalled'
  | 'blamed'
  | 'sparedUntil'
  | 'definitions'
  | 'fingerprints'

/** Of a worker that has yet to load. */
export function newState(watched: Watchfulness): Pick<GuestWorker, State> {
  return {
    watched,
    inFlight: new Map(),
    lastSeenAt: performance.now(),
    answeredAt: 0,
    pingedAt: 0,
    stalled: false,
    blamed: 0,
    sparedUntil: 0,
    definitions: null,
    fingerprints: null,
  }
}

type OfCalls = 'give' | 'hasBegun' | 'ranMs' | 'withdraw' | 'release' | 'locate' | 'placeOf' | 'placeInFiles' | 'lastFeatures'

/** Calls of TypeScript, which say in shared memory when they begin. The interpreter does not tell where another thread or process is. */
export function sentBy(sent: SentCalls, worker: () => GuestWorker): Pick<GuestWorker, OfCalls> {
  return {
    give: (call) => worker().send({ ...call.frame, slot: sent.add(call.frame.id) }),
    hasBegun: (call) => sent.hasBegun(call.frame.id),
    ranMs: (call) => sent.ranMs(call.frame.id, worker().lastSeenAt),
    withdraw: (call) => sent.withdraw(call.frame.id),
    release: (call) => sent.release(call.frame.id),
    locate: () => {},
    placeOf: () => null,
    placeInFiles: async () => null,
    lastFeatures() {
      const { inFlight, runningId } = worker()
      return [...inFlight.values()].filter(({ frame }) => frame.id === runningId()).map(({ frame }) => frame.feature)
    },
  }
}

export function noteSignOfLife(worker: GuestWorker): void {
  worker.lastSeenAt = performance.now()
  worker.pingedAt = 0
  worker.stalled = false
  worker.sparedUntil = 0
}

export function unsendable(frame: HostFrame, error: unknown): HostFrame | null {
  if (frame.t !== 'answer') return null
  const message = `The answer holds a value that cannot be handed to a function: ${error instanceof Error ? error.message : String(error)}`
  return { t: 'answer', ask: frame.ask, error: { code: 'feature_failed', message } }
}
