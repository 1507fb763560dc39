/** What the last runs of each feature say together: whether it fails and since when, when it last succeeded, how long a run usually takes. */
import type { Micros } from '../clock.ts'
import type { AdminStore } from '../store/ports/admin-store.ts'
import { fromRecord, hasFailed, type Run, type RunWatch } from './runs.ts'

/** Durations that the usual one is the median of. */
const DURATIONS = 100
/** Of fewer nothing is usual. */
const FEWEST_DURATIONS = 3
/** Runs of before the start that are looked at, of all features. */
const RUNS_OF_BEFORE = 5_000

export interface FeatureRuns {
  /** Under way here. */
  readonly running: Run | null
  /** The last that ended. */
  readonly last: Run | null
  /** In a row, the last one among them. */
  readonly failures: number
  readonly failingSince: Micros | null
  /** Beginning of the last run in which some keys were computed: values are no older. */
  readonly refreshedAt: Micros | null
  /** Median of the last days; null: too few. */
  readonly usualMs: number | null
}

export interface RunFigures extends RunWatch {
  of(feature: string): FeatureRuns
  /** Runs of before this process. */
  load(admin: Pick<AdminStore, 'runs'>): Promise<void>
}

interface Book {
  running: Run | null
  last: Run | null
  failures: number
  failingSince: Micros | null
  refreshedAt: Micros | null
  readonly durations: number[]
}

export function createRunFigures(): RunFigures {
  const books = new Map<string, Book>()
  const bookOf = (feature: string): Book => {
    let book = books.get(feature)
    if (!book) {
      book = { running: null, last: null, failures: 0, failingSince: null, refreshedAt: null, durations: [] }
      books.set(feature, book)
    }
    return book
  }
  const take = (run: Run, book: Book) => {
    if (run.finishedAt === null || (book.last && book.last.startedAt > run.startedAt)) return
    book.last = run
    if (!hasFailed(run)) {
      book.failures = 0
      book.failingSince = null
    } else {
      book.failures++
      book.failingSince ??= run.finishedAt
    }
    if (run.keys > run.failed) book.refreshedAt = run.startedAt
    else if (!hasFailed(run) && run.keys === 0) book.refreshedAt ??= run.startedAt
    if (run.keys === 0 || hasFailed(run)) return
    book.durations.push((run.finishedAt - run.startedAt) / 1000)
    if (book.durations.length > DURATIONS) book.durations.shift()
  }
  return {
    began(run) {
      bookOf(run.feature).running = run
    },
    wentOn: () => undefined,
    ended(run) {
      const book = bookOf(run.feature)
      if (book.running === run) book.running = null
      take(run, book)
    },
    of(feature) {
      const book = books.get(feature)
      return { running: null, last: null, failures: 0, failingSince: null, refreshedAt: null, ...book, usualMs: medianOf(book?.durations) }
    },
    async load(admin) {
      const earlier = (await admin.runs({ limit: RUNS_OF_BEFORE })).map(fromRecord)
      for (const run of earlier.toReversed()) {
        const book = bookOf(run.feature)
        if (book.last === null || book.last.startedAt < run.startedAt) take(run, book)
      }
    },
  }
}

function medianOf(durations: readonly number[] | undefined): number | null {
  if (durations === undefined || durations.length < FEWEST_DURATIONS) return null
  return durations.toSorted((a, b) => a - b)[Math.floor(durations.length / 2)] ?? null
}
