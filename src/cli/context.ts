import type { Clock } from '../clock.ts'

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
