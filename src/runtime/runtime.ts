/**
 * Where user functions run: a pool of worker threads that load the same files. The main thread never runs user code, so nothing a
 * function does can stop it.
 *
 * A watch looks every few milliseconds while calls are running. A worker that is silent is pinged; one that does not answer is stalled: nothing
 * new goes to it, and calls that it has not begun go to another worker. What becomes of those that it has begun, victims.ts tells.
 * A call that passes its deadline is answered with `feature_timeout` at once, and if its worker is stalled the worker is terminated and replaced,
 * unless another call on it has run for long and may still come to its end there.
 * A feature that stalled a worker runs in quarantine, a worker for such features only, until a minute has passed without it happening again.
 */
import type { Micros } from '../clock.ts'
import type { DbResult } from '../compute/db.ts'
import type { CallFailure, CallHost, CallOutcome, FunctionCall, FunctionRunner } from '../compute/function-runner.ts'
import type { ReadPart } from '../compute/reader.ts'
import type { Problem, Registry } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { RuntimeLog, RuntimeRequest } from './frames.ts'
import { createPool, type Pool, type PoolEvents } from './pool.ts'
import { workerUrl } from './worker-url.ts'

export interface RuntimeOptions {
  /** Absolute paths of the files that define features. */
  readonly files: readonly string[]
  /** Threads that run functions. Default 2. */
  readonly workers?: number
  /** Added to the present that user code sees (`--clock`). Default 0. */
  readonly clockOffset?: Micros
  /** Longest time the files' top-level code may take. Milliseconds, default 30,000. */
  readonly loadTimeoutMs?: number
  readonly log: RuntimeLog
  /** Where the worker's code is. Default: this program's own. */
  readonly url?: string
}

/** Definitions that are loaded and wait to be used. Exactly one of the two methods is called. */
export interface LoadedDefinitions {
  readonly registry: Registry
  readonly problems: readonly Problem[]
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
  let current: Pool | null = null
  const draining = new Set<Pool>()
  /** Loading, or loaded and not yet taken or discarded. */
  const pending = new Set<Pool>()
  const callers = new Map<number, { readonly call: FunctionCall; readonly resolve: (outcome: CallOutcome) => void }>()
  let lastId = 0

  const events: PoolEvents = {
    onOutcome(id, outcome) {
      callers.get(id)?.resolve(outcome)
      callers.delete(id)
    },
    async onRequest(id, question) {
      const caller = callers.get(id)
      if (caller === undefined) return { error: { code: 'feature_timeout', message: 'The computation has ended.' } }
      return answer(caller.call.host, question, options.log)
    },
    onLog(id, level, message, fields) {
      const call = callers.get(id)?.call
      options.log(level, message, call === undefined ? fields : { feature: call.feature, key: call.key, ...fields })
    },
  }

  const retire = async (pool: Pool) => {
    draining.add(pool)
    await pool.drain(DRAIN_MS)
    draining.delete(pool)
  }

  return {
    async load() {
      const pool = createPool({
        url: options.url ?? workerUrl(),
        files: options.files,
        workers: Math.max(1, options.workers ?? 2),
        clockOffset: options.clockOffset ?? 0,
        loadTimeoutMs: options.loadTimeoutMs ?? 30_000,
        log: options.log,
        events,
      })
      pending.add(pool)
      const { registry, problems, files } = await pool.load()
      return {
        registry,
        problems,
        files,
        activate() {
          pending.delete(pool)
          if (current) void retire(current)
          current = pool
          pool.fill()
        },
        discard() {
          pending.delete(pool)
          void pool.close()
        },
      }
    },
    call(call) {
      const pool = [current, ...draining].find((candidate) => candidate?.fingerprint(call.feature) === call.fingerprint)
      if (!pool) {
        return Promise.resolve({
          texts: null,
          error: { code: 'feature_failed', message: `The definition of "${call.feature}" has been replaced.`, hint: 'Ask again.' },
        })
      }
      // Stays within 31 bits: it crosses in an Int32Array.
      lastId = (lastId % 0x7fff_fffe) + 1
      const id = lastId
      return new Promise((resolve) => {
        callers.set(id, { call, resolve })
        pool.start({
          frame: { t: 'call', id, feature: call.feature, key: call.key, inputs: call.inputs, asOf: call.asOf, mode: call.mode },
          deadlineAt: call.deadlineAt,
          fingerprint: call.fingerprint,
          signal: call.signal,
          runs: 0,
          workers: new Set(),
        })
      })
    },
    async close() {
      const pools = [...(current ? [current] : []), ...draining, ...pending]
      current = null
      await Promise.all(pools.map((pool) => pool.close()))
    },
  }
}

async function answer(
  host: CallHost,
  question: RuntimeRequest,
  log: RuntimeLog,
): Promise<{ rows?: DbResult; part?: ReadPart; error?: CallFailure }> {
  try {
    if (question.kind === 'get') return { part: await host.get(question.name) }
    return { rows: await host.query(question.sql, question.params) }
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
