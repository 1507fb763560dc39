import type { DuckDBConnection, DuckDBMaterializedResult, DuckDBPreparedStatement } from '@duckdb/node-api'
import { StatementType } from '@duckdb/node-api'
import { type ResultRows, type RunOptions, SqlError, type SqlValue } from '../source-store.ts'
import { toSqlError } from './sql-errors.ts'
import { appendRows, toParameter, typeName } from './values.ts'

/** How often a running statement is told again to stop: an interrupt that comes before the engine has begun is forgotten by it. */
const INTERRUPT_EVERY_MS = 10

/** One connection with deadlines. Runs one statement at a time; the pool sees to that. */
export interface Session {
  readonly connection: DuckDBConnection
  /** Our own statement; may hold several. */
  execute(text: string, options: RunOptions): Promise<void>
  /** Our own statement, with rows. */
  read(text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<ResultRows>
  /** A user's statement: exactly one SELECT. @throws SqlError */
  select(text: string, parameters: readonly SqlValue[], options: RunOptions): Promise<ResultRows>
  /** Binds a user's statement without running it. @throws SqlError */
  describe(text: string): Promise<ResultRows['columns']>
}

export function createSession(connection: DuckDBConnection): Session {
  const run = (prepared: DuckDBPreparedStatement, text: string, parameters: readonly SqlValue[], options: RunOptions) =>
    withDeadline(connection, text, options, async () => {
      bind(prepared, parameters)
      return toRows(await prepared.run())
    })
  return {
    connection,
    execute: (text, options) =>
      withDeadline(connection, text, options, async () => {
        await connection.run(text)
      }),
    async read(text, parameters, options) {
      return withPrepared(
        text,
        () => connection.prepare(text),
        (prepared) => run(prepared, text, parameters, options),
      )
    },
    async select(text, parameters, options) {
      return withPrepared(
        text,
        () => prepareOne(connection, text),
        (prepared) => run(prepared, text, parameters, options),
      )
    },
    async describe(text) {
      return withPrepared(
        text,
        () => prepareOne(connection, text),
        async (prepared) => {
          const columns = []
          for (let i = 0; i < prepared.columnCount; i++)
            columns.push({ name: prepared.columnName(i), type: typeName(prepared.columnType(i)) })
          return columns
        },
      )
    },
  }
}

async function withPrepared<T>(
  text: string,
  prepare: () => Promise<DuckDBPreparedStatement>,
  use: (prepared: DuckDBPreparedStatement) => Promise<T>,
): Promise<T> {
  let prepared: DuckDBPreparedStatement
  try {
    prepared = await prepare()
  } catch (error) {
    throw toSqlError(error, text)
  }
  try {
    return await use(prepared)
  } finally {
    prepared.destroySync()
  }
}

async function prepareOne(connection: DuckDBConnection, text: string): Promise<DuckDBPreparedStatement> {
  // The driver fails without a word on a statement of nothing but blanks and comments.
  if (/^\s*(--.*\s*)*;?\s*$/.test(text)) throw new SqlError('syntax', 'The statement is empty.', 0)
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
  const columns = []
  for (let i = 0; i < result.columnCount; i++) columns.push({ name: result.columnName(i), type: typeName(result.columnType(i)) })
  const rows: SqlValue[][] = []
  for (let i = 0; i < result.chunkCount; i++) appendRows(result.getChunk(i), rows)
  return { columns, rows }
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
