import { takesInputs } from '../../definition/feature-traits.ts'
import type { Feature } from '../../definition/model.ts'
import type { FabraError } from '../../errors.ts'
import type { Computed, ComputeOptions, ComputeRow, Executor } from '../executor.ts'
import type { CallOutcome, FunctionRunner } from '../function-runner.ts'
import { type Chunk, chunksOf } from './chunks.ts'
import { failureOf, timedOut } from './function-failure.ts'
import { createFunctionLog, type WriteLine } from './function-log.ts'
import { createRowHost, type RowHost, type RowHostOptions, withoutParts } from './row-host.ts'
import { createTurns, type Turn } from './turns.ts'

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
  const inTurn = createTurns(options.maxRunning ?? 512, options.maxWaiting ?? 10_000)
  const log = createFunctionLog(options.log)

  function computeRow(feature: Feature, row: ComputeRow, batch: ComputeOptions, batchDeadline: number): Promise<Computed> {
    return inTurn(
      feature,
      batch,
      batchDeadline,
      (turn) => runRow(feature, row, batch, turn),
      (error) => failed(error ?? timedOut(feature, row, batch)),
    )
  }

  function computeRows(feature: Feature, rows: readonly ComputeRow[], batch: ComputeOptions, batchDeadline: number): Promise<Computed[]> {
    return inTurn(
      feature,
      batch,
      batchDeadline,
      (turn) => runRows(feature, rows, batch, turn),
      (error) => rows.map((row) => failed(error ?? timedOut(feature, row, batch))),
    )
  }

  async function runRow(feature: Feature, row: ComputeRow, batch: ComputeOptions, { askedAt, deadlineAt }: Turn): Promise<Computed> {
    const host = createRowHost(options, feature, row, batch, deadlineAt)
    const { signal, mode } = batch
    const outcome = await options.runtime.call({
      feature: feature.name,
      fingerprint: feature.fingerprint,
      asOf: row.asOf,
      mode,
      deadlineAt,
      askedAt,
      signal,
      key: row.key.values,
      inputs: row.inputs ?? null,
      host,
    })
    host.end()
    if (outcome.usedPresent) log.usedPresent(feature)
    return computedOf(feature, row, outcome, host, batch)
  }

  async function runRows(
    feature: Feature,
    rows: readonly ComputeRow[],
    batch: ComputeOptions,
    { askedAt, deadlineAt }: Turn,
  ): Promise<Computed[]> {
    const [first] = rows
    if (first === undefined) return []
    const host = withoutParts(createRowHost(options, feature, first, batch, deadlineAt))
    const inputs = takesInputs(feature) ? rows.map((row) => row.inputs ?? {}) : null
    const outcome = await options.runtime.callBatch({
      feature: feature.name,
      fingerprint: feature.fingerprint,
      asOf: first.asOf,
      mode: batch.mode,
      deadlineAt,
      askedAt,
      signal: batch.signal,
      keys: rows.map((row) => row.key.values),
      inputs,
      host,
    })
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
      if (only && feature.batch === null) {
        const computed = await computeRow(feature, only, batch, deadline)
        batch.onAnswer?.(0, computed)
        return [computed]
      }
      const answers: Computed[] = new Array(rows.length)
      if (feature.batch !== null) {
        const chunks = chunksOf(rows, feature.batch)
        await inLanes(chunks, lanesOf(rows.length / chunks.length), async ({ rows: some, indexes }) => {
          const computed = await computeRows(feature, some, batch, deadline)
          for (const [i, one] of computed.entries()) answers[indexes[i] ?? 0] = one
        })
        return answers
      }
      let next = 0
      const computeInTurn = async () => {
        for (let i = next++; i < rows.length; i = next++) {
          const row = rows.at(i)
          if (row === undefined) continue
          const computed = await computeRow(feature, row, batch, deadline)
          answers[i] = computed
          batch.onAnswer?.(i, computed)
        }
      }
      await Promise.all(Array.from({ length: Math.min(rowsAtOnce(feature, batch), rows.length) }, computeInTurn))
      return answers
    },
  }
}

/** Where somebody waits for each row by itself, the places for calls are the only limit. */
function rowsAtOnce(feature: Feature, { mode, onAnswer }: ComputeOptions): number {
  if (onAnswer !== undefined) return Number.POSITIVE_INFINITY
  return mode === 'past' && feature.timeout !== null && feature.timeout >= PATIENT_MICROS ? PATIENT_ROWS_AT_ONCE : ROWS_AT_ONCE
}

/** @param size Of a chunk, on average: lists of one are calls like others. */
function lanesOf(size: number): number {
  return Math.max(CHUNKS_AT_ONCE, Math.floor(ROWS_AT_ONCE / size))
}

async function inLanes(chunks: readonly Chunk[], atOnce: number, run: (chunk: Chunk) => Promise<void>): Promise<void> {
  const waiting = chunks.values()
  const worker = async () => {
    for (const chunk of waiting) await run(chunk)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, chunks.length) }, worker))
}

function failed(error: FabraError): Computed {
  return { kind: 'error', error }
}
