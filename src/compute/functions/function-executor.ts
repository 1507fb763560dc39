import type { Feature } from '../../definition/model.ts'
import { type ErrorCode, FabraError } from '../../errors.ts'
import type { Db } from '../db.ts'
import type { Computed, ComputeOptions, ComputeRow, Executor } from '../executor.ts'
import type { CallFailure, CallHost, CallOutcome, FunctionRunner } from '../function-runner.ts'
import type { Reader } from '../reader.ts'
import { createSlots } from './slots.ts'

export interface WorkerExecutorOptions {
  readonly runtime: FunctionRunner
  readonly db: Db
  readonly reader: Reader
  /** Told of the declared sources that a function has read through `db`, each time. */
  readonly onRead: (feature: Feature, sources: readonly string[]) => void
  readonly log: (level: 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void
  /** Calls that run at once. Default 512; one feature gets half of them at most. */
  readonly maxRunning?: number
  /** Batches' lanes that wait for their turn before new ones are refused as `overloaded`. Default 10,000. */
  readonly maxWaiting?: number
}

/** How many rows of one batch run at once, so that a long refresh leaves room for requests. */
const LANES = 64
/** Calls with much time may wait for one another: then a query that many of them make together is made half as often. Two sets leave room for requests. */
const PATIENT_LANES = 120
const PATIENT_MICROS = 10_000_000
/** One log line per feature and this long, with the number of failures it stands for. */
const LOG_EVERY_MS = 1000
/** Failures beneath a function that are not the function's own. */
const PASSED_ON: ReadonlySet<ErrorCode> = new Set(['store_unavailable', 'feature_timeout', 'overloaded'])

/** Computes function features on worker threads, each row on its own. */
export function createWorkerExecutor(options: WorkerExecutorOptions): Executor {
  const slots = createSlots(options.maxRunning ?? 512, options.maxWaiting ?? 10_000)
  const report = createReporter(options.log)

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
    const host = createHost(options, feature, row, batch, deadlineAt)
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
    if (outcome.usedPresent) report.present(feature)
    if (outcome.error) return failed(failureOf(feature, row, outcome, { host, report, batch }))
    return outcome.texts === null ? { kind: 'missing' } : { kind: 'value', texts: outcome.texts, oldestInputAt: host.oldest() }
  }

  return {
    async compute(feature, rows, batch) {
      const deadline = performance.now() + batch.timeoutMs
      const only = rows.length === 1 ? rows.at(0) : undefined
      if (only) return [await computeRow(feature, only, batch, deadline)]
      const answers: Computed[] = new Array(rows.length)
      let next = 0
      const lane = async () => {
        for (let i = next++; i < rows.length; i = next++) {
          const row = rows.at(i)
          if (row !== undefined) answers[i] = await computeRow(feature, row, batch, deadline)
        }
      }
      const isPatient = batch.mode === 'past' && feature.timeout !== null && feature.timeout >= PATIENT_MICROS
      await Promise.all(Array.from({ length: Math.min(isPatient ? PATIENT_LANES : LANES, rows.length) }, lane))
      return answers
    },
  }
}

interface RowHost extends CallHost {
  /** Oldest event timestamp among the parts that were read. */
  oldest(): number | null
  /** Whether a part's own failure said this; such words may be shown. */
  saidByPart(message: string): boolean
  /** Aborts what is still being asked. */
  end(): void
}

function createHost(options: WorkerExecutorOptions, feature: Feature, row: ComputeRow, batch: ComputeOptions, deadlineAt: number): RowHost {
  let oldest: number | null = null
  let ended: AbortController | null = null
  const said: string[] = []
  const signal = () => {
    ended ??= new AbortController()
    return AbortSignal.any([batch.signal, ended.signal])
  }
  return {
    async query(sql, params) {
      const timeoutMs = Math.max(1, Math.ceil(deadlineAt - performance.now()))
      const { columns, rows, sources } = await options.db.query(sql, params, {
        asOf: row.asOf,
        mode: batch.mode,
        signal: signal(),
        timeoutMs,
      })
      options.onRead(feature, sources)
      return { columns, rows }
    },
    async get(name) {
      try {
        const chain = [...batch.chain, feature.name]
        const timeoutMs = Math.max(1, Math.ceil(deadlineAt - performance.now()))
        const from = { feature, key: row.key, asOf: row.asOf, mode: batch.mode, chain, signal: signal(), timeoutMs }
        const part = await options.reader.read(name, from)
        if (part.eventAt !== null) oldest = Math.min(oldest ?? part.eventAt, part.eventAt)
        return part
      } catch (error) {
        if (error instanceof FabraError) said.push(error.message)
        throw error
      }
    },
    oldest: () => oldest,
    saidByPart: (message) => said.includes(message),
    end: () => ended?.abort(),
  }
}

/** What a client may read of a failure. Messages of the user's code and of the database go to the log only. */
function failureOf(
  feature: Feature,
  row: ComputeRow,
  outcome: CallOutcome,
  { host, report, batch }: { readonly host: RowHost; readonly report: Reporter; readonly batch: ComputeOptions },
): FabraError {
  const error: CallFailure = outcome.error ?? { code: 'internal', message: '' }
  if (error.code === 'feature_timeout' && error.thrown === undefined) {
    report.failure(feature, row, error)
    return timedOut(feature, row, batch)
  }
  const facts = error.hint === undefined ? {} : { hint: error.hint }
  const subject = `feature "${feature.name}"`
  // Written by Fabra: a value of the wrong type, a definition that was replaced.
  if (error.thrown === undefined) return new FabraError(error.code, `${subject} for ${keyText(row)}: ${error.message}`, facts)
  report.failure(feature, row, error)
  const code = PASSED_ON.has(error.code) ? error.code : 'feature_failed'
  if (error.message !== '' && (error.shown === true || host.saidByPart(error.message))) {
    return new FabraError(code, `${subject} failed for ${keyText(row)}: ${error.message}`, facts)
  }
  if (code === 'store_unavailable')
    return new FabraError(code, `${subject} cannot reach the database.`, { hint: 'Try again; "/ready" tells what is unreachable.' })
  return new FabraError(code, `${subject} failed for ${keyText(row)}.`, { hint: "The server's log has the error and its file:line." })
}

function timedOut(feature: Feature, row: ComputeRow, { timeoutMs }: ComputeOptions): FabraError {
  const limit = feature.timeout === null ? timeoutMs : Math.min(timeoutMs, feature.timeout / 1000)
  return new FabraError('feature_timeout', `feature "${feature.name}" did not answer within ${Math.ceil(limit)} ms for ${keyText(row)}.`, {
    hint: 'Make it faster, give it more time with "timeout", or ask for fewer rows at a time.',
  })
}

function keyText(row: ComputeRow): string {
  const text = row.key.encoded
  return `key ${JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)}`
}

function failed(error: FabraError): Computed {
  return { kind: 'error', error }
}

interface Reporter {
  failure(feature: Feature, row: ComputeRow, error: CallFailure): void
  present(feature: Feature): void
}

/** A feature that fails ten thousand times a second must not write as many lines. */
function createReporter(log: WorkerExecutorOptions['log']): Reporter {
  const last = new Map<string, { at: number; unsaid: number }>()
  const named = new Set<string>()
  return {
    failure(feature, row, error) {
      const now = performance.now()
      const entry = last.get(feature.name) ?? { at: Number.NEGATIVE_INFINITY, unsaid: 0 }
      last.set(feature.name, entry)
      if (now - entry.at < LOG_EVERY_MS) {
        entry.unsaid += 1
        return
      }
      const fields = { feature: feature.name, key: row.key.encoded, code: error.code, error: error.thrown ?? error.message }
      log('warn', `feature "${feature.name}" failed.`, entry.unsaid === 0 ? fields : { ...fields, further: entry.unsaid })
      entry.at = now
      entry.unsaid = 0
    },
    present(feature) {
      if (named.has(feature.fingerprint)) return
      named.add(feature.fingerprint)
      log('warn', `feature "${feature.name}" asks for the current time; in the past it was given the row's time. Use asOf.`, {
        feature: feature.name,
      })
    },
  }
}
