import type { Micros } from '../../clock.ts'
import { ChunkedList, type List } from '../../collections/chunked-list.ts'
import { createDeadlines } from '../../collections/deadlines.ts'
import type { EntityKey } from '../../definition/entity-key.ts'
import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Computed, ComputeOptions, ComputeRow, ComputeRows, Executor } from '../executor.ts'
import { failed, timedOut } from './in-flight.ts'

/** Grace beyond a computation's own timeout before its callers are told without it. */
const GRACE_MS = 250

/** An answer to keep. Those with inputs are not stored: they belong to one request. */
export interface Answered {
  readonly key: EntityKey
  readonly inputs: ComputeRow['inputs']
  readonly computed: Exclude<Computed, { kind: 'error' }>
  readonly asOf: Micros
}

/** Called with the answers of one batch that are no errors, before any caller hears of them. */
export type OnComputed = (feature: Feature, answers: readonly Answered[]) => Promise<void> | void

/** Has a batch computed within its time, and its answers kept. Neither ever rejects. */
export class BatchRunner {
  private readonly executor: Executor
  private readonly onComputed: OnComputed
  private readonly deadlines = createDeadlines()

  constructor(executor: Executor, onComputed: OnComputed) {
    this.executor = executor
    this.onComputed = onComputed
  }

  compute(
    feature: Feature,
    rows: ComputeRows,
    { timeoutMs, chain, isLook = false, onAnswer }: Pick<ComputeOptions, 'timeoutMs' | 'chain' | 'isLook' | 'onAnswer'>,
  ): Promise<List<Computed>> {
    const controller = new AbortController()
    const all = (error: FabraError) => ChunkedList.filled<Computed>(rows.length, { kind: 'error', error })
    const { promise, resolve } = Promise.withResolvers<List<Computed>>()
    const over = this.deadlines.after(timeoutMs + GRACE_MS, () => {
      controller.abort()
      resolve(all(timedOut(feature, timeoutMs)))
    })
    const given = { signal: controller.signal, timeoutMs, mode: 'present', chain, isLook } as const
    const options = onAnswer === undefined ? given : { ...given, onAnswer }
    // What an executor throws before its promise is a failure like any other.
    Promise.try(() => this.executor.compute(feature, rows, options)).then(
      (answers) => {
        over()
        resolve(answers)
      },
      (cause: unknown) => {
        over()
        resolve(all(errorOf(feature, cause)))
      },
    )
    return promise
  }

  /** @param patienceMs After it nobody waits any longer for a store that does not answer; null: for ever. @returns why the answers could not be kept. */
  keep(feature: Feature, answers: readonly Answered[], patienceMs: number | null): Promise<FabraError | undefined> {
    if (answers.length === 0) return Promise.resolve(undefined)
    const keeping = this.store(feature, answers)
    if (patienceMs === null) return keeping
    const { promise, resolve } = Promise.withResolvers<FabraError | undefined>()
    const over = this.deadlines.after(patienceMs, () => resolve(undefined))
    void keeping.then((unstored) => {
      over()
      resolve(unstored)
    })
    return promise
  }

  private async store(feature: Feature, answers: readonly Answered[]): Promise<FabraError | undefined> {
    try {
      await this.onComputed(feature, answers)
      return undefined
    } catch (cause) {
      return errorOf(feature, cause)
    }
  }
}

function errorOf(feature: Feature, cause: unknown): FabraError {
  return cause instanceof FabraError ? cause : failed(feature, cause).error
}
