/** One connection, made when it is needed and again after it was lost, used by one piece of work at a time. */

import { CurrentConnection } from './current-connection.ts'
import { type Connection, control, copyIn, describe, send } from './driver.ts'
import { asCommitError, PostgresSqlError, toSqlError } from './errors.ts'
import type { Deadline, Parameter, PostgresOptions, PostgresRows, Transaction, WorkOptions } from './postgres.ts'
import type { ConnectionTarget } from './url.ts'

export interface PooledConnection {
  /** Connected, as far as is known: a dead server is found out by asking it. */
  readonly isOpen: boolean
  /** Runs work until the deadline; then the connection is given up with it, and the server told to stop. */
  within<T>(deadline: Deadline, work: () => Promise<T>): Promise<T>
  single(text: string, parameters: readonly Parameter[], work: WorkOptions, leftMs: number): Promise<PostgresRows>
  transaction<T>(work: WorkOptions, leftMs: number, body: (statements: Transaction) => Promise<T>): Promise<T>
  /** Nothing of the last work is left on the connection. */
  settled(): Promise<void>
  close(patienceMs: number): Promise<void>
}

/** The server's limit comes first, so that the connection survives a slow statement. */
const SERVER_AHEAD_MS = 20

export function createPooledConnection(target: ConnectionTarget, options: PostgresOptions): PooledConnection {
  const current = new CurrentConnection(target, options)
  let last: Promise<unknown> = Promise.resolve()

  return {
    get isOpen() {
      return current.isOpen
    },
    async within(deadline, work) {
      let isSettled = false
      const running = work().finally(() => {
        isSettled = true
      })
      last = running.catch(() => undefined)
      try {
        return await Promise.race([running, deadline.over])
      } catch (error) {
        const { connection } = current
        if (isSettled || !connection) throw error
        const { isCommitting } = connection
        // A body that waits for something else sees its next statement fail; it no longer holds the connection.
        last = current.abandon(connection)
        throw isCommitting ? asCommitError(error) : error
      }
    },
    async single(text, parameters, work, leftMs) {
      const at = current.get()
      try {
        const began = begin(at, work, leftMs)
        if (!at.isOpen) await current.opened(began)
        const answer = send(at, text, parameters)
        const committed = control(at, 'COMMIT')
        const [first, second, third] = await Promise.allSettled([began, answer, committed])
        if (first.status === 'rejected') throw toSqlError(first.reason)
        if (second.status === 'rejected') throw toSqlError(second.reason, text)
        if (third.status === 'rejected') throw toSqlError(third.reason)
        checkCommitted(at, third.value)
        return second.value
      } catch (error) {
        throw current.dropIfUnsure(at, toSqlError(error, text))
      }
    },
    async transaction(work, leftMs, body) {
      const at = current.get()
      try {
        const began = begin(at, work, leftMs)
        if (!at.isOpen) await current.opened(began)
        const result = await body(statementsOn(at))
        await began
        await commit(at)
        return result
      } catch (error) {
        if (at.isOpen) await control(at, 'ROLLBACK').catch(() => undefined)
        throw error instanceof PostgresSqlError ? current.dropIfUnsure(at, error) : error
      }
    },
    settled: async () => {
      await last
    },
    async close(patienceMs) {
      const over = new Promise((resolve) => setTimeout(resolve, patienceMs).unref())
      await Promise.race([last, over])
      current.close()
    },
  }
}

/** The beginning of a transaction and all that holds for it alone, as one message. */
function begin(at: Connection, { readOnly = false, snapshot, settings }: WorkOptions, leftMs: number): Promise<unknown> {
  at.readOnly = readOnly
  const set = Object.entries({
    statement_timeout: Math.max(1, Math.floor(leftMs - SERVER_AHEAD_MS)),
    idle_in_transaction_session_timeout: Math.ceil(leftMs + 1_000),
    TimeZone: 'UTC',
    DateStyle: 'ISO, YMD',
    IntervalStyle: 'postgres',
    extra_float_digits: 1,
    bytea_output: 'hex',
    standard_conforming_strings: 'on',
    ...settings,
  }).map(([name, value]) => `SET LOCAL ${name} = ${typeof value === 'number' ? value : `'${value}'`}`)
  if (at.searchPath !== null) set.push(`SET LOCAL search_path = ${at.searchPath}`)
  const modes = `${snapshot ? ' ISOLATION LEVEL REPEATABLE READ' : ''}${readOnly ? ' READ ONLY' : ''}`
  const first = !at.isOpen
  const began = control(at, [`BEGIN${modes}`, ...set].join('; ')).then(async () => {
    if (first) await findSearchPath(at)
    at.isOpen = !at.isLost
  })
  began.catch(() => undefined)
  return began
}

/**
 * A role called "fabra" has the schema of that name first in its search path, where a user's table must be neither looked for nor made.
 */
const SEARCH_PATH = `
SELECT COALESCE((SELECT string_agg(quote_ident(name), ', ' ORDER BY i) FROM unnest(current_schemas(false)) WITH ORDINALITY AS s(name, i) WHERE name <> 'fabra'), '''''')
WHERE current_user = 'fabra' OR 'fabra' = ANY (current_schemas(false))`

async function findSearchPath(at: Connection): Promise<void> {
  const [row] = (await send(at, SEARCH_PATH, [])).rows
  if (row === undefined) return
  at.searchPath = String(row[0])
  await control(at, `SET LOCAL search_path = ${at.searchPath}`)
}

function statementsOn(at: Connection): Transaction {
  return {
    run: (text, parameters = [], types) => send(at, text, parameters, types),
    describe: (text, types) => describe(at, text, types),
    async script(text) {
      await control(at, text)
    },
    copy: (text, data) => copyIn(at, text, data),
  }
}

/** Until the statement before it was answered nothing can be committed, and once it is sent anything may be. */
async function commit(at: Connection): Promise<void> {
  if (at.isLost) throw new PostgresSqlError('unavailable', null, 'The connection to PostgreSQL was lost.', null)
  at.isCommitting = true
  let command: string
  try {
    command = await control(at, 'COMMIT')
  } catch (error) {
    throw asCommitError(error)
  } finally {
    at.isCommitting = false
  }
  checkCommitted(at, command)
}

function checkCommitted(at: Connection, command: string): void {
  if (at.isLost) throw new PostgresSqlError('unavailable', null, 'The connection to PostgreSQL was lost.', null)
  if (command === 'COMMIT') return
  throw new PostgresSqlError('runtime', '25P02', 'A statement of the transaction failed, and it was taken back.', null)
}
