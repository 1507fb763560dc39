/**
 * The one door to PostgreSQL. Every piece of work runs in a transaction of its own, with its deadline told to the server by SET LOCAL: nothing
 * is kept in a session and nothing is prepared by name, so a pooler that gives every transaction another connection changes nothing.
 *
 * The driver's own pool is not used: it keeps statements waiting for ever while it reconnects, and cannot give up a single connection that
 * has stopped answering. Here a connection is used by one piece of work at a time, and thrown away when it misses a deadline.
 */
import { SqlError } from '../../ports/source-engine.ts'
import { PostgresSqlError, toSqlError } from './errors.ts'
import { createPooledConnection, type PooledConnection } from './pooled-connection.ts'
import type { Deadline, Postgres, PostgresOptions, WorkOptions } from './postgres.ts'
import { readConnectionUrl } from './url.ts'

const CLOSE_PATIENCE_MS = 2_000

/** Connects when first used. @throws FabraError invalid_config */
export function openPostgres(options: PostgresOptions): Postgres {
  const { maxConnections = 8, maxWaiting = 1_000 } = options
  const target = readConnectionUrl(options.url)
  const connections: PooledConnection[] = []
  const idle: PooledConnection[] = []
  const waiting: Waiter[] = []
  let closed = false

  const acquire = (deadline: Deadline, isUrgent = false): Promise<PooledConnection> => {
    if (closed) throw new PostgresSqlError('unavailable', null, 'The connections to PostgreSQL are closed: this process is stopping.', null)
    const free = idle.pop()
    if (free) return Promise.resolve(free)
    if (connections.length < maxConnections) {
      const connection = createPooledConnection(target, options)
      connections.push(connection)
      return Promise.resolve(connection)
    }
    if (waiting.length >= maxWaiting && !isUrgent) {
      throw new PostgresSqlError('unavailable', null, `PostgreSQL is busy: ${waiting.length} statements wait already.`, null)
    }
    return wait(waiting, isUrgent, deadline, release)
  }
  const release = (connection: PooledConnection) => {
    const next = waiting.shift()
    if (next) next.resolve(connection)
    else idle.push(connection)
  }
  const onConnection = async <T>(work: WorkOptions, use: (connection: PooledConnection, deadline: Deadline) => Promise<T>): Promise<T> => {
    const deadline = startDeadline(work)
    try {
      for (let attempt = 0; ; attempt++) {
        const connection = await acquire(deadline, work.isUrgent)
        const wasOpen = connection.isOpen
        try {
          return await connection.within(deadline, () => use(connection, deadline))
        } catch (error) {
          // A connection that died while nobody used it is found out only by using it.
          if (!(work.readOnly && wasOpen && attempt === 0 && isLost(error) && !connection.isOpen)) throw error
        } finally {
          void connection.settled().then(() => release(connection))
        }
      }
    } finally {
      deadline.stop()
    }
  }

  return {
    run: (text, parameters, work) =>
      onConnection(work, (connection, deadline) => connection.single(text, parameters, work, deadline.leftMs())),
    transaction: (work, body) => onConnection(work, (connection, deadline) => connection.transaction(work, deadline.leftMs(), body)),
    async close() {
      closed = true
      for (const waiter of waiting.splice(0)) waiter.reject(new PostgresSqlError('unavailable', null, 'This process is stopping.', null))
      await Promise.all(connections.map((connection) => connection.close(CLOSE_PATIENCE_MS)))
    },
  }
}

function isLost(error: unknown): boolean {
  return error instanceof SqlError && error.kind === 'unavailable'
}

function startDeadline({ timeoutMs, signal }: WorkOptions): Deadline {
  const endsAt = performance.now() + timeoutMs
  const { promise, reject } = Promise.withResolvers<never>()
  // Nobody may be waiting when it rejects.
  promise.catch(() => undefined)
  const timer = setTimeout(
    () => reject(new PostgresSqlError('timeout', null, `PostgreSQL took longer than ${Math.round(timeoutMs)} ms.`, null)),
    Math.max(0, timeoutMs),
  )
  const onAbort = () => reject(new PostgresSqlError('interrupted', null, 'The statement was given up.', null))
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return {
    leftMs: () => Math.max(1, endsAt - performance.now()),
    over: promise,
    stop() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    },
  }
}

interface Waiter {
  resolve(connection: PooledConnection): void
  reject(error: unknown): void
}

async function wait(
  waiting: Waiter[],
  isUrgent: boolean,
  deadline: Deadline,
  release: (connection: PooledConnection) => void,
): Promise<PooledConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<PooledConnection>()
  const waiter = { resolve, reject }
  if (isUrgent) waiting.unshift(waiter)
  else waiting.push(waiter)
  try {
    return await Promise.race([promise, deadline.over])
  } catch (error) {
    const at = waiting.indexOf(waiter)
    if (at >= 0) waiting.splice(at, 1)
    // It was given a connection in the very moment that it gave up.
    else promise.then(release, () => undefined)
    throw toSqlError(error)
  }
}
