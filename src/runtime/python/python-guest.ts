import type { GuestFrame, LogLevel } from '../frames.ts'
import { bytesText, type MemoryWatch, watchMemory } from '../process/memory.ts'
import type { Slots } from '../process/slots.ts'
import { type Blame, createBlame } from './blame.ts'
import type { Interpreter } from './interpreter.ts'
import { createLostCalls, type LostCalls } from './lost-calls.ts'
import { type EndOfProcess, startPythonProcess } from './process.ts'
import { createStacks, type Stacks } from './stacks.ts'

export interface Prepared {
  readonly interpreter: Interpreter
  /** That holds our package. */
  readonly folder: string
}

/** `beat`: the event loop's own answer to a ping. */
export type FromPython = GuestFrame | { readonly t: 'beat' }

export interface EndOfGuest extends EndOfProcess {
  /** What to do about it; null where that is for the reader to know. */
  readonly hint: string | null
}

/** A process that runs, with everything that looks after it. */
export interface PythonGuest {
  post(frames: readonly string[]): void
  readonly blame: Blame
  readonly lost: LostCalls
  readonly memory: MemoryWatch
  readonly stacks: Stacks
  /** Resolves when it has ended. @param now Without the time for what it does at its end. */
  end(now: boolean): Promise<void>
}

export interface PythonGuestOptions extends Prepared {
  readonly workerEnv: Readonly<Record<string, string | undefined>>
  readonly memory: number
  readonly slots: Slots
  isBusy(): boolean
  /** Whether a file is the user's own. */
  isOwn(file: string): boolean
  onFrame(frame: FromPython): void
  onLog(level: LogLevel, message: string): void
  onSpent(features: readonly string[]): void
  onEnd(end: EndOfGuest): void
}

/** Between two pings of a process that has nothing to do: one that hears none for a minute ends itself. */
const HEARTBEAT_MS = 10_000
/** How long a process may take for what it does at its end. */
const GRACE_MS = 1000
const LESS_MEMORY = 'Raise FABRA_WORKER_MEMORY, or let it hold less at a time.'
const PING = '{"t":"ping"}'

export function startPythonGuest(options: PythonGuestOptions): PythonGuest {
  const { slots, onEnd } = options
  /** Why we killed it; null when we did not. */
  let reason: Pick<EndOfGuest, 'how' | 'hint'> | null = null
  const kill = (how: string, hint: string | null) => {
    reason ??= { how, hint }
    child.kill()
  }
  const child = startPythonProcess({
    interpreter: options.interpreter,
    folder: options.folder,
    environment: options.workerEnv,
    onOutput: options.onLog,
    events: {
      onFrames: (frames) => {
        for (const frame of frames) if (isFrame(frame)) options.onFrame(frame)
      },
      onBroken: (why) => kill(`its messages could not be understood any more (${why})`, null),
    },
  })
  const blame = createBlame(child.pid, slots)
  const lost = createLostCalls({ slots, blame, onTooMany: options.onSpent })
  const memory = watchMemory({
    pid: child.pid,
    limit: options.memory,
    isBusy: options.isBusy,
    onOver: (bytes) => kill(`it used ${bytesText(bytes)} of memory, FABRA_WORKER_MEMORY is ${bytesText(options.memory)}`, LESS_MEMORY),
  })
  // What the files hold once they are loaded counts, too.
  memory.wake()
  const stacks = createStacks({ pid: child.pid, slots, isOwn: options.isOwn })
  const heart = setInterval(() => child.socket.post([PING]), HEARTBEAT_MS)
  heart.unref()
  const over = child.ended.then((end) => {
    clearInterval(heart)
    lost.stop()
    memory.stop()
    stacks.close()
    child.socket.close()
    onEnd({ ...end, hint: null, ...(reason && { ...reason, isFromOutside: false }) })
  })
  return {
    post: child.socket.post,
    blame,
    lost,
    memory,
    stacks,
    async end(now) {
      child.socket.close()
      const grace = setTimeout(child.kill, now ? 0 : GRACE_MS)
      await over
      clearTimeout(grace)
    },
  }
}

/** User code can reach the socket, and may send what is none of ours. */
function isFrame(frame: unknown): frame is FromPython {
  return typeof frame === 'object' && frame !== null && 't' in frame && typeof frame.t === 'string'
}
