import { FabraError } from '../../../errors.ts'
import { failureOf, NO_ANSWER, unavailable } from './unavailable.ts'

const PROBE_EVERY_MS = 250

interface SocketHealthOptions {
  /** It can be used before it is known where it leads. */
  readonly isMet: boolean
  /** Timeouts in a row until it counts as stalled. */
  readonly patience: number
  readonly onProblem: (message: string, cause: unknown) => void
  /** Tells of an answer, be it a refusal. */
  readonly ping: (answered: () => void) => void
}

/** Whether a socket can be used, and why not: connected, known where it leads, and answering. */
export class SocketHealth {
  private readonly options: SocketHealthOptions
  private readonly news = Promise.withResolvers<void>()
  private readonly recovered = () => this.recover()
  /** Of a series of failures the first. */
  failure: string | undefined
  /** Why its database cannot be used. */
  refusal: string | undefined
  isMet: boolean
  isClosed = false
  private timeouts = 0
  private probe: Timer | undefined
  private isNotified = false

  constructor(options: SocketHealthOptions) {
    this.options = options
    this.isMet = options.isMet
  }

  /** It has not answered for longer than its timeout. */
  get isStalled(): boolean {
    return this.probe !== undefined
  }

  /** Resolves when it is known whether there is a connection, or after so long. */
  firstNews(timeoutMs: number): Promise<void> {
    const timer = setTimeout(this.news.resolve, timeoutMs)
    return this.news.promise.finally(() => clearTimeout(timer))
  }

  /** Why nothing may be sent; undefined: it may. */
  unusable(): string | undefined {
    if (this.isClosed || this.probe !== undefined || !this.isMet) return this.failure ?? 'The connection is closed.'
    return undefined
  }

  /** There is a connection, and it is known where it leads. */
  met(): void {
    this.isMet = true
    this.refusal = undefined
    this.recover()
  }

  /** Where the next connection leads is not known. */
  left(): void {
    this.isMet = false
  }

  /** Its database cannot be used. */
  refuse(why: string): void {
    this.refusal = why
    this.failure = why
    this.fail(why)
  }

  fail(message: string): void {
    if (this.isClosed) return
    // Of a series of failures the first says why; what follows is only that there is no connection.
    this.failure ??= message
    this.news.resolve()
    if (this.isNotified) return
    this.isNotified = true
    this.options.onProblem('Redis cannot be reached; trying again.', new Error(message))
  }

  recover(): void {
    this.news.resolve()
    clearInterval(this.probe)
    this.probe = undefined
    this.timeouts = 0
    this.failure = undefined
    if (this.isNotified) this.options.onProblem('Redis is back.', undefined)
    this.isNotified = false
  }

  /** Something was answered. */
  heard(): void {
    this.timeouts = 0
  }

  /** @returns what whoever sent the command is told. */
  failureFor(error: unknown): unknown {
    const message = failureOf(error)
    if (message === NO_ANSWER && ++this.timeouts >= this.options.patience) this.stall()
    return error instanceof FabraError ? error : unavailable(message)
  }

  close(): void {
    this.isClosed = true
    clearInterval(this.probe)
  }

  private stall(): void {
    this.fail(NO_ANSWER)
    if (this.probe !== undefined) return
    const ping = () => this.options.ping(this.recovered)
    ping()
    this.probe = setInterval(ping, PROBE_EVERY_MS)
    this.probe.unref()
  }
}
