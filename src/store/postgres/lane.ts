/** One connection, made when it is needed and again after it was lost, used by one piece of work at a time. */
import postgres from 'postgres'
import type { Deadline, Parameter, PostgresColumn, PostgresOptions, PostgresRows, Transaction, WorkOptions } from './connection.ts'
import type { ConnectionTarget } from './connection-url.ts'
import { PostgresSqlError, toSqlError } from './postgres-errors.ts'

export interface Lane {
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

/** Values come as the server wrote them. These are the types that the driver would parse. */
const TEXTS: Record<string, postgres.PostgresType> = {
  text: {
    to: 25,
    from: [16, 17, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802],
    serialize: (value: unknown) => String(value),
    parse: (text: string) => text,
  },
}

const CONNECT_TIMEOUT_MS = 5_000
/** Firewalls forget connections that are silent for longer; an older one may know a server's former address. */
const MAX_IDLE_MS = 240_000
const MAX_AGE_MS = 1_800_000
/** The server's limit comes first, so that the connection survives a slow statement. */
const SERVER_AHEAD_MS = 20

/** What the driver's queries are beneath: looked at in 3.4.9. */
interface DriverQuery extends PromiseLike<DriverRows> {
  /** Set beforehand, the statement goes out with its values at once instead of being described first. */
  parameters: (string | null)[] | null
  /** Returns a promise that `cancel()` would leave unhandled. */
  canceller: ((query: unknown) => Promise<void>) | null
  active: boolean
  values(): DriverQuery
  execute(): DriverQuery
}
interface DriverRows extends Array<readonly (string | null)[]> {
  readonly columns?: readonly PostgresColumn[] | null
  readonly count: number | null
  readonly command: string
}

interface Connection {
  readonly client: postgres.Sql
  readonly madeAt: number
  usedAt: number
  /** The server has answered on it, and it has not been lost since. */
  isOpen: boolean
  isLost: boolean
  /** Of the work that is on it. */
  readOnly: boolean
  /** Where unqualified names are looked for, if not where the server would; null until it is known that there is a difference. */
  searchPath: string | null
  /** What is sent and not answered. */
  readonly running: Set<DriverQuery>
}

export function createLane(target: ConnectionTarget, options: PostgresOptions): Lane {
  let connection: Connection | undefined
  let last: Promise<unknown> = Promise.resolve()

  const connect = (): Connection => {
    const now = performance.now()
    const old = connection
    if (old && !old.isLost && now - old.usedAt < MAX_IDLE_MS && now - old.madeAt < MAX_AGE_MS) {
      old.usedAt = now
      return old
    }
    if (old) discard(old)
    const made: Connection = {
      client: openClient(target, options, () => lost(made)),
      madeAt: now,
      usedAt: now,
      isOpen: false,
      isLost: false,
      readOnly: false,
      searchPath: null,
      running: new Set(),
    }
    connection = made
    return made
  }
  const lost = (which: Connection) => {
    which.isOpen = false
    which.isLost = true
  }
  const discard = (which: Connection) => {
    lost(which)
    if (connection === which) connection = undefined
    which.client.end({ timeout: 0 }).catch(() => undefined)
  }
  /** Frees the caller: the server is told to stop, and the connection is not used again, as the word may reach it too late. */
  const abandon = (which: Connection) => {
    for (const query of which.running) if (query.active) query.canceller?.(query).catch(() => undefined)
    discard(which)
  }

  return {
    get isOpen() {
      return connection?.isOpen === true
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
        if (!isSettled && connection) {
          abandon(connection)
          // A body that waits for something else sees its next statement fail; it no longer holds the lane.
          last = Promise.resolve()
        }
        throw error
      }
    },
    async single(text, parameters, work, leftMs) {
      const at = connect()
      try {
        const began = begin(at, work, leftMs)
        if (!at.isOpen) await began
        const answer = send(at, text, parameters)
        const committed = control(at, 'COMMIT')
        const [first, second, third] = await Promise.allSettled([began, answer, committed])
        if (first.status === 'rejected') throw toSqlError(first.reason)
        if (second.status === 'rejected') throw toSqlError(second.reason, text)
        if (third.status === 'rejected') throw toSqlError(third.reason)
        checkCommitted(at, third.value)
        return second.value
      } catch (error) {
        throw dropIfUnsure(at, toSqlError(error, text))
      }
    },
    async transaction(work, leftMs, body) {
      const at = connect()
      try {
        const began = begin(at, work, leftMs)
        if (!at.isOpen) await began
        const result = await body(statementsOn(at))
        await began
        checkCommitted(at, await control(at, 'COMMIT'))
        return result
      } catch (error) {
        await control(at, 'ROLLBACK').catch(() => undefined)
        throw error instanceof PostgresSqlError ? dropIfUnsure(at, error) : error
      }
    },
    settled: async () => {
      await last
    },
    async close(patienceMs) {
      const over = new Promise((resolve) => setTimeout(resolve, patienceMs).unref())
      await Promise.race([last, over])
      if (connection) discard(connection)
    },
  }

  /** After an error of the connection, whatever was in flight on it is unknown. */
  function dropIfUnsure<E extends Error & { readonly kind?: string }>(at: Connection, error: E): E {
    if (error.kind === 'unavailable') discard(at)
    return error
  }
}

function openClient(target: ConnectionTarget, options: PostgresOptions, onLost: () => void): postgres.Sql {
  const connectMs = target.connectTimeoutMs ?? options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS
  const [first] = target.hosts
  const settings = {
    // Several hosts are tried in turn; the driver's types know of one.
    host: target.hosts.map(({ host }) => host) as unknown as string,
    port: target.hosts.map(({ port }) => port) as unknown as number,
    ...(first?.host.startsWith('/') ? { path: `${first.host}/.s.PGSQL.${first.port}` } : {}),
    ...(target.user === undefined ? {} : { user: target.user }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.database === undefined ? {} : { database: target.database }),
    ...(target.sessionAttributes === undefined ? {} : { target_session_attrs: target.sessionAttributes as 'primary' }),
    ssl: target.tls,
    max: 1,
    prepare: false,
    fetch_types: false,
    // Not the driver's business: it would end a connection between two statements of a transaction.
    idle_timeout: undefined,
    max_lifetime: null,
    keep_alive: 60,
    connect_timeout: connectMs / 1000,
    backoff: false,
    onnotice: () => undefined,
    onclose: onLost,
    connection: { application_name: target.applicationName ?? options.applicationName ?? 'fabra' },
    types: TEXTS,
  }
  return postgres(settings as postgres.Options<Record<string, postgres.PostgresType>>) as unknown as postgres.Sql
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

/** @returns the command that the server says it did. */
async function control(at: Connection, text: string): Promise<string> {
  return (await submit(at, at.client.unsafe(text) as unknown as DriverQuery, text)).command
}

async function send(at: Connection, text: string, parameters: readonly Parameter[], types?: readonly number[]): Promise<PostgresRows> {
  const values = parameters.map(toText)
  const query = types
    ? // The driver asks the server for the types first, as it does with any parameters.
      at.client.unsafe(text, values.map((value, i) => at.client.typed(value as never, types[i] ?? 0)) as never[])
    : at.client.unsafe(text, [], { simple: false } as postgres.UnsafeQueryOptions)
  const driverQuery = (query as unknown as DriverQuery).values()
  if (!types) driverQuery.parameters = values
  const rows = await submit(at, driverQuery, text)
  return { columns: (rows.columns ?? []).map(({ name, type }) => ({ name, type })), rows, count: rows.count ?? 0 }
}

async function describe(at: Connection, text: string, types: readonly number[] = []) {
  const query = at.client.unsafe(
    text,
    types.map((type) => at.client.typed(null as never, type)),
  )
  const statement = (await submit(at, query.describe() as unknown as DriverQuery, text)) as unknown as postgres.Statement
  return { parameters: statement.types, columns: (statement.columns ?? []).map(({ name, type }) => ({ name, type })) }
}

/** A lost connection is never made again for what follows in a transaction: it would run outside of one. */
async function submit(at: Connection, query: DriverQuery, text: string): Promise<DriverRows> {
  if (at.isLost) throw new PostgresSqlError('unavailable', null, 'The connection to PostgreSQL was lost.', null)
  at.running.add(query)
  try {
    return await query.execute()
  } catch (error) {
    throw toSqlError(error, text, at.readOnly)
  } finally {
    at.running.delete(query)
  }
}

function statementsOn(at: Connection): Transaction {
  return {
    run: (text, parameters = [], types) => send(at, text, parameters, types),
    describe: (text, types) => describe(at, text, types),
    async script(text) {
      await control(at, text)
    },
  }
}

function checkCommitted(at: Connection, command: string): void {
  if (at.isLost) throw new PostgresSqlError('unavailable', null, 'The connection to PostgreSQL was lost.', null)
  if (command === 'COMMIT') return
  throw new PostgresSqlError('runtime', '25P02', 'A statement of the transaction failed, and it was taken back.', null)
}

function toText(value: Parameter): string | null {
  if (value === null) return null
  return typeof value === 'object' ? arrayText(value) : String(value)
}

const NEEDS_ESCAPE = /["\\]/g

function arrayText(values: readonly (null | string | number | bigint | boolean)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : typeof value === 'string' ? `"${value.replace(NEEDS_ESCAPE, '\\$&')}"` : String(value))).join(',')}}`
}
