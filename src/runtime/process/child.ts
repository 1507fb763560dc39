import type { LogLevel } from '../frames.ts'
import { forwardOutput } from './output.ts'
import { type FrameSocket, type FrameSocketEvents, openFrameSocket } from './socket.ts'

/** A process that runs user code, whatever its language. */
export interface Child {
  readonly pid: number
  readonly socket: FrameSocket
  /** Resolves when the process has ended: the only sign of death. */
  readonly ended: Promise<EndOfChild>
  /** Ends it and what it has started, now. */
  kill(): void
}

export interface EndOfChild {
  readonly code: number | null
  /** By which it was ended; null: it ended by itself. */
  readonly signal: string | null
  /** The last line that it wrote to its standard error. */
  readonly lastWords: string
  /** By a signal as operators and the system send it, rather than by what its code does. */
  readonly isFromOutside: boolean
}

export interface ChildOptions {
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly events: FrameSocketEvents
  /** What the process printed. */
  onOutput(level: LogLevel, text: string): void
}

/** The descriptor of its end of the socket, in the process. */
export const SOCKET = 3
/** How long its last words are waited for: somebody else may hold their end of the pipe. */
const LAST_WORDS_MS = 50

export function startChild({ command, environment, events, onOutput }: ChildOptions): Child {
  const child = Bun.spawn([...command], {
    stdio: ['ignore', 'pipe', 'pipe', 'socket-fd'],
    env: { ...environment, FABRA_WORKER: '1' },
    // A session of its own: Ctrl-C reaches the server alone, and its end takes along what it has started.
    detached: true,
  })
  child.unref()
  const fd = child.stdio[SOCKET]
  if (typeof fd !== 'number') throw new Error('The socket to the process could not be made.')
  void forwardOutput(child.stdout, (text) => onOutput('info', text))
  let lastWords = ''
  const errors = forwardOutput(child.stderr, (text) => {
    lastWords = text.slice(text.lastIndexOf('\n') + 1)
    onOutput('error', text)
  })
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended, and so has everything in its group.
    }
  }
  const ended = child.exited.then(async () => {
    kill()
    await Promise.race([errors, Bun.sleep(LAST_WORDS_MS)])
    const signal = child.signalCode === null ? null : String(child.signalCode)
    return { code: child.exitCode, signal, lastWords, isFromOutside: signal !== null && FROM_OUTSIDE.has(signal) }
  })
  return { pid: child.pid, socket: openFrameSocket(fd, events), ended, kill }
}

const FROM_OUTSIDE: ReadonlySet<string> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'])
