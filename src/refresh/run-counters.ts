import { hasFailed, type Run } from './runs.ts'

/** What the refreshes of one feature did in this process since its start. */
export interface RunTotals {
  done: number
  failed: number
  /** Of the runs that are over. */
  milliseconds: number
  keys: number
  keysFailed: number
  /** End of the last run that did not fail, by the wall clock; null: there is none yet. */
  succeededAtMs: number | null
}

/** Counts runs for whoever watches from outside: numbers only rise. */
export class RunCounters {
  readonly totals = new Map<string, RunTotals>()

  ended(run: Run): void {
    if (run.finishedAt === null) return
    const totals = this.of(run.feature)
    const isFailed = hasFailed(run)
    totals[isFailed ? 'failed' : 'done']++
    totals.milliseconds += (run.finishedAt - run.startedAt) / 1_000
    totals.keys += run.keys
    totals.keysFailed += run.failed
    if (!isFailed) totals.succeededAtMs = run.finishedAt / 1_000
  }

  private of(feature: string): RunTotals {
    let totals = this.totals.get(feature)
    if (!totals) {
      totals = { done: 0, failed: 0, milliseconds: 0, keys: 0, keysFailed: 0, succeededAtMs: null }
      this.totals.set(feature, totals)
    }
    return totals
  }
}
