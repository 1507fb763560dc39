import type { Micros } from '../clock.ts'
import type { CallFrame, GuestFrame, HostFrame, LoadedFrame, Message } from './frames.ts'
import { createOutbox, fromMessage, PROTOCOL_VERSION, toMessage } from './frames.ts'
import { createGates } from './gates.ts'

/** One call on its way: asked by somebody, running on one worker, or on two after the first went silent. */
export interface InFlightCall {
  readonly frame: Omit<CallFrame, 'slot'>
  /** On the clock of `performance.now()`. */
  readonly deadlineAt: number
  readonly fingerprint: string
  readonly signal: AbortSignal
  /** How often it has begun, or may have. */
  runs: number
  readonly workers: Set<GuestWorker>
}

/** A worker thread as the pool sees it. */
export interface GuestWorker {
  readonly inFlight: Map<number, InFlightCall>
  /** When the last frame came, on the clock of `performance.now()`. */
  lastSeenAt: number
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
  /** A stalled worker lives on until then, for the sake of calls that it has begun; 0: it does not. On the clock of `performance.now()`. */
  sparedUntil: number
  /** Id of the call whose function runs synchronously at this instant; 0 for none or unknown. */
  runningId(): number
  /** Resolves when the thread has ended. */
  readonly ended: Promise<void>
  /** @returns whether the thread really ended; false when it sits in a call that cannot be interrupted. */
  terminate(): Promise<boolean>
}

export interface GuestWorkerOptions {
  readonly url: string
  readonly files: readonly string[]
  readonly clockOffset: Micros
  onFrame(worker: GuestWorker, frame: GuestFrame): void
  /** The thread ended though nobody asked for it. */
  onCrash(worker: GuestWorker, reason: string): void
}

/** How long a terminated thread may take to end before it is written off. */
const TERMINATE_MS = 2000

export function startGuestWorker(options: GuestWorkerOptions): GuestWorker {
  const thread = new Worker(options.url)
  thread.unref()
  const running = new Int32Array(new SharedArrayBuffer(4))
  const gates = createGates()
  const sent = new Map<number, { readonly slot: number; readonly at: number }>()
  const loaded = Promise.withResolvers<LoadedFrame>()
  const closed = Promise.withResolvers<void>()
  loaded.promise.catch(() => {})
  let ended = false
  let reason = ''
  const worker: GuestWorker = {
    inFlight: new Map(),
    lastSeenAt: performance.now(),
    pingedAt: 0,
    stalled: false,
    blamed: 0,
    loaded: loaded.promise,
    ended: closed.promise,
    definitions: null,
    send: createOutbox((frames: readonly HostFrame[]) => {
      if (!ended) thread.postMessage(toMessage(frames))
    }, unsendable),
    give(call) {
      const slot = gates.open()
      sent.set(call.frame.id, { slot, at: performance.now() })
      worker.send({ ...call.frame, slot })
    },
    hasBegun(call) {
      const one = sent.get(call.frame.id)
      return one !== undefined && gates.hasBegun(one.slot)
    },
    ranMs(call) {
      const one = sent.get(call.frame.id)
      return one === undefined ? 0 : Math.max(0, worker.lastSeenAt - one.at)
    },
    withdraw(call) {
      const one = sent.get(call.frame.id)
      if (one !== undefined && !gates.withdraw(one.slot)) return false
      sent.delete(call.frame.id)
      return true
    },
    release(call) {
      const one = sent.get(call.frame.id)
      if (one !== undefined) gates.release(one.slot)
      sent.delete(call.frame.id)
    },
    sparedUntil: 0,
    runningId: () => Atomics.load(running, 0),
    async terminate() {
      if (!ended) {
        ended = true
        loaded.reject(new Error('The worker was terminated while it loaded.'))
        thread.terminate()
      }
      const late = Promise.withResolvers<boolean>()
      const deadline = setTimeout(late.resolve, TERMINATE_MS, false)
      const done = await Promise.race([closed.promise.then(() => true), late.promise])
      clearTimeout(deadline)
      return done
    },
  }
  thread.onmessage = (event: MessageEvent<Message<GuestFrame>>) => {
    if (ended) return
    worker.lastSeenAt = performance.now()
    worker.pingedAt = 0
    worker.stalled = false
    worker.sparedUntil = 0
    for (const frame of framesOf(event.data)) {
      if (frame.t === 'loaded') {
        worker.definitions = frame
        loaded.resolve(frame)
      } else if (frame.t === 'hello' && frame.version !== PROTOCOL_VERSION) {
        loaded.reject(new Error(`The worker speaks version ${frame.version} of the protocol; ${PROTOCOL_VERSION} is needed.`))
      } else options.onFrame(worker, frame)
    }
  }
  thread.onerror = (event) => {
    event.preventDefault()
    reason = event.message
  }
  thread.addEventListener('close', (event) => {
    closed.resolve()
    if (ended) return
    ended = true
    const code: unknown = (event as { code?: unknown }).code
    const why = reason !== '' ? reason : `it ended with exit code ${String(code ?? 0)}`
    loaded.reject(new Error(why))
    options.onCrash(worker, why)
  })
  worker.send({ t: 'load', files: options.files, clockOffset: options.clockOffset, running, gates: gates.shared })
  return worker
}

/** User code can reach the port, and may send what is none of ours. */
function framesOf(message: Message<GuestFrame>): readonly GuestFrame[] {
  try {
    const frames = fromMessage(message)
    return Array.isArray(frames) ? frames.filter((frame) => typeof frame?.t === 'string') : []
  } catch {
    return []
  }
}

function unsendable(frame: HostFrame, error: unknown): HostFrame | null {
  if (frame.t !== 'answer') return null
  const message = `The answer holds a value that cannot be handed to a function: ${error instanceof Error ? error.message : String(error)}`
  return { t: 'answer', ask: frame.ask, error: { code: 'feature_failed', message } }
}
