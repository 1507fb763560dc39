/**
 * Events appended to sources. A request's rows are checked, then written together with those of all requests that wait: one commit for all.
 * When it is durable the features that read the source are told which keys changed, and from when on that can be seen.
 */
import type { Clock, Micros } from '../clock.ts'
import { stringifyExact } from '../definition/exact-json.ts'
import type { Registry, Source } from '../definition/model.ts'
import { formatTime } from '../definition/time.ts'
import { FabraError } from '../errors.ts'
import { SqlError, type SqlValue, type TableColumn } from '../store/ports/source-engine.ts'
import type { AppendOutcome, AppendRequest, SourceRows, SourceTable } from '../store/ports/source-rows.ts'
import { PATIENCE_MS } from '../store/recording/history-queue.ts'
import { inTime } from './in-time.ts'
import { isObject, rowError } from './row-error.ts'
import { type ColumnReader, checkKeySizes, columnReaders, readRow, visibility } from './row-values.ts'

/** Rows that may wait for their commit; more are refused as overloaded. */
const MAX_WAITING_ROWS = 100_000
/** Rows of one commit. */
const MAX_COMMIT_ROWS = 20_000
const SECOND: Micros = 1_000_000
/** A commit needs some time: rows with less than this left are told that they come too late. */
const LEAST_COMMIT_MS = 2_000
/** The store gives up so long before the sender does: then it is known what became of the rows. */
const AHEAD_MS = 200

export interface AppendReceipt {
  /** Rows that are new and now durable. */
  readonly accepted: number
  /** Rows that the source had already. */
  readonly duplicates: number
}

/** Rows that are in the source now. */
export interface AppendedRows {
  readonly source: Source
  readonly columns: readonly TableColumn[]
  readonly rows: readonly (readonly SqlValue[])[]
  /** From when on each row is seen; null: never. */
  readonly times: readonly (Micros | null)[]
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

interface Waiting {
  readonly request: AppendRequest
  readonly times: readonly (Micros | null)[]
  /** By `performance.now()`. */
  readonly deadlineAt: number
  resolve(outcome: AppendOutcome): void
  reject(error: unknown): void
}

interface Readers {
  readonly table: SourceTable
  readonly readers: readonly ColumnReader[]
}

export function createAppender(options: AppenderOptions): Appender {
  const { sourceRows, clock } = options
  const waiting: Waiting[] = []
  /** Per definition of a source: a reload brings new ones. */
  const tables = new WeakMap<Source, Promise<Readers>>()
  let waitingRows = 0
  let commits: Promise<void> | undefined

  function readersOf(source: Source): Promise<Readers> {
    let readers = tables.get(source)
    if (!readers) {
      readers = openTable(source)
      readers.catch(() => tables.delete(source))
      tables.set(source, readers)
    }
    return readers
  }

  async function openTable(source: Source): Promise<Readers> {
    const table = await reported(() => sourceRows.table(source))
    if (table?.kind === 'forbidden') {
      throw new FabraError(
        'not_appendable',
        `The source "${source.name}" takes no rows: Fabra's database user may not insert into its table.`,
        {
          hint: `GRANT INSERT ON ${source.name} TO the user of FABRA_POSTGRES_URL.`,
        },
      )
    }
    if (table?.kind === 'elsewhere') {
      throw new FabraError('not_appendable', `The source "${source.name}" takes no rows: it is in another database than Fabra's schema.`, {
        hint: 'Let FABRA_SOURCE_URL and FABRA_POSTGRES_URL name one database, or write to the table yourself.',
      })
    }
    if (table?.kind !== 'table') {
      throw new FabraError('not_appendable', `The source "${source.name}" takes no rows: it is a view.`, {
        hint: 'Append to the table that the view reads.',
      })
    }
    const keyTypes = new Map(
      [...options.registry().entities.values()].flatMap(({ key }) => key.map(({ name, type }) => [name.toLowerCase(), type] as const)),
    )
    return { table, readers: columnReaders(source, table.columns, keyTypes) }
  }

  async function append(source: Source, rows: readonly unknown[], idempotencyKey: string | null): Promise<AppendReceipt> {
    options.checkRoom()
    if (waitingRows + rows.length > MAX_WAITING_ROWS) {
      throw new FabraError('overloaded', `${waitingRows} rows are waiting to be written.`, {
        hint: 'Send less at a time, and again in a moment.',
      })
    }
    waitingRows += rows.length
    const deadlineAt = performance.now() + PATIENCE_MS
    try {
      const read = await inTime(readRequest(source, rows, idempotencyKey), deadlineAt)
      const outcome = await committed({ ...read, deadlineAt })
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
      return { accepted: rows.length - duplicates, duplicates }
    } finally {
      waitingRows -= rows.length
    }
  }

  async function readRequest(
    source: Source,
    rows: readonly unknown[],
    idempotencyKey: string | null,
  ): Promise<Pick<Waiting, 'request' | 'times'>> {
    const { table, readers } = await readersOf(source)
    const arrivedAt = clock.now()
    const values = rows.map((row, i) => {
      try {
        return readRow(source, readers, row, arrivedAt)
      } catch (error) {
        throw rowError(i, error)
      }
    })
    checkKeySizes(options.registry().entities.values(), table.columns, values)
    await checkFit(readers, values)
    const texts = source.file === null ? [] : rows.map((row) => keptText(source, row, arrivedAt))
    const content = () => new Bun.CryptoHasher('sha256').update(rows.map((row) => stringifyExact(row)).join('\n')).digest('hex')
    const times = values.map(visibility(source, table.columns))
    const request = {
      source,
      columns: table.columns,
      rows: values,
      texts,
      ids: idsOf(source, table.columns, values),
      idempotency: idempotencyKey === null ? null : { key: idempotencyKey, contentHash: content() },
      arrivedAt,
      visibleAt: roughly(times, arrivedAt),
    }
    return { request, times }
  }

  /** Types that only the engine can read, such as dates and lists. */
  async function checkFit(readers: readonly ColumnReader[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    for (const [c, { column, fit }] of readers.entries()) {
      if (fit === 'exact') continue
      const texts = rows.map((row) => (typeof row[c] === 'string' ? row[c] : null))
      if (texts.every((text) => text === null)) continue
      const unfit = await reported(() => sourceRows.firstUnfit(column.type, texts))
      if (unfit === undefined) continue
      const message = `column "${column.name}": ${JSON.stringify(texts[unfit]?.slice(0, 60))} is not ${column.type}.`
      throw rowError(unfit, new FabraError('invalid_value', message, { hint: `Send it as ${column.type} is written in SQL.` }))
    }
  }

  async function committed(read: Pick<Waiting, 'request' | 'times' | 'deadlineAt'>): Promise<AppendOutcome> {
    const { promise, resolve, reject } = Promise.withResolvers<AppendOutcome>()
    const one = { ...read, resolve, reject }
    waiting.push(one)
    commits ??= commitAll().finally(() => {
      commits = undefined
    })
    const timer = setTimeout(() => giveUp(one), read.deadlineAt - performance.now())
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  function giveUp(one: Waiting): void {
    const at = waiting.indexOf(one)
    if (at >= 0) waiting.splice(at, 1)
    one.reject(at >= 0 ? tooLate() : unanswered())
  }

  async function commitAll(): Promise<void> {
    while (waiting.length > 0) {
      // Requests that arrive in the same turn of the event loop go along.
      await new Promise((resolve) => setImmediate(resolve))
      const batch: Waiting[] = []
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
      if (batch.length > 0) await commit(batch)
    }
  }

  async function commit(batch: readonly Waiting[]): Promise<void> {
    try {
      const deadlineAt = batch.reduce((least, one) => Math.min(least, one.deadlineAt), Number.POSITIVE_INFINITY)
      const timeoutMs = deadlineAt - performance.now() - AHEAD_MS
      const requests = batch.map(({ request }) => request)
      const outcomes = await reported(() => sourceRows.append(requests, { timeoutMs }))
      for (const [i, { request, times, resolve, reject }] of batch.entries()) {
        const outcome = outcomes[i] ?? { kind: 'appended', repeats: [] }
        if (outcome.kind === 'appended') {
          const isNew = (_: unknown, r: number) => outcome.repeats[r] !== true
          const appended = { rows: request.rows.filter(isNew), times: times.filter(isNew) }
          if (appended.rows.length > 0) options.onAppended({ source: request.source, columns: request.columns, ...appended })
        }
        if (outcome.kind === 'failed') reject(asStoreFailure(outcome.error))
        else resolve(outcome)
      }
    } catch (error) {
      for (const { request, reject } of batch) {
        // The table may have been changed meanwhile.
        tables.delete(request.source)
        reject(error)
      }
    }
  }

  return { append, idle: async () => commits }
}

/** To the second, and what is seen already as one: after a restart it need not be known better. */
function roughly(times: readonly (Micros | null)[], now: Micros): Micros[] {
  return [...new Set(times.flatMap((at) => (at === null ? [] : [at <= now ? now : Math.ceil(at / SECOND) * SECOND])))]
}

/** The row as it was sent; with the time of its arrival where the sender left that to us. */
function keptText(source: Source, row: unknown, arrivedAt: Micros): string {
  const { available } = source
  if (available === null || !isObject(row) || Object.hasOwn(row, available)) return stringifyExact(row)
  return stringifyExact({ ...row, [available]: formatTime(arrivedAt) })
}

/** Each row's id as the engine writes it. Ids of odd types are left to the queries, which drop repeats too. */
function idsOf(source: Source, columns: readonly TableColumn[], rows: readonly (readonly SqlValue[])[]): (string | null)[] {
  const at = source.id === null ? -1 : columns.findIndex(({ name }) => name.toLowerCase() === source.id?.toLowerCase())
  if (at < 0) return rows.map(() => null)
  const isUuid = columns[at]?.type === 'UUID'
  return rows.map((row) => {
    const id = row[at]
    if (typeof id === 'number' || typeof id === 'bigint') return String(id)
    if (typeof id !== 'string') return null
    return isUuid ? id.toLowerCase().replace(/^\{?(\w{8})-?(\w{4})-?(\w{4})-?(\w{4})-?(\w{12})\}?$/, '$1-$2-$3-$4-$5') : id
  })
}

function tooLate(): FabraError {
  return new FabraError('store_unavailable', 'The rows were not written: the store did not take them in time.', {
    hint: 'Nothing of them is there. Send them again in a few seconds.',
  })
}

function unanswered(): FabraError {
  return new FabraError('outcome_unknown', 'The store did not answer in time: the rows may be in the table or not.', {
    hint: 'Send the same rows again where they have an id or an Idempotency-Key: what is there already is dropped. Else look first.',
  })
}

async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStoreFailure(error)
  }
}

function asStoreFailure(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error
  return new FabraError('store_unavailable', 'The rows could not be written.', {
    hint: 'Check that the store is up and its disk not full. The log has the reason.',
    cause: error,
  })
}
