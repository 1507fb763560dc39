import type { DuckDBConnection, DuckDBDataChunk, DuckDBMaterializedResult, DuckDBPreparedStatement, DuckDBType } from '@duckdb/node-api'
import { StatementType } from '@duckdb/node-api'
import { createPace } from '../../../collections/yielding.ts'
import { type ResultRows, type RunOptions, SqlError, type SqlValue, type TakeRows } from '../../ports/source-engine.ts'
import { createKnownSelects } from './known-selects.ts'
import { isDurable, toSqlError } from './sql-errors.ts'
import { createStatementCache } from './statement-cache.ts'
import { appendRows, toParameter, typeName } from './values.ts'

/** How often a running statement is told again to stop: an interrupt that comes before the engine has begun is forgotten by it. */
const INTERRUPT_EVERY_MS = 10

/** Rows converted without a look at the clock. */
const CHUNK = 500

/** One connection with deadlines. Runs one statement at a time; the pool sees to that. */
export interface Session {
  readonly connection: DuckDBConnection
  /** Our own statement; may hold several. */
  execute(text: string, options: RunOptions): Promise<void>
  /** Our own statement that runs again and again and reads no table that grows: it is kept prepared. */
  repeat(text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<ResultRows>
  /** Our own statement, with rows. */
  read(text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<ResultRows>
  /** Our own statement, its rows kept by the engine and converted as they are asked for; the session is free meanwhile. */
  open(text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<OpenResult>
  /** Our own statement, its rows chunk by chunk as the engine makes them: none is kept. @param begin Is told the columns, and takes the chunks. */
  stream(
    text: string,
    options: RunOptions,
    begin: (columns: readonly ResultColumn[]) => (chunk: DuckDBDataChunk) => Promise<void>,
  ): Promise<void>
  /** A user's statement: exactly one SELECT. @throws SqlError */
  select(text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<ResultRows>
  /** The same, its rows told some at a time. @throws SqlError */
  selectInto(take: TakeRows, text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<void>
  /** Binds a user's statement without running it. @throws SqlError */
  describe(text: string): Promise<ResultRows['columns']>
  /** What the engine said when it committed, and let the database go right after it; undefined: it did not. */
  invalidated(): unknown
  close(): void
}

export interface ResultColumn {
  readonly name: string
  readonly type: DuckDBType
}

interface Request {
  readonly text: string
  readonly parameters: readonly SqlValue[]
  readonly options: RunOptions
}

/** A result held by the engine. */
export interface OpenResult {
  readonly chunkCount: number
  /** Rows of the chunks `from` to `to` (excluded). */
  rows(from: number, to: number): SqlValue[][]
  /** All of them, each converted when its turn has come: for rows that are large. */
  each(): Iterable<readonly SqlValue[]>
}

export function createSession(connection: DuckDBConnection): Session {
  const cache = createStatementCache()
  const knownSelects = createKnownSelects()
  const own = (text: string) => connection.prepare(text)
  const users = async (text: string) => {
    if (knownSelects.parametersOf(text) !== undefined) return connection.prepare(text)
    const prepared = await prepareOne(connection, text)
    knownSelects.add(text, prepared.parameterCount)
    return prepared
  }
  const start = (prepared: DuckDBPreparedStatement, text: string, parameters: readonly SqlValue[], options: RunOptions) =>
    withDeadline(connection, text, options, () => {
      bind(prepared, parameters)
      return prepared.run()
    })
  const run = <T>(
    prepare: (text: string) => Promise<DuckDBPreparedStatement>,
    request: Request,
    convert: (result: DuckDBMaterializedResult) => T | Promise<T>,
  ): Promise<T> =>
    withPrepared(request.text, prepare, async (prepared) =>
      convert(await start(prepared, request.text, request.parameters, request.options)),
    )

  const runKept = async <T>(
    prepared: DuckDBPreparedStatement,
    { text, parameters, options }: Request,
    convert: (result: DuckDBMaterializedResult) => Promise<T>,
  ): Promise<T> => {
    try {
      const converted = await convert(await start(prepared, text, parameters, options))
      // Else it would hold on to parameters of megabytes until its next run.
      prepared.clearBindings()
      cache.put(text, prepared)
      return converted
    } catch (error) {
      prepared.destroySync()
      throw error
    }
  }
  /**
   * In one transaction, since what the engine plans holds for the rows that are there when it plans: run over rows that came later, a plan gives wrong
   * values or ends the process. For the same reason it is not kept for the next time. (Nor may an ASOF JOIN be run twice.) A text without parameters
   * that is known to be one SELECT is handed over as it is: the engine then plans and runs it in a transaction of its own, in one go.
   */
  const select = async <T>(request: Request, convert: (result: DuckDBMaterializedResult) => Promise<T>): Promise<T> => {
    const { text, parameters, options } = request
    if (parameters.length === 0 && knownSelects.parametersOf(text) === 0) {
      return convert(await withDeadline(connection, text, options, () => connection.run(text)))
    }
    await connection.run('BEGIN TRANSACTION').catch((error: unknown) => {
      throw toSqlError(error, text)
    })
    try {
      return await run(users, request, convert)
    } finally {
      // Of a database that has failed there is nothing to roll back, and its failure is known.
      await connection.run('ROLLBACK').catch(() => undefined)
    }
  }
  let invalidated: unknown
  /** A commit that went well has no rows to tell where the engine failed after it. */
  const committed = async <T>(work: Promise<T>, nothing: T): Promise<T> => {
    try {
      return await work
    } catch (error) {
      if (!isDurable(error)) throw error
      invalidated = error
      return nothing
    }
  }
  const repeat = async (request: Request) => runKept(cache.take(request.text) ?? (await prepareFor(request.text, own)), request, toRows)
  return {
    connection,
    execute: (text, options) =>
      committed(
        withDeadline(connection, text, options, async () => {
          await connection.run(text)
        }),
        undefined,
      ),
    repeat: (text, parameters, options) => committed(repeat({ text, parameters, options }), NO_ROWS),
    read: (text, parameters, options) => committed(run(own, { text, parameters, options }, toRows), NO_ROWS),
    open: (text, parameters, options) => run(own, { text, parameters, options }, toOpenResult),
    stream: (text, options, begin) =>
      withDeadline(connection, text, options, async () => {
        const result = await connection.stream(text)
        const take = begin(
          Array.from({ length: result.columnCount }, (_, i) => ({ name: result.columnName(i), type: result.columnType(i) })),
        )
        for await (const chunk of result) await take(chunk)
      }),
    select: (text, parameters, options) => select({ text, parameters, options }, toRows),
    selectInto: (take, text, parameters, options) => select({ text, parameters, options }, (result) => takeRows(result, take)),
    describe: (text) =>
      withPrepared(text, users, async (prepared) =>
        Array.from({ length: prepared.columnCount }, (_, i) => ({ name: prepared.columnName(i), type: typeName(prepared.columnType(i)) })),
      ),
    invalidated: () => invalidated,
    close() {
      cache.clear()
      connection.closeSync()
    },
  }
}

const NO_ROWS: ResultRows = { columns: [], rows: [] }

async function prepareFor(text: string, prepare: (text: string) => Promise<DuckDBPreparedStatement>): Promise<DuckDBPreparedStatement> {
  try {
    return await prepare(text)
  } catch (error) {
    throw toSqlError(error, text)
  }
}

async function withPrepared<T>(
  text: string,
  prepare: (text: string) => Promise<DuckDBPreparedStatement>,
  use: (prepared: DuckDBPreparedStatement) => Promise<T>,
): Promise<T> {
  const prepared = await prepareFor(text, prepare)
  try {
    return await use(prepared)
  } finally {
    prepared.destroySync()
  }
}

async function prepareOne(connection: DuckDBConnection, text: string): Promise<DuckDBPreparedStatement> {
  // The driver fails without a word on a statement of nothing but blanks and comments.
  if (/^(\s|;|--[^\n]*(\n|$)|\/\*[\s\S]*?\*\/)*$/.test(text)) throw new SqlError('syntax', 'The statement is empty.', 0)
  const statements = await connection.extractStatements(text)
  if (statements.count !== 1) {
    throw new SqlError('syntax', statements.count === 0 ? 'The statement is empty.' : 'Expected one statement, found several.', null)
  }
  const prepared = await statements.prepare(0)
  if (prepared.statementType === StatementType.SELECT) return prepared
  prepared.destroySync()
  throw new SqlError('syntax', 'Only SELECT statements can be run.', null)
}

function bind(prepared: DuckDBPreparedStatement, parameters: readonly SqlValue[]): void {
  if (prepared.parameterCount !== parameters.length) {
    throw new SqlError('binding', `The statement takes ${prepared.parameterCount} parameters, ${parameters.length} were given.`, null)
  }
  for (const [i, parameter] of parameters.entries()) {
    const { value, type } = toParameter(parameter)
    prepared.bindValue(i + 1, value, type)
  }
}

async function toRows(result: DuckDBMaterializedResult): Promise<ResultRows> {
  const rows: SqlValue[][] = []
  await eachChunk(result, (chunk, from, to) => appendRows(chunk, rows, from, to))
  return { columns: columnsOf(result), rows }
}

async function takeRows(result: DuckDBMaterializedResult, take: TakeRows): Promise<void> {
  const columns = columnsOf(result)
  if (result.chunkCount === 0) take([], columns)
  await eachChunk(result, (chunk, from, to) => {
    const rows: SqlValue[][] = []
    appendRows(chunk, rows, from, to)
    take(rows, columns)
  })
}

function columnsOf(result: DuckDBMaterializedResult): ResultRows['columns'] {
  return Array.from({ length: result.columnCount }, (_, i) => ({ name: result.columnName(i), type: typeName(result.columnType(i)) }))
}

/** All rows, some at a time, and others get their turn in between. */
async function eachChunk(
  result: DuckDBMaterializedResult,
  look: (chunk: DuckDBDataChunk, from: number, to: number) => void,
): Promise<void> {
  const pace = createPace()
  for (let i = 0; i < result.chunkCount; i++) {
    const chunk = result.getChunk(i)
    for (let from = 0; from < chunk.rowCount; from += CHUNK) {
      const wait = pace()
      if (wait) await wait
      look(chunk, from, Math.min(from + CHUNK, chunk.rowCount))
    }
  }
}

function toOpenResult(result: DuckDBMaterializedResult): OpenResult {
  return {
    chunkCount: result.chunkCount,
    rows(from, to) {
      const rows: SqlValue[][] = []
      for (let i = from; i < to; i++) appendRows(result.getChunk(i), rows)
      return rows
    },
    *each() {
      for (let i = 0; i < result.chunkCount; i++) {
        const chunk = result.getChunk(i)
        for (let row = 0; row < chunk.rowCount; row++) {
          const rows: SqlValue[][] = []
          appendRows(chunk, rows, row, row + 1)
          yield* rows
        }
      }
    },
  }
}

/** Runs `work`; at the deadline or the signal the engine is interrupted until it lets go, so the connection is free again afterwards. */
async function withDeadline<T>(connection: DuckDBConnection, text: string, options: RunOptions, work: () => Promise<T>): Promise<T> {
  if (options.signal.aborted) throw new SqlError('interrupted', 'The statement was given up before it ran.', null)
  if (options.timeoutMs <= 0) throw new SqlError('timeout', 'The deadline had passed before the statement ran.', null)
  let reason: 'timeout' | 'interrupted' | undefined
  let repeat: ReturnType<typeof setInterval> | undefined
  const stop = (why: 'timeout' | 'interrupted') => {
    if (reason) return
    reason = why
    connection.interrupt()
    repeat = setInterval(() => connection.interrupt(), INTERRUPT_EVERY_MS)
  }
  const onAbort = () => stop('interrupted')
  const timer = setTimeout(() => stop('timeout'), Math.min(options.timeoutMs, 2 ** 31 - 1))
  options.signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await work()
  } catch (error) {
    const failure = toSqlError(error, text)
    if (failure.kind !== 'interrupted' || reason !== 'timeout') throw failure
    throw new SqlError('timeout', `The statement took longer than ${Math.round(options.timeoutMs)} ms.`, null, error)
  } finally {
    clearTimeout(timer)
    clearInterval(repeat)
    options.signal.removeEventListener('abort', onAbort)
  }
}
