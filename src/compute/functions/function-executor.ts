import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Computed, ComputeOptions, ComputeRow, Executor } from '../executor.ts'
import type { FunctionRunner } from '../function-runner.ts'
import { failureOf, timedOut } from './function-failure.ts'
import { createFunctionLog, type WriteLine } from './function-log.ts'
import { createRowHost, type RowHostOptions } from './row-host.ts'
import { createSlots } from './slots.ts'

export interface WorkerExecutorOptions extends RowHostOptions {
  readonly runtime: FunctionRunner
  readonly log: WriteLine
  /** Calls that run at once. Default 512; one feature gets half of them at most. */
  readonly maxRunning?: number
  /** Calls that wait for their turn before new ones are refused as `overloaded`. Default 10,000. */
  readonly maxWaiting?: number
}

/** How many rows of one batch run at once, so that a long refresh leaves room for requests. */
const ROWS_AT_ONCE = 64
/** Calls with much time may wait for one another: then a query that many of them make together is made half as often. Two sets leave room for requests. */
const PATIENT_ROWS_AT_ONCE = 120
const PATIENT_MICROS = 10_000_000

/** Computes function features on worker threads, each row on its own. */
export function createWorkerExecutor(options: WorkerExecutorOptions): Executor {
  const slots = createSlots(options.maxRunning ?? 512, options.maxWaiting ?? 10_000)
  const log = createFunctionLog(options.log)

  async function computeRow(feature: Feature, row: ComputeRow, batch: ComputeOptions, batchDeadline: number): Promise<Computed> {
    // A part asked for by a running function must not wait for that function's own slot.
    const nested = batch.chain.length > 0
    const taken = nested || slots.take(feature.name)
    if (!(taken === true || (await taken))) {
      return failed(new FabraError('overloaded', `feature "${feature.name}" waits behind too many others.`, { hint: 'Try again later.' }))
    }
    try {
      const now = performance.now()
      const deadlineAt = Math.min(batchDeadline, feature.timeout === null ? batchDeadline : now + feature.timeout / 1000)
      if (batch.signal.aborted || now >= deadlineAt) return failed(timedOut(feature, row, batch))
      return await runRow(feature, row, batch, deadlineAt)
    } finally {
      if (!nested) slots.give(feature.name)
    }
  }

  async function runRow(feature: Feature, row: ComputeRow, batch: ComputeOptions, deadlineAt: number): Promise<Computed> {
    const host = createRowHost(options, feature, row, batch, deadlineAt)
    const outcome = await options.runtime.call({
      feature: feature.name,
      fingerprint: feature.fingerprint,
      key: row.key.values,
      inputs: row.inputs ?? null,
      asOf: row.asOf,
      mode: batch.mode,
      deadlineAt,
      signal: batch.signal,
      host,
    })
    host.end()
    if (outcome.usedPresent) log.usedPresent(feature)
    if (outcome.error) return failed(failureOf(feature, row, outcome, { host, log, batch }))
    return outcome.texts === null ? { kind: 'missing' } : { kind: 'value', texts: outcome.texts, oldestInputAt: host.oldest() }
  }

  return {
    async compute(feature, rows, batch) {
      const deadline = performance.now() + batch.timeoutMs
      const only = rows.length === 1 ? rows.at(0) : undefined
      if (only) return [await computeRow(feature, only, batch, deadline)]
      const answers: Computed[] = new Array(rows.length)
      let next = 0
      const computeInTurn = async () => {
        for (let i = next++; i < rows.length; i = next++) {
          const row = rows.at(i)
          if (row !== undefined) answers[i] = await computeRow(feature, row, batch, deadline)
        }
      }
      const isPatient = batch.mode === 'past' && feature.timeout !== null && feature.timeout >= PATIENT_MICROS
      await Promise.all(Array.from({ length: Math.min(isPatient ? PATIENT_ROWS_AT_ONCE : ROWS_AT_ONCE, rows.length) }, computeInTurn))
      return answers
    },
  }
}

function failed(error: FabraError): Computed {
  return { kind: 'error', error }
}
