import { constants } from 'node:os'
import type { LogLevel } from '../frames.ts'
import { startChild } from '../process/child.ts'
import type { FrameSocket, FrameSocketEvents } from '../process/socket.ts'
import type { Interpreter } from './interpreter.ts'

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

export function startPythonProcess({ interpreter, folder, environment, events, onOutput }: PythonProcessOptions): PythonProcess {
  const main = `import sys; sys.path.insert(0, ${pythonText(folder)}); from fabra._worker import main; main()`
  const child = startChild({ command: [interpreter.path, '-c', main], environment, events, onOutput })
  return { ...child, ended: child.ended.then(({ code, signal, ...end }) => ({ ...end, how: howItEnded(code, signal) })) }
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

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = constants.signals

/** A text as Python writes it: JSON's escapes are Python's. */
function pythonText(text: string): string {
  return JSON.stringify(text)
}
