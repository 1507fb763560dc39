import type { Micros } from '../clock.ts'

/** What one refresh of one feature did. */
export interface Run {
  readonly id: number
  readonly feature: string
  readonly reason: 'schedule' | 'request' | 'new version'
  readonly startedAt: Micros
  /** Null while it runs. */
  finishedAt: Micros | null
  /** Keys to compute, computed to another value than before, and failed. */
  keys: number
  changed: number
  failed: number
  /** The first failure's words. */
  error: string | null
}

/** Runs remembered; the oldest is forgotten. */
const MAX_RUNS = 1_000

export interface Runs {
  begin(feature: string, reason: Run['reason'], at: Micros): Run
  /** Newest first. */
  list(filter: { readonly feature?: string; readonly limit: number }): readonly Run[]
}

export function createRuns(): Runs {
  const runs: Run[] = []
  let lastId = 0
  return {
    begin(feature, reason, at) {
      const run: Run = { id: ++lastId, feature, reason, startedAt: at, finishedAt: null, keys: 0, changed: 0, failed: 0, error: null }
      runs.push(run)
      if (runs.length > MAX_RUNS) runs.shift()
      return run
    },
    list({ feature, limit }) {
      const wanted = feature === undefined ? runs : runs.filter((run) => run.feature === feature)
      return wanted.slice(-limit).reverse()
    },
  }
}
