/**
 * A process for TypeScript as the pool sees it. Inside it is what a thread is: it answers as soon as no function runs, and tells in shared memory whose
 * function that is. But the system may let it wait for a processor, so its silence means something later than a thread's.
 */
import { constants } from 'node:os'
import {
  createOutbox,
  type GuestFrame,
  type HostFrame,
  isPlainFrame,
  type LoadedFrame,
  type LogLevel,
  PROTOCOL_VERSION,
} from '../frames.ts'
import {
  type GuestWorker,
  type GuestWorkerOptions,
  newState,
  noteSignOfLife,
  type StartWorker,
  sentBy,
  unsendable,
  type Watchfulness,
} from '../guest-worker.ts'
import { createSentCalls } from '../sent-calls.ts'
import { type Child, type EndOfChild, startChild } from './child.ts'
import { hideProcess } from './hide-process.ts'
import { bytesText, type MemoryWatch, watchMemory } from './memory.ts'
import { parsePlain, plainText } from './plain-values.ts'
import { createSlots, removeOldSlots, type Slots } from './slots.ts'
import { callFailure, ENDED, loadFailure } from './worker-end.ts'

export interface ProcessSettings {
  /** What starts the process, before anything of its own. */
  readonly command: readonly string[]
  /** What user code sees of the environment: without the server's secrets. */
  readonly workerEnv: Readonly<Record<string, string | undefined>>
  /** Bytes that a process may hold. */
  readonly memory: number
  /** Whether the system keeps from workers what this process holds. */
  readonly hidesServer?: boolean
}

const PROCESS: Watchfulness = {
  pingAfterMs: 50,
  stalledAfterMs: 150,
  suspectAfterMs: 300,
  hedgeAfterMs: 400,
  blamesUnknown: true,
  afterCrash: 'waiting',
}
const LESS_MEMORY = 'Raise FABRA_WORKER_MEMORY, or let it hold less at a time.'
const SIGNALS: Readonly<Record<string, number>> = constants.signals

export function processWorkers(settings: ProcessSettings): StartWorker {
  if (settings.hidesServer) hideProcess()
  removeOldSlots()
  return (options) => startProcessWorker(options, settings)
}

function startProcessWorker(options: GuestWorkerOptions, settings: ProcessSettings): GuestWorker {
  const slots = createSlots()
  const loaded = Promise.withResolvers<LoadedFrame>()
  loaded.promise.catch(() => {})
  const ended = Promise.withResolvers<void>()
  let isEnding = false

  function onFrame(frame: GuestFrame): void {
    if (frame.t === 'loaded') {
      slots.unlink()
      worker.definitions = frame
      loaded.resolve(frame)
    } else if (frame.t === 'hello') {
      if (frame.version !== PROTOCOL_VERSION)
        loaded.reject(new Error(`The process speaks version ${frame.version} of the protocol; ${PROTOCOL_VERSION} is needed.`))
    } else options.onFrame(worker, frame)
  }
  const guest = startGuestChild(settings, {
    onFrames(frames) {
      noteSignOfLife(worker)
      for (const frame of frames) if (isFrame(frame)) onFrame(frame)
    },
    isBusy: () => worker.inFlight.size > 0 || worker.definitions === null,
    onOutput: (level, message) => options.onFrame(worker, { t: 'log', id: 0, level, message, fields: {} }),
    onEnd({ how, hint, lastWords, isFromOutside }) {
      slots.unlink()
      loaded.reject(loadFailure({ how, lastWords, hint }))
      ended.resolve()
      if (!isEnding) options.onCrash(worker, how, callFailure('process', { how, hint }), isFromOutside)
    },
  })
  const worker = newWorker(guest, slots, {
    loaded: loaded.promise,
    ended: ended.promise,
    async terminate() {
      isEnding = true
      loaded.reject(new Error('The process was ended while it loaded.'))
      guest.child.kill()
      await ended.promise
      return true
    },
  })
  worker.send({ t: 'load', files: options.files, clockOffset: options.clockOffset, running: null, gates: null, shared: slots.path })
  return worker
}

interface GuestChild {
  readonly child: Child
  readonly memory: MemoryWatch
}

interface GuestEvents {
  onFrames(frames: readonly unknown[]): void
  isBusy(): boolean
  onOutput(level: LogLevel, text: string): void
  onEnd(end: Pick<EndOfChild, 'lastWords' | 'isFromOutside'> & { readonly how: string; readonly hint: string | null }): void
}

/** The process, and who looks how much memory it holds. */
function startGuestChild({ command, workerEnv, memory: limit }: ProcessSettings, events: GuestEvents): GuestChild {
  /** Why we killed it; null when we did not. */
  let reason: { readonly how: string; readonly hint: string } | null = null
  const kill = (how: string, hint: string) => {
    reason ??= { how, hint }
    child.kill()
  }
  const child: Child = startChild({
    command,
    environment: workerEnv,
    onOutput: events.onOutput,
    events: {
      onFrames: events.onFrames,
      onBroken: (why) => kill(`its messages could not be understood any more (${why})`, ENDED),
      parse: parsePlain,
    },
  })
  const memory = watchMemory({
    pid: child.pid,
    limit,
    isBusy: events.isBusy,
    onOver: (bytes) => kill(`it used ${bytesText(bytes)} of memory, FABRA_WORKER_MEMORY is ${bytesText(limit)}`, LESS_MEMORY),
  })
  // What the files hold once they are loaded counts, too.
  memory.wake()
  void child.ended.then((end) => {
    memory.stop()
    child.socket.close()
    const isFromOutside = reason === null && end.isFromOutside
    events.onEnd({ lastWords: end.lastWords, hint: null, how: howItEnded(end), ...reason, isFromOutside })
  })
  return { child, memory }
}

function newWorker({ child, memory }: GuestChild, slots: Slots, ends: Pick<GuestWorker, 'loaded' | 'ended' | 'terminate'>): GuestWorker {
  const sent = createSentCalls(slots.gates)
  const textOf = (frame: HostFrame) => plainText(frame, isPlainFrame(frame))
  const calls = sentBy(sent, () => worker)
  const worker: GuestWorker = {
    ...newState(PROCESS),
    ...calls,
    ...ends,
    send: createOutbox<HostFrame>((frames) => child.socket.post(frames.map(textOf)), unsendable),
    give(call) {
      memory.wake()
      calls.give(call)
    },
    runningId: () => slots.runningInLoop(),
  }
  return worker
}

/** User code can reach the socket, and may send what is none of ours. */
function isFrame(frame: unknown): frame is GuestFrame {
  return typeof frame === 'object' && frame !== null && 't' in frame && typeof frame.t === 'string'
}

function howItEnded({ code, signal }: EndOfChild): string {
  return signal === null ? `it ended with exit code ${code ?? 0}` : `killed by signal ${SIGNALS[signal] ?? '?'} (${signal})`
}
