/**
 * Where user functions run: for each language a pool of workers that load the same files, threads for TypeScript and processes for Python. The
 * definitions of all languages are one registry, loaded and replaced together. The main thread never runs user code, so nothing a
 * function does can stop it.
 *
 * A watch looks every few milliseconds while calls are running. A worker that is silent is pinged; one that does not answer is stalled: nothing
 * new goes to it, and calls that it has not begun go to another worker. What becomes of those that it has begun, victims.ts tells.
 * A call that passes its deadline is answered with `feature_timeout` at once, and if its worker is stalled the worker is terminated and replaced,
 * unless another call on it has run for long and may still come to its end there.
 * A feature that stalled a worker runs in quarantine, a worker for such features only, until a minute has passed without it happening again.
 */
import type { CellForm, DbResult } from '../compute/db.ts'
import type { BatchCall, CallFailure, CallHost, FunctionCall, FunctionRunner } from '../compute/function-runner.ts'
import type { ReadPart } from '../compute/reader.ts'
import type { Problem, Registry } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { Outcome } from './calls-in-flight.ts'
import type { CallFrame, RuntimeLog, RuntimeRequest } from './frames.ts'
import { createGeneration, type Generation } from './generation.ts'
import type { Pool, PoolEvents } from './pool.ts'
import type { RuntimeOptions } from './runtime-options.ts'

export type { RuntimeOptions } from './runtime-options.ts'

/** Definitions that are loaded and wait to be used. Exactly one of the two methods is called. */
export interface LoadedDefinitions {
  readonly registry: Registry
  readonly problems: readonly Problem[]
  /** What works, and should be known. */
  readonly warnings: readonly Problem[]
  /** Every file on disk they were made from, for `--watch`; also those that do not exist or do not load. */
  readonly files: readonly string[]
  /** From now on calls go to these definitions; calls that are running finish with the ones they began with. */
  activate(): void
  /** The definitions in use stay in use. */
  discard(): void
}

export interface Runtime extends FunctionRunner {
  /** Loads the files as they stand on disk. Never rejects for what they hold: that is a problem in the list. */
  load(): Promise<LoadedDefinitions>
  close(): Promise<void>
}

/** How long calls of replaced definitions may still run. */
const DRAIN_MS = 30_000

export function createRuntime(options: RuntimeOptions): Runtime {
  let current: Generation | null = null
  const draining = new Set<Generation>()
  /** Loading, or loaded and not yet taken or discarded. */
  const pending = new Set<Generation>()
  const callers = new Map<number, { readonly call: FunctionCall | BatchCall; readonly resolve: (outcome: Outcome) => void }>()
  const warned = new Set<string>()
  let lastId = 0

  const events: PoolEvents = {
    onOutcome(id, outcome) {
      callers.get(id)?.resolve(outcome)
      callers.delete(id)
    },
    onRequest(id, question, form) {
      const caller = callers.get(id)
      if (caller !== undefined) return answer(caller.call.host, question, form, options.log)
      return Promise.resolve({ error: { code: 'feature_timeout', message: 'The computation has ended.' } as const })
    },
    onLog(id, level, message, fields) {
      const call = callers.get(id)?.call
      options.log(level, message, call === undefined ? fields : { feature: call.feature, ...keyOf(call), ...fields })
    },
  }

  /** Every reload finds them again. */
  const warnOnce = ({ subject, message, hint, location }: Problem) => {
    const text = `${subject}: ${message}`
    if (warned.has(text)) return
    warned.add(text)
    options.log('warn', text, { hint, ...(location === null ? {} : { file: `${location.file}:${location.line}` }) })
  }

  const retire = async (generation: Generation) => {
    draining.add(generation)
    await generation.drain(DRAIN_MS)
    draining.delete(generation)
  }

  function drainingPoolOf(feature: string, fingerprint: string): Pool | undefined {
    for (const generation of draining) {
      const pool = generation.poolOf(feature, fingerprint)
      if (pool !== undefined) return pool
    }
    return undefined
  }

  function start(call: FunctionCall | BatchCall): Promise<Outcome> {
    const { feature, fingerprint, asOf, mode, inputs, deadlineAt, signal } = call
    const now = performance.now()
    const { askedAt = now } = call
    const pool = current?.poolOf(feature, fingerprint) ?? drainingPoolOf(feature, fingerprint)
    if (!pool) {
      const error: CallFailure = {
        code: 'feature_failed',
        message: `The definition of "${feature}" has been replaced.`,
        hint: 'Ask again.',
      }
      return Promise.resolve({ texts: null, error })
    }
    // Stays within 31 bits: it crosses in an Int32Array.
    lastId = (lastId % 0x7fff_fffe) + 1
    const id = lastId
    return new Promise((resolve) => {
      callers.set(id, { call, resolve })
      const frame: Omit<CallFrame, 'slot'> =
        'keys' in call
          ? { t: 'call', id, feature, keys: call.keys, inputs: call.inputs, asOf, mode }
          : { t: 'call', id, feature, key: call.key, inputs, asOf, mode }
      pool.start({ frame, deadlineAt, askedAt, waitedUntil: now, fingerprint, signal, runs: 0, workers: new Set() })
    })
  }

  return {
    async load() {
      const generation = createGeneration(options, events)
      pending.add(generation)
      const { registry, problems, warnings, files } = await generation.load()
      for (const warning of warnings) warnOnce(warning)
      return {
        registry,
        problems,
        warnings,
        files,
        activate() {
          pending.delete(generation)
          if (current) void retire(current)
          current = generation
          generation.fill()
        },
        discard() {
          pending.delete(generation)
          void generation.close()
        },
      }
    },
    call: start,
    async callBatch(call) {
      const { texts: _, elements = null, ...outcome } = await start(call)
      return { ...outcome, elements }
    },
    async close() {
      const generations = [...(current ? [current] : []), ...draining, ...pending]
      current = null
      await Promise.all(generations.map((one) => one.close()))
    },
  }
}

function keyOf(call: FunctionCall | BatchCall): Readonly<Record<string, unknown>> {
  return 'keys' in call ? { keys: call.keys.length } : { key: call.key }
}

async function answer(
  host: CallHost,
  question: RuntimeRequest,
  form: CellForm,
  log: RuntimeLog,
): Promise<{ rows?: DbResult; part?: ReadPart; error?: CallFailure }> {
  try {
    if (question.kind === 'get') return { part: await host.get(question.name) }
    return { rows: await host.query(question.sql, question.params, form) }
  } catch (error) {
    if (error instanceof FabraError) {
      return { error: { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } }
    }
    log('error', "A function's question could not be answered.", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    return { error: { code: 'internal', message: 'The question could not be answered.', hint: 'The log has the details.' } }
  }
}
