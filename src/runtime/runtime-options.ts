import type { Micros } from '../clock.ts'
import type { RuntimeLog } from './frames.ts'
import type { PythonSettings } from './python/worker.ts'

export interface RuntimeOptions {
  /** Absolute paths of the files that define features. */
  readonly files: readonly string[]
  /** Threads that run functions. Default 2. */
  readonly workers?: number
  /** Added to the present that user code sees (`--clock`). Default 0. */
  readonly clockOffset?: Micros
  /** Longest time the files' top-level code may take. Milliseconds, default 30,000. */
  readonly loadTimeoutMs?: number
  readonly log: RuntimeLog
  /** Where functions of TypeScript run: threads of this process, or processes of their own. Default `thread`. */
  readonly isolation?: 'thread' | 'process' | undefined
  /** What starts the processes that run Python, and bounds all that run functions; left out where there is none. */
  readonly python?: PythonSettings | undefined
}
