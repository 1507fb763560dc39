/** The driver, and what is to be known of it: statements go out with their values at once, and come back as texts. */
import postgres from 'postgres'
import { PostgresSqlError, toSqlError } from './errors.ts'
import type { Parameter, PostgresColumn, PostgresRows } from './postgres.ts'
import type { ConnectionTarget } from './url.ts'

/** Values come as the server wrote them. These are the types that the driver would parse. */
const TEXTS: Record<string, postgres.PostgresType> = {
  text: {
    to: 25,
    from: [16, 17, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802],
    serialize: (value: unknown) => String(value),
    parse: (text: string) => text,
  },
}

/** What the driver's queries are beneath: looked at in 3.4.9. */
interface DriverQuery extends PromiseLike<DriverRows> {
  /** Set beforehand, the statement goes out with its values at once instead of being described first. */
  parameters: (string | null)[] | null
  /** Returns a promise that `cancel()` would leave unhandled. */
  canceller: ((query: unknown) => Promise<void>) | null
  active: boolean
  reject(error: unknown): void
  values(): DriverQuery
  execute(): DriverQuery
}
interface DriverRows extends Array<readonly (string | null)[]> {
  readonly columns?: readonly PostgresColumn[] | null
  readonly count: number | null
  readonly command: string
}

export interface Connection {
  readonly client: postgres.Sql
  readonly madeAt: number
  usedAt: number
  /** The server has answered on it, and it has not been lost since. */
  isOpen: boolean
  isLost: boolean
  /** Of the work that is on it. */
  readOnly: boolean
  /** A COMMIT is sent and not answered. */
  isCommitting: boolean
  /** Where unqualified names are looked for, if not where the server would; null until it is known that there is a difference. */
  searchPath: string | null
  /** What is sent and not answered. */
  readonly running: Set<DriverQuery>
}

export function openClient(
  target: ConnectionTarget,
  options: { readonly applicationName: string | undefined; readonly connectMs: number },
  onLost: () => void,
): postgres.Sql {
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
    connect_timeout: options.connectMs / 1000,
    backoff: false,
    onnotice: () => undefined,
    onclose: onLost,
    connection: {
      application_name: target.applicationName ?? options.applicationName ?? 'fabra',
      ...(target.startOptions === undefined ? {} : { options: target.startOptions }),
    },
    types: TEXTS,
  }
  return postgres(settings as postgres.Options<Record<string, postgres.PostgresType>>) as unknown as postgres.Sql
}

/** @returns the command that the server says it did. */
export async function control(at: Connection, text: string): Promise<string> {
  return (await submit(at, at.client.unsafe(text) as unknown as DriverQuery, text)).command
}

export async function send(
  at: Connection,
  text: string,
  parameters: readonly Parameter[],
  types?: readonly number[],
): Promise<PostgresRows> {
  const values = parameters.map(toText)
  const query = types
    ? // The driver asks the server for the types first, as it does with any parameters.
      at.client.unsafe(text, values.map((value, i) => at.client.typed(value as never, types[i] ?? 0)) as never[])
    : at.client.unsafe(text, [], { simple: false } as postgres.UnsafeQueryOptions)
  const driverQuery = (query as unknown as DriverQuery).values()
  if (!types) driverQuery.parameters = values
  // The driver's own list also holds what the server knows the connection by.
  const rows = await submit(at, driverQuery, text)
  return { columns: (rows.columns ?? []).map(({ name, type }) => ({ name, type })), rows: Array.from(rows), count: rows.count ?? 0 }
}

/**
 * `COPY … FROM STDIN` of all that is given. The driver resolves such a statement when the server asks for the data, and keeps what the server says of them
 * afterwards to itself: a refusal is caught where the driver would reject what it has resolved already.
 */
export async function copyIn(at: Connection, text: string, data: string | Uint8Array): Promise<void> {
  if (at.isLost) throw new PostgresSqlError('unavailable', null, 'The connection to PostgreSQL was lost.', null)
  const query = at.client.unsafe(text)
  const driverQuery = query as unknown as DriverQuery
  const { promise: refused, reject } = Promise.withResolvers<never>()
  refused.catch(() => undefined)
  const driverReject = driverQuery.reject
  driverQuery.reject = (error) => {
    reject(error)
    driverReject(error)
  }
  at.running.add(driverQuery)
  try {
    const stream = await Promise.race([query.writable(), refused])
    const taken = new Promise<void>((resolve, fail) => stream.once('finish', resolve).once('error', fail))
    stream.end(data)
    await Promise.race([taken, refused])
  } catch (error) {
    const failure = toSqlError(error, text)
    if (failure instanceof PostgresSqlError && failure.state === null) {
      at.isOpen = false
      at.isLost = true
    }
    throw failure
  } finally {
    at.running.delete(driverQuery)
  }
}

export async function describe(at: Connection, text: string, types: readonly number[] = []) {
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
    const failure = toSqlError(error, text, at.readOnly)
    // Not said by the server, so it is the connection's; what the driver takes between its error and its end is never answered.
    if (failure instanceof PostgresSqlError && failure.state === null) {
      at.isOpen = false
      at.isLost = true
    }
    throw failure
  } finally {
    at.running.delete(query)
  }
}

function toText(value: Parameter): string | null {
  if (value === null) return null
  return typeof value === 'object' ? arrayText(value) : String(value)
}

const NEEDS_ESCAPE = /["\\]/g

function arrayText(values: readonly (null | string | number | bigint | boolean)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : typeof value === 'string' ? `"${value.replace(NEEDS_ESCAPE, '\\$&')}"` : String(value))).join(',')}}`
}
