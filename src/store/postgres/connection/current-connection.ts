import { type Connection, openClient } from './driver.ts'
import { PostgresSqlError } from './errors.ts'
import type { PostgresOptions } from './postgres.ts'
import type { ConnectionTarget } from './url.ts'

const CONNECT_TIMEOUT_MS = 5_000
/** Firewalls forget connections that are silent for longer; an older one may know a server's former address. */
const MAX_IDLE_MS = 240_000
const MAX_AGE_MS = 1_800_000
/** To tell a server that a statement is to be stopped takes a connection of its own. */
const CANCEL_PATIENCE_MS = 3_000

/** The connection in use, as long as it can be used; then another one. */
export class CurrentConnection {
  private readonly target: ConnectionTarget
  private readonly applicationName: string | undefined
  private readonly connectMs: number
  private current: Connection | undefined

  constructor(target: ConnectionTarget, options: PostgresOptions) {
    this.target = target
    this.applicationName = options.applicationName
    this.connectMs = target.connectTimeoutMs ?? options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS
  }

  /** As it is; undefined: there is none. */
  get connection(): Connection | undefined {
    return this.current
  }

  get isOpen(): boolean {
    return this.current?.isOpen === true
  }

  /** Makes one where there is none that can be used. It opens with the first statement. */
  get(): Connection {
    const now = performance.now()
    const old = this.current
    if (old && !old.isLost && now - old.usedAt < MAX_IDLE_MS && now - old.madeAt < MAX_AGE_MS) {
      old.usedAt = now
      return old
    }
    if (old) this.discard(old)
    const made: Connection = {
      client: openClient(this.target, { applicationName: this.applicationName, connectMs: this.connectMs }, () => lose(made)),
      madeAt: now,
      usedAt: now,
      isOpen: false,
      isLost: false,
      readOnly: false,
      isCommitting: false,
      searchPath: null,
      running: new Set(),
    }
    this.current = made
    return made
  }

  /** The driver knocks for ever at a server that opens the door and shuts it without a word. */
  async opened(began: Promise<unknown>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>()
    const failed = () => reject(new PostgresSqlError('unavailable', null, 'PostgreSQL cannot be reached.', null))
    const timer = setTimeout(failed, this.connectMs)
    try {
      await Promise.race([began, promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * The server is told to stop, and the connection is not used again, as the word may reach it too late. It is kept until then: a pooler forgets
   * what belongs to a connection that is gone.
   */
  async abandon(which: Connection): Promise<void> {
    lose(which)
    const words = [...which.running].map((query) => (query.active ? query.canceller?.(query) : undefined))
    const patience = new Promise((resolve) => setTimeout(resolve, CANCEL_PATIENCE_MS).unref())
    await Promise.race([Promise.allSettled(words), patience])
    this.discard(which)
  }

  /** After an error of the connection, whatever was in flight on it is unknown. */
  dropIfUnsure<E extends Error & { readonly kind?: string }>(which: Connection, error: E): E {
    if (error.kind === 'unavailable' || !which.isOpen) this.discard(which)
    return error
  }

  close(): void {
    if (this.current) this.discard(this.current)
  }

  private discard(which: Connection): void {
    lose(which)
    if (this.current === which) this.current = undefined
    which.client.end({ timeout: 0 }).catch(() => undefined)
  }
}

function lose(which: Connection): void {
  which.isOpen = false
  which.isLost = true
}
