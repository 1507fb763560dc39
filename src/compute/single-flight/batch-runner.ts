import type { Micros } from '../../clock.ts'
import { ChunkedList, type List } from '../../collections/chunked-list.ts'
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

  constructor(executor: Executor, onComputed: OnComputed) {
    this.executor = executor
    this.onComputed = onComputed
  }

  async compute(
    feature: Feature,
    rows: ComputeRows,
    { timeoutMs, chain, isLook = false }: Pick<ComputeOptions, 'timeoutMs' | 'chain' | 'isLook'>,
  ): Promise<List<Computed>> {
    const controller = new AbortController()
    const all = (error: FabraError) => ChunkedList.filled<Computed>(rows.length, { kind: 'error', error })
    const late = Promise.withResolvers<List<Computed>>()
    const timer = setTimeout(() => {
      controller.abort()
      late.resolve(all(timedOut(feature, timeoutMs)))
    }, timeoutMs + GRACE_MS)
    try {
      const options = { signal: controller.signal, timeoutMs, mode: 'present' as const, chain, isLook }
      const computing = this.executor.compute(feature, rows, options)
      return await Promise.race([computing, late.promise])
    } catch (cause) {
      return all(errorOf(feature, cause))
    } finally {
      clearTimeout(timer)
    }
  }

  /** @param patienceMs After it nobody waits any longer for a store that does not answer; null: for ever. @returns why the answers could not be kept. */
  async keep(feature: Feature, answers: readonly Answered[], patienceMs: number | null): Promise<FabraError | undefined> {
    if (answers.length === 0) return undefined
    const keeping = this.store(feature, answers)
    if (patienceMs === null) return keeping
    const over = Promise.withResolvers<undefined>()
    const timer = setTimeout(over.resolve, patienceMs, undefined)
    const unstored = await Promise.race([keeping, over.promise])
    clearTimeout(timer)
    return unstored
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
