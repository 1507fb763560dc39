/**
 * The one door to PostgreSQL. Every piece of work runs in a transaction of its own, with its deadline told to the server by SET LOCAL: nothing
 * is kept in a session and nothing is prepared by name, so a pooler that gives every transaction another connection changes nothing.
 *
 * The driver's own pool is not used: it keeps statements waiting for ever while it reconnects, and cannot give up a single connection that
 * has stopped answering. Here a lane is one connection, used by one piece of work at a time, and thrown away when it misses a deadline.
 */
import { SqlError } from '../../ports/source-engine.ts'
import { readConnectionUrl } from './url.ts'
import { createLane, type Lane } from './pooled-connection.ts'
import { PostgresSqlError, toSqlError } from './errors.ts'

/** Arrays are for `$1::type[]`. Whatever has no value of its own in JavaScript goes as its text, with a cast in the statement. */
export type Parameter = null | string | number | bigint | boolean | readonly (null | string | number | bigint | boolean)[]

export interface PostgresColumn {
  readonly name: string
  /** OID of the type. */
  readonly type: number
}

export interface PostgresRows {
  readonly columns: readonly PostgresColumn[]
  /** Every value as the server writes it (ISO dates in UTC), unparsed: nothing is rounded on the way. */
  readonly rows: readonly (readonly (string | null)[])[]
  /** Rows read or written. */
  readonly count: number
}

export interface WorkOptions {
  /** From now, waiting for a connection included. The server stops the statement by itself shortly before. */
  readonly timeoutMs: number
  /** When it aborts the server is told to stop, and the caller is free at once. */
  readonly signal?: AbortSignal
  /** Default false. Work that only reads is tried once more when its connection turns out to be dead. */
  readonly readOnly?: boolean
  /** Everything in it sees one moment of the data. Default: each statement its own. */
  readonly snapshot?: boolean
  /** More to set for this work alone, such as `work_mem`. Names and values are Fabra's own, never a user's. */
  readonly settings?: Readonly<Record<string, string | number>>
}

export interface Statements {
  /** @param types OIDs of the parameters, where the server shall not infer them; costs a round trip. @throws SqlError */
  run(text: string, parameters?: readonly Parameter[], types?: readonly number[]): Promise<PostgresRows>
  /** What the server says of a statement without running it. @throws SqlError */
  describe(
    text: string,
    types?: readonly number[],
  ): Promise<{ readonly parameters: readonly number[]; readonly columns: readonly PostgresColumn[] }>
}

/** Inside of one transaction. */
export interface Transaction extends Statements {
  /** Several statements in one text, without parameters; Fabra's own, never a user's. @throws SqlError */
  script(text: string): Promise<void>
  /** Rows in the text format of `COPY`. @throws SqlError */
  copy(text: string, data: string): Promise<void>
}

export interface Postgres {
  /** One statement, in one round trip. @throws SqlError */
  run(text: string, parameters: readonly Parameter[], options: WorkOptions): Promise<PostgresRows>
  /** Several statements, all of them or none; committed when it resolves. A throw rolls back. @throws SqlError, and what `work` throws. */
  transaction<T>(options: WorkOptions, work: (statements: Transaction) => Promise<T>): Promise<T>
  /** Waits a little for what runs, then cuts it off. */
  close(): Promise<void>
}

export interface PostgresOptions {
  readonly url: string
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string
  /** Default 8. */
  readonly maxConnections?: number
  /** Default 5,000. */
  readonly connectTimeoutMs?: number
  /** How many may wait for a connection; more are refused. Default 1,000. */
  readonly maxWaiting?: number
}

const CLOSE_PATIENCE_MS = 2_000

/** Connects when first used. @throws FabraError invalid_config */
export function openPostgres(options: PostgresOptions): Postgres {
  const { maxConnections = 8, maxWaiting = 1_000 } = options
  const target = readConnectionUrl(options.url)
  const lanes: Lane[] = []
  const idle: Lane[] = []
  const waiting: Waiter[] = []
  let closed = false

  const acquire = (deadline: Deadline): Promise<Lane> => {
    if (closed) throw new PostgresSqlError('unavailable', null, 'The connections to PostgreSQL are closed: this process is stopping.', null)
    const free = idle.pop()
    if (free) return Promise.resolve(free)
    if (lanes.length < maxConnections) {
      const lane = createLane(target, options)
      lanes.push(lane)
      return Promise.resolve(lane)
    }
    if (waiting.length >= maxWaiting) {
      throw new PostgresSqlError('unavailable', null, `PostgreSQL is busy: ${waiting.length} statements wait already.`, null)
    }
    return wait(waiting, deadline, release)
  }
  const release = (lane: Lane) => {
    const next = waiting.shift()
    if (next) next.resolve(lane)
    else idle.push(lane)
  }
  const onLane = async <T>(work: WorkOptions, use: (lane: Lane, deadline: Deadline) => Promise<T>): Promise<T> => {
    const deadline = startDeadline(work)
    try {
      for (let attempt = 0; ; attempt++) {
        const lane = await acquire(deadline)
        const wasOpen = lane.isOpen
        try {
          return await lane.within(deadline, () => use(lane, deadline))
        } catch (error) {
          // A connection that died while nobody used it is found out only by using it.
          if (!(work.readOnly && wasOpen && attempt === 0 && isLost(error) && !lane.isOpen)) throw error
        } finally {
          void lane.settled().then(() => release(lane))
        }
      }
    } finally {
      deadline.stop()
    }
  }

  return {
    run: (text, parameters, work) => onLane(work, (lane, deadline) => lane.single(text, parameters, work, deadline.leftMs())),
    transaction: (work, body) => onLane(work, (lane, deadline) => lane.transaction(work, deadline.leftMs(), body)),
    async close() {
      closed = true
      for (const waiter of waiting.splice(0)) waiter.reject(new PostgresSqlError('unavailable', null, 'This process is stopping.', null))
      await Promise.all(lanes.map((lane) => lane.close(CLOSE_PATIENCE_MS)))
    },
  }
}

function isLost(error: unknown): boolean {
  return error instanceof SqlError && error.kind === 'unavailable'
}

export interface Deadline {
  leftMs(): number
  /** Rejects when the time is over or the caller gave up; never resolves. */
  readonly over: Promise<never>
  stop(): void
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
  resolve(lane: Lane): void
  reject(error: unknown): void
}

async function wait(waiting: Waiter[], deadline: Deadline, release: (lane: Lane) => void): Promise<Lane> {
  const { promise, resolve, reject } = Promise.withResolvers<Lane>()
  const waiter = { resolve, reject }
  waiting.push(waiter)
  try {
    return await Promise.race([promise, deadline.over])
  } catch (error) {
    const at = waiting.indexOf(waiter)
    if (at >= 0) waiting.splice(at, 1)
    // It was given a lane in the very moment that it gave up.
    else promise.then(release, () => undefined)
    throw toSqlError(error)
  }
}
