import type { AppendOutcome, SourceRows } from '../store/ports/source-rows.ts'
import { asStoreFailure, reported, tooLate, unanswered } from './append-errors.ts'
import type { ReadRequest } from './append-request.ts'
import type { AppendedRows } from './appended-rows.ts'
import type { SourceTables } from './source-tables.ts'

/** Rows of one commit. */
const MAX_COMMIT_ROWS = 20_000
/** A commit needs some time: rows with less than this left are told that they come too late. */
const LEAST_COMMIT_MS = 2_000
/** The store gives up so long before the sender does: then it is known what became of the rows. */
const AHEAD_MS = 200

interface WaitingRequest extends ReadRequest {
  /** By `performance.now()`. */
  readonly deadlineAt: number
  resolve(outcome: AppendOutcome): void
  reject(error: unknown): void
}

export interface AppendCommitsOptions {
  readonly sourceRows: Pick<SourceRows, 'append'>
  readonly tables: SourceTables
  /** Called when rows are durable and in the table. */
  readonly onAppended: (appended: AppendedRows) => void
}

/** Writes the requests that wait together, one commit after another. */
export class AppendCommits {
  private readonly options: AppendCommitsOptions
  private readonly waiting: WaitingRequest[] = []
  private running: Promise<void> | undefined

  constructor(options: AppendCommitsOptions) {
    this.options = options
  }

  /** @returns what became of the rows, at the deadline at the latest. @throws FabraError store_unavailable, outcome_unknown */
  async add(read: ReadRequest, deadlineAt: number): Promise<AppendOutcome> {
    const { promise, resolve, reject } = Promise.withResolvers<AppendOutcome>()
    const one = { ...read, deadlineAt, resolve, reject }
    this.waiting.push(one)
    this.running ??= this.commitAll().finally(() => {
      this.running = undefined
    })
    const timer = setTimeout(() => this.giveUp(one), deadlineAt - performance.now())
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.running
  }

  private giveUp(one: WaitingRequest): void {
    const at = this.waiting.indexOf(one)
    if (at >= 0) this.waiting.splice(at, 1)
    one.reject(at >= 0 ? tooLate() : unanswered())
  }

  private async commitAll(): Promise<void> {
    while (this.waiting.length > 0) {
      // Requests that arrive in the same turn of the event loop go along.
      await new Promise((resolve) => setImmediate(resolve))
      const batch = this.take()
      if (batch.length > 0) await this.commit(batch)
    }
  }

  /** What goes into the next commit. */
  private take(): WaitingRequest[] {
    const { waiting } = this
    const batch: WaitingRequest[] = []
    let count = 0
    for (let next = waiting[0]; next && (batch.length === 0 || count + next.request.rows.length <= MAX_COMMIT_ROWS); next = waiting[0]) {
      waiting.shift()
      if (next.deadlineAt - performance.now() < LEAST_COMMIT_MS) {
        next.reject(tooLate())
        continue
      }
      batch.push(next)
      count += next.request.rows.length
    }
    return batch
  }

  private async commit(batch: readonly WaitingRequest[]): Promise<void> {
    const { sourceRows, tables } = this.options
    try {
      const deadlineAt = batch.reduce((least, one) => Math.min(least, one.deadlineAt), Number.POSITIVE_INFINITY)
      const timeoutMs = deadlineAt - performance.now() - AHEAD_MS
      const requests = batch.map(({ request }) => request)
      const outcomes = await reported(() => sourceRows.append(requests, { timeoutMs }))
      for (const [i, one] of batch.entries()) this.answer(one, outcomes[i] ?? { kind: 'appended', repeats: [] })
    } catch (error) {
      for (const { request, reject } of batch) {
        // The table may have been changed meanwhile.
        tables.drop(request.source)
        reject(error)
      }
    }
  }

  private answer({ request, times, resolve, reject }: WaitingRequest, outcome: AppendOutcome): void {
    // Of rows that were there already too: whoever appended them may have died before anything followed, and only who sends them again knows of them.
    if (outcome.kind === 'appended' && request.rows.length > 0)
      this.options.onAppended({ source: request.source, columns: request.columns, rows: request.rows, times })
    if (outcome.kind === 'failed') reject(asStoreFailure(outcome.error))
    else resolve(outcome)
  }
}
