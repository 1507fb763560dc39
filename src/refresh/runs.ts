import type { Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import type { RunRecord } from '../store/ports/run-store.ts'

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
  /** Of the keys, those computed or failed already. */
  done: number
  /** Of the first failure; null: there is none, or it is not known of a run that was kept. */
  fault: RunFault | null
}

/** The first failure of a run. */
export interface RunFault {
  readonly code: string
  /** What the engine or the function said, which may hold data of the user's; null: no more than the run's own words. */
  readonly detail: string | null
  readonly place: { readonly file: string; readonly line: number } | null
}

/** Keys that were left out are told of, and are no failure of the others. */
export function hasFailed({ failed, skipped, error }: Pick<Run, 'failed' | 'skipped' | 'error'>): boolean {
  return failed > 0 || (error !== null && skipped === 0)
}

export interface RunFilter {
  readonly feature?: string
  readonly limit: number
}

/** Told of runs as they begin, go on and end. */
export interface RunWatch {
  began(run: Run): void
  wentOn(run: Run): void
  ended(run: Run): void
}

const NOBODY: RunWatch = { began: () => undefined, wentOn: () => undefined, ended: () => undefined }

/** Runs remembered here, and those that may wait to be kept; the oldest is forgotten. */
const MAX_RUNS = 1_000
const KEEP_EVERY_MS = 1_000
/** Longest wait of somebody who asked for a run until it is kept. */
const PATIENCE_MS = 500

export interface Runs {
  begin(feature: string, reason: Run['reason'], at: Micros): Run
  /** Some of its keys are done. */
  goOn(run: Run): void
  end(run: Run, at: Micros): void
  /** Runs of this process since its start, newest first. */
  list(filter: RunFilter): readonly Run[]
}

export function createRuns(watch: RunWatch = NOBODY): Runs {
  const runs: Run[] = []
  return {
    begin(feature, reason, at) {
      const id = Bun.randomUUIDv7('hex', Math.floor(at / 1000))
      const nothing = { finishedAt: null, keys: 0, changed: 0, failed: 0, skipped: 0, error: null, done: 0, fault: null }
      const run: Run = { id, feature, reason, startedAt: at, ...nothing }
      runs.push(run)
      if (runs.length > MAX_RUNS) runs.shift()
      watch.began(run)
      return run
    },
    goOn: watch.wentOn,
    end(run, at) {
      run.finishedAt = at
      watch.ended(run)
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

/** Of a run that was kept. */
export function fromRecord(record: RunRecord): Run {
  return { ...record, reason: record.reason as Run['reason'], skipped: 0, done: record.keys, fault: null }
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
  watch: RunWatch = NOBODY,
): KeptRuns {
  let waiting: Run[] = []
  let timer: Timer | undefined
  let isFailing = false
  const runs = createRuns({
    ...watch,
    ended(run) {
      watch.ended(run)
      waiting.push(run)
      if (waiting.length > MAX_RUNS) waiting.shift()
      timer ??= setTimeout(keep, KEEP_EVERY_MS)
      timer.unref()
    },
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
      const kept = (await admin.runs(filter)).filter(({ id }) => !ids.has(id)).map(fromRecord)
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
