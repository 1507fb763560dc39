import { constants } from 'node:os'
import type { LogLevel } from '../frames.ts'
import type { Interpreter } from './interpreter.ts'
import { forwardOutput } from './output.ts'
import { type FrameSocket, type FrameSocketEvents, openFrameSocket } from './socket.ts'

export interface PythonProcess {
  readonly pid: number
  readonly socket: FrameSocket
  /** Resolves when the process has ended: the only sign of death. */
  readonly ended: Promise<EndOfProcess>
  /** Ends it and what it has started, now. */
  kill(): void
}

export interface EndOfProcess {
  /** `os._exit(7)`, `killed by signal 9 (SIGKILL)`, … */
  readonly how: string
  /** The last line that it wrote to its standard error. */
  readonly lastWords: string
  /** By a signal as operators and the system send it, rather than by what its code does. */
  readonly isFromOutside: boolean
}

export interface PythonProcessOptions {
  readonly interpreter: Interpreter
  /** That holds our package. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly events: FrameSocketEvents
  /** What the process printed. */
  onOutput(level: LogLevel, text: string): void
}

const SOCKET = 3
/** How long its last words are waited for: somebody else may hold their end of the pipe. */
const LAST_WORDS_MS = 50

export function startPythonProcess({ interpreter, folder, environment, events, onOutput }: PythonProcessOptions): PythonProcess {
  const main = `import sys; sys.path.insert(0, ${pythonText(folder)}); from fabra._worker import main; main()`
  const child = Bun.spawn([interpreter.path, '-c', main], {
    stdio: ['ignore', 'pipe', 'pipe', 'socket-fd'],
    env: { ...environment, FABRA_WORKER: '1' },
    // A session of its own: Ctrl-C reaches the server alone, and its end takes along what it has started.
    detached: true,
  })
  child.unref()
  const fd = child.stdio[SOCKET]
  if (typeof fd !== 'number') throw new Error('The socket to the Python process could not be made.')
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
    return { how: howItEnded(child.exitCode, signal), lastWords, isFromOutside: signal !== null && FROM_OUTSIDE.has(signal) }
  })
  return { pid: child.pid, socket: openFrameSocket(fd, events), ended, kill }
}

function howItEnded(code: number | null, signal: string | null): string {
  if (signal === null) return OWN_CODES[code ?? 0] ?? `os._exit(${code})`
  return `killed by signal ${SIGNAL_NUMBERS[signal] ?? '?'} (${signal})`
}

/** With which our package ends the process. */
const OWN_CODES: Readonly<Record<number, string>> = {
  70: 'it could not go on; the log has why',
  71: 'it ran out of memory',
  74: 'its connection to the server was closed from inside, as os.closerange() does',
}

const FROM_OUTSIDE: ReadonlySet<string> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'])

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = constants.signals

/** A text as Python writes it: JSON's escapes are Python's. */
function pythonText(text: string): string {
  return JSON.stringify(text)
}
