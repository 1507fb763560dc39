import type { Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'

/** What one refresh of one feature did. */
export interface Run {
  /** Time-ordered, unique among all processes. */
  readonly id: string
  readonly feature: string
  readonly reason: 'schedule' | 'request' | 'new version'
  readonly startedAt: Micros
  /** Null while it runs. */
  finishedAt: Micros | null
  /** Keys to compute, computed to another value than before, and failed. */
  keys: number
  changed: number
  failed: number
  /** Keys left out since no such key can be. */
  skipped: number
  /** The first failure's words; else why keys were left out. */
  error: string | null
}

/** Keys that were left out are told of, and are no failure of the others. */
export function hasFailed({ failed, skipped, error }: Pick<Run, 'failed' | 'skipped' | 'error'>): boolean {
  return failed > 0 || (error !== null && skipped === 0)
}

export interface RunFilter {
  readonly feature?: string
  readonly limit: number
}

/** Runs remembered here, and those that may wait to be kept; the oldest is forgotten. */
const MAX_RUNS = 1_000
const KEEP_EVERY_MS = 1_000
/** Longest wait of somebody who asked for a run until it is kept. */
const PATIENCE_MS = 500

export interface Runs {
  begin(feature: string, reason: Run['reason'], at: Micros): Run
  end(run: Run, at: Micros): void
  /** Runs of this process since its start, newest first. */
  list(filter: RunFilter): readonly Run[]
}

/** @param onEnd Told of each run that has ended. */
export function createRuns(onEnd: (run: Run) => void = () => undefined): Runs {
  const runs: Run[] = []
  return {
    begin(feature, reason, at) {
      const id = Bun.randomUUIDv7('hex', Math.floor(at / 1000))
      const run: Run = { id, feature, reason, startedAt: at, finishedAt: null, keys: 0, changed: 0, failed: 0, skipped: 0, error: null }
      runs.push(run)
      if (runs.length > MAX_RUNS) runs.shift()
      return run
    },
    end(run, at) {
      run.finishedAt = at
      onEnd(run)
    },
    list({ feature, limit }) {
      const wanted = feature === undefined ? runs : runs.filter((run) => run.feature === feature)
      return wanted.slice(-limit).reverse()
    },
  }
}

/** A run that did not come about. */
export function unlistedRun(runs: Runs, { name, entity }: Feature, error: unknown, at: Micros): Run {
  const run = runs.begin(name, 'schedule', at)
  run.error = `The keys of ${entity} could not be listed: ${error instanceof FabraError ? error.message : 'the log has the reason.'}`
  runs.end(run, at)
  return run
}

export interface KeptRuns {
  readonly runs: Runs
  /** Runs of all processes, also from before this one; of others only those that have ended. */
  list(filter: RunFilter): Promise<readonly Run[]>
  /** Keeps a run that has ended now, so that other processes tell of it too; a store that takes long is not waited for. @returns the run. */
  keep(run: Run): Promise<Run>
  /** Keeps what waits. */
  close(): Promise<void>
}

/** Runs that outlive the process. They are kept together, a moment after they ended; what the store refuses is tried again. */
export function createKeptRuns(
  admin: Pick<AdminStore, 'addRuns' | 'runs'>,
  onProblem: (message: string, cause: unknown) => void,
): KeptRuns {
  let waiting: Run[] = []
  let timer: Timer | undefined
  let isFailing = false
  const runs = createRuns((run) => {
    waiting.push(run)
    if (waiting.length > MAX_RUNS) waiting.shift()
    timer ??= setTimeout(keep, KEEP_EVERY_MS)
    timer.unref()
  })

  /** One after the other: when it resolves, what waited before is kept or was refused. */
  let keeping = Promise.resolve()
  function keep(): Promise<void> {
    keeping = keeping.then(keepWaiting)
    return keeping
  }

  async function keepWaiting(): Promise<void> {
    timer = undefined
    const taken = waiting
    waiting = []
    if (taken.length === 0) return
    try {
      await admin.addRuns(taken.flatMap((run) => (run.finishedAt === null ? [] : [{ ...run, finishedAt: run.finishedAt }])))
      isFailing = false
    } catch (error) {
      waiting = [...taken, ...waiting].slice(-MAX_RUNS)
      if (!isFailing) onProblem('What refreshes did could not be kept; it is tried again with the next run.', error)
      isFailing = true
    }
  }

  return {
    runs,
    async list(filter) {
      const here = runs.list(filter)
      const ids = new Set(here.map(({ id }) => id))
      const kept = (await admin.runs(filter))
        .filter(({ id }) => !ids.has(id))
        .map((run) => ({ ...run, skipped: 0, reason: run.reason as Run['reason'] }))
      return [...here, ...kept].sort((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1)).slice(0, filter.limit)
    },
    async keep(run) {
      clearTimeout(timer)
      const patience = Promise.withResolvers<void>()
      const over = setTimeout(patience.resolve, PATIENCE_MS)
      await Promise.race([keep(), patience.promise])
      clearTimeout(over)
      return run
    },
    async close() {
      clearTimeout(timer)
      await keep()
    },
  }
}
