/**
 * Events appended to sources. A request's rows are checked, then written together with those of all requests that wait: one commit for all.
 * When it is durable the features that read the source are told which keys changed, and from when on that can be seen.
 */
import type { Clock } from '../clock.ts'
import type { Registry, Source } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { AppendOutcome, SourceRows } from '../store/ports/source-rows.ts'
import { PATIENCE_MS } from '../store/recording/history-queue.ts'
import { AppendCommits } from './append-commits.ts'
import { readRequest } from './append-request.ts'
import type { AppendedRows } from './appended-rows.ts'
import { inTime } from './in-time.ts'
import { SourceTables } from './source-tables.ts'

/** Rows that may wait for their commit; more are refused as overloaded. */
const MAX_WAITING_ROWS = 100_000

export interface AppendReceipt {
  /** Rows that are new and now durable. */
  readonly accepted: number
  /** Rows that the source had already. */
  readonly duplicates: number
}

export interface Appender {
  /**
   * All rows or none; durable when it resolves.
   * @throws FabraError naming the row and column that is wrong; not_appendable, overloaded, store_unavailable.
   */
  append(source: Source, rows: readonly unknown[], idempotencyKey: string | null): Promise<AppendReceipt>
  /** Resolves when nothing waits for its commit. */
  idle(): Promise<void>
}

export interface AppenderOptions {
  readonly sourceRows: SourceRows
  readonly clock: Clock
  readonly registry: () => Registry
  /** Called when rows are durable and in the table. */
  readonly onAppended: (appended: AppendedRows) => void
  /** @throws FabraError overloaded when features are too far behind. */
  readonly checkRoom: () => void
}

export function createAppender({ sourceRows, clock, registry, onAppended, checkRoom }: AppenderOptions): Appender {
  const tables = new SourceTables(sourceRows, registry)
  const commits = new AppendCommits({ sourceRows, tables, onAppended })
  let waitingRows = 0

  return {
    async append(source, rows, idempotencyKey) {
      checkRoom()
      if (waitingRows + rows.length > MAX_WAITING_ROWS) {
        throw new FabraError('overloaded', `${waitingRows} rows are waiting to be written.`, {
          hint: 'Send less at a time, and again in a moment.',
        })
      }
      waitingRows += rows.length
      const deadlineAt = performance.now() + PATIENCE_MS
      try {
        const read = await inTime(readRequest({ source, rows, idempotencyKey }, { tables, registry, clock }), deadlineAt)
        return receiptOf(source, rows.length, await commits.add(read, deadlineAt))
      } finally {
        waitingRows -= rows.length
      }
    },
    idle: () => commits.idle(),
  }
}

/** @throws FabraError where the table did not take the rows */
function receiptOf(source: Source, rowCount: number, outcome: AppendOutcome): AppendReceipt {
  if (outcome.kind === 'conflict') {
    throw new FabraError('invalid_input', 'The Idempotency-Key was used before, for other rows.', {
      hint: 'Use a new key for every request, and the same one only to send the same rows again.',
    })
  }
  if (outcome.kind === 'refused') {
    throw new FabraError('invalid_value', `The table of "${source.name}" does not take the rows: ${outcome.why}`, {
      hint: 'Send rows that meet the constraints of the table.',
    })
  }
  const duplicates = outcome.repeats.filter((repeat) => repeat).length
  return { accepted: rowCount - duplicates, duplicates }
}
