/** A call that waits for a statement of many, and what becomes of it. */
import type { Deadlines } from '../../collections/deadlines.ts'
import { type ResultRows, SqlError, type SqlValue } from '../../store/ports/source-engine.ts'
import type { DbOptions } from '../db.ts'

export interface QueryCall {
  /** Of each placeholder of the text. */
  readonly values: readonly SqlValue[]
  /** The parameters of the statement as it is run alone. */
  readonly bound: readonly SqlValue[]
  readonly at: DbOptions
}

export class WaitingCall implements QueryCall {
  readonly values: readonly SqlValue[]
  readonly bound: readonly SqlValue[]
  readonly at: DbOptions
  /** By `performance.now()`. */
  readonly askedAt = performance.now()
  readonly deadlineAt: number
  isSettled = false
  /** Of the statement that is to answer it with others: called when it is settled. */
  onSettled: (() => void) | undefined
  private readonly answer: PromiseWithResolvers<ResultRows> = Promise.withResolvers()
  private readonly over: () => void
  /** Where it listens to a signal. */
  private readonly onAbort: (() => void) | undefined

  constructor({ values, bound, at }: QueryCall, deadlines: Deadlines) {
    this.values = values
    this.bound = bound
    this.at = at
    this.deadlineAt = this.askedAt + at.timeoutMs
    this.over = deadlines.after(at.timeoutMs, () => this.late())
    if (at.whenGivenUp) at.whenGivenUp(() => this.giveUp())
    else if (at.signal.aborted) this.giveUp()
    else {
      this.onAbort = () => this.giveUp()
      at.signal.addEventListener('abort', this.onAbort, { once: true })
    }
  }

  get rows(): Promise<ResultRows> {
    return this.answer.promise
  }

  resolve(rows: ResultRows): void {
    // The deadlines are told of in ticks: one that has passed counts all the same.
    if (performance.now() > this.deadlineAt) this.late()
    else if (this.settles()) {
      this.answer.resolve(rows)
      this.onSettled?.()
    }
  }

  reject(error: unknown): void {
    if (!this.settles()) return
    this.answer.reject(error)
    this.onSettled?.()
  }

  private giveUp(): void {
    this.reject(new SqlError('interrupted', 'The statement was given up.', null))
  }

  private late(): void {
    this.reject(new SqlError('timeout', `The statement took longer than ${Math.round(this.at.timeoutMs)} ms.`, null))
  }

  /** @returns false when it is settled already. */
  private settles(): boolean {
    if (this.isSettled) return false
    this.isSettled = true
    this.over()
    if (this.onAbort) this.at.signal.removeEventListener('abort', this.onAbort)
    return true
  }
}
