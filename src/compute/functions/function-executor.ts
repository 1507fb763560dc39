import { takesInputs } from '../../definition/feature-traits.ts'
import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { Computed, ComputeOptions, ComputeRow, Executor } from '../executor.ts'
import type { CallOutcome, FunctionRunner } from '../function-runner.ts'
import { type Chunk, chunksOf } from './chunks.ts'
import { failureOf, timedOut } from './function-failure.ts'
import { createFunctionLog, type WriteLine } from './function-log.ts'
import { createRowHost, type RowHost, type RowHostOptions, withoutParts } from './row-host.ts'
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

/** How many lists of rows run at once: they share the cores, and each has its own deadline. */
const CHUNKS_AT_ONCE = 4

/** Computes function features in workers, each row on its own, or lists of rows where a function takes them. */
export function createWorkerExecutor(options: WorkerExecutorOptions): Executor {
  const slots = createSlots(options.maxRunning ?? 512, options.maxWaiting ?? 10_000)
  const log = createFunctionLog(options.log)

  /** Runs the rows of one call in their turn, within their time. */
  async function inTurn(feature: Feature, rows: readonly ComputeRow[], batch: ComputeOptions, batchDeadline: number): Promise<Computed[]> {
    // A part asked for by a running function must not wait for that function's own slot.
    const nested = batch.chain.length > 0
    const taken = nested || slots.take(feature.name)
    if (!(taken === true || (await taken))) {
      const error = new FabraError('overloaded', `feature "${feature.name}" waits behind too many others.`, { hint: 'Try again later.' })
      return rows.map(() => failed(error))
    }
    try {
      const now = performance.now()
      const deadlineAt = Math.min(batchDeadline, feature.timeout === null ? batchDeadline : now + feature.timeout / 1000)
      if (batch.signal.aborted || now >= deadlineAt) return rows.map((row) => failed(timedOut(feature, row, batch)))
      return await (feature.batch === null ? runRow : runRows)(feature, rows, batch, deadlineAt)
    } finally {
      if (!nested) slots.give(feature.name)
    }
  }

  async function runRow(feature: Feature, [row]: readonly ComputeRow[], batch: ComputeOptions, deadlineAt: number): Promise<Computed[]> {
    if (row === undefined) return []
    const host = createRowHost(options, feature, row, batch, deadlineAt)
    const call = { ...callOf(feature, row, batch, deadlineAt), key: row.key.values, inputs: row.inputs ?? null, host }
    const outcome = await options.runtime.call(call)
    host.end()
    if (outcome.usedPresent) log.usedPresent(feature)
    return [computedOf(feature, row, outcome, host, batch)]
  }

  async function runRows(feature: Feature, rows: readonly ComputeRow[], batch: ComputeOptions, deadlineAt: number): Promise<Computed[]> {
    const [first] = rows
    if (first === undefined) return []
    const host = withoutParts(createRowHost(options, feature, first, batch, deadlineAt))
    const inputs = takesInputs(feature) ? rows.map((row) => row.inputs ?? {}) : null
    const call = { ...callOf(feature, first, batch, deadlineAt), keys: rows.map((row) => row.key.values), inputs, host }
    const outcome = await options.runtime.callBatch(call)
    host.end()
    if (outcome.usedPresent) log.usedPresent(feature)
    const whole: CallOutcome = { texts: null, error: outcome.error ?? { code: 'internal', message: 'the worker gave no answer for it.' } }
    return rows.map((row, i) => computedOf(feature, row, outcome.elements?.[i] ?? whole, host, batch))
  }

  function computedOf(feature: Feature, row: ComputeRow, outcome: CallOutcome, host: RowHost, batch: ComputeOptions): Computed {
    if (outcome.error) return failed(failureOf(feature, row, outcome, { host, log, batch }))
    return outcome.texts === null ? { kind: 'missing' } : { kind: 'value', texts: outcome.texts, oldestInputAt: host.oldest() }
  }

  return {
    async compute(feature, rows, batch) {
      const deadline = performance.now() + batch.timeoutMs
      const only = rows.length === 1 ? rows.at(0) : undefined
      if (only) return inTurn(feature, [only], batch, deadline)
      const answers: Computed[] = new Array(rows.length)
      if (feature.batch !== null) {
        const chunks = chunksOf(rows, feature.batch)
        await inLanes(chunks, lanesOf(rows.length / chunks.length), async ({ rows: some, indexes }) => {
          const computed = await inTurn(feature, some, batch, deadline)
          for (const [i, one] of computed.entries()) answers[indexes[i] ?? 0] = one
        })
        return answers
      }
      let next = 0
      const computeInTurn = async () => {
        for (let i = next++; i < rows.length; i = next++) {
          const row = rows.at(i)
          const [computed] = row === undefined ? [] : await inTurn(feature, [row], batch, deadline)
          if (computed !== undefined) answers[i] = computed
        }
      }
      const isPatient = batch.mode === 'past' && feature.timeout !== null && feature.timeout >= PATIENT_MICROS
      await Promise.all(Array.from({ length: Math.min(isPatient ? PATIENT_ROWS_AT_ONCE : ROWS_AT_ONCE, rows.length) }, computeInTurn))
      return answers
    },
  }
}

/** What calls of one key and of many have in common. */
function callOf(feature: Feature, { asOf }: ComputeRow, { mode, signal }: ComputeOptions, deadlineAt: number) {
  return { feature: feature.name, fingerprint: feature.fingerprint, asOf, mode, deadlineAt, signal }
}

/** @param size Of a chunk, on average: lists of one are calls like others. */
function lanesOf(size: number): number {
  return Math.max(CHUNKS_AT_ONCE, Math.floor(ROWS_AT_ONCE / size))
}

async function inLanes(chunks: readonly Chunk[], lanes: number, run: (chunk: Chunk) => Promise<void>): Promise<void> {
  const waiting = chunks.values()
  const lane = async () => {
    for (const chunk of waiting) await run(chunk)
  }
  await Promise.all(Array.from({ length: Math.min(lanes, chunks.length) }, lane))
}

function failed(error: FabraError): Computed {
  return { kind: 'error', error }
}
