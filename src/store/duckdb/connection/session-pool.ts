import { type RunOptions, SqlError } from '../../ports/source-engine.ts'
import type { Session } from './session.ts'

/** Callers that may wait for a connection at once. More than this and answers would come after every deadline. */
const MAX_WAITING = 4096

/** A fixed number of sessions, given out one caller at a time, first come first served. */
export interface SessionPool {
  /**
   * @param options The time spent waiting for a session counts.
   * @throws SqlError timeout, interrupted or unavailable.
   */
  use<T>(options: RunOptions, work: (session: Session, left: RunOptions) => Promise<T>): Promise<T>
  /** Resolves when no session is in use. New callers are refused. */
  drain(): Promise<void>
}

interface Waiter {
  give(session: Session): void
  refuse(error: SqlError): void
}

export function createSessionPool(sessions: readonly Session[]): SessionPool {
  const free = [...sessions]
  const waiting = new Set<Waiter>()
  let closed = false
  let drained: (() => void) | undefined

  const acquire = ({ signal, timeoutMs }: RunOptions): Session | Promise<Session> => {
    if (closed) throw new SqlError('unavailable', 'The database is closed.', null)
    const session = free.pop()
    if (session) return session
    if (waiting.size >= MAX_WAITING) throw new SqlError('unavailable', `${MAX_WAITING} statements are waiting already.`, null)
    return new Promise<Session>((resolve, reject) => {
      const settle = () => {
        waiting.delete(waiter)
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
      const waiter: Waiter = {
        give(given) {
          settle()
          resolve(given)
        },
        refuse(error) {
          settle()
          reject(error)
        },
      }
      const onAbort = () => waiter.refuse(new SqlError('interrupted', 'The statement was given up before it ran.', null))
      const timer = setTimeout(
        () => waiter.refuse(new SqlError('timeout', 'No connection came free before the deadline.', null)),
        timeoutMs,
      )
      signal.addEventListener('abort', onAbort, { once: true })
      waiting.add(waiter)
    })
  }

  const release = (session: Session) => {
    const next = waiting.values().next().value
    if (next) return next.give(session)
    free.push(session)
    if (closed && free.length === sessions.length) drained?.()
  }

  return {
    async use(options, work) {
      const started = performance.now()
      const session = await acquire(options)
      try {
        const waited = performance.now() - started
        return await work(session, { signal: options.signal, timeoutMs: options.timeoutMs - waited })
      } finally {
        release(session)
      }
    },
    async drain() {
      closed = true
      for (const waiter of [...waiting]) waiter.refuse(new SqlError('unavailable', 'The database is closing.', null))
      if (free.length < sessions.length) await new Promise<void>((resolve) => (drained = resolve))
    },
  }
}
