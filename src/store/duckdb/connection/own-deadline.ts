import type { RunOptions } from '../../ports/source-engine.ts'

/** For Fabra's own statements, which nobody waits for with a deadline of their own. */
export function ownDeadline(timeoutMs = 60_000): RunOptions {
  return { signal: new AbortController().signal, timeoutMs }
}
