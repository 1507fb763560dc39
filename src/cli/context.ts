import type { Clock } from '../clock.ts'
import type { WorkerHost } from './serve/worker-messages.ts'

/** What a command may touch of the world around it. Results go to stdout, talk to stderr. */
export interface CliContext {
  /** Writes as given: end lines yourself. */
  stdout(text: string): void
  stderr(text: string): void
  /** `--json` was given. Known once the arguments are parsed. */
  readonly json: boolean
  readonly color: boolean
  /** Absolute. Relative paths of arguments start here. */
  readonly cwd: string
  readonly clock: Clock
  /** What the process will exit with when the command ends without throwing. Default 0. */
  setExitCode(code: number): void
}

export interface CliProcess {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdoutIsTerminal: boolean
  readonly stderrIsTerminal: boolean
  /** Of the terminal, where there is one that tells. */
  readonly terminalColumns?: number | undefined
  /** Called once with the reason when the process is asked to end. */
  readonly onSignal: (stop: (signal: string) => void) => void
  /** Left out where there is but one process. */
  readonly workers?: WorkerHost
  /** Asks on the terminal; left out where there is none. */
  readonly ask?: (question: string) => Promise<string>
  /** Before anything is written to stores. @throws FabraError where .env alone named a distant one, and nobody agrees. */
  readonly mayWrite?: () => Promise<void>
}
