/**
 * A first start in a new folder reads the files of sources behind the open port. Until they are there, definitions are served that nobody has checked
 * against them: what needs no source is answered at once, and what does waits for them, as long as its own deadline allows.
 */
import type { Db } from '../compute/db.ts'
import type { Computed, Executor } from '../compute/executor.ts'
import type { SqlDefinitions } from '../compute/sql/sql-definitions.ts'
import { createDb } from '../compute/sql/user-queries.ts'
import type { Feature, Registry } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { LoadingProgress, SourceLoading } from '../http/readiness.ts'
import type { Logger } from '../observability/logger.ts'
import type { RunOptions, SourceEngine } from '../store/ports/source-engine.ts'
import { createExecutor, type ExecutorOf, type LiveDefinitions } from './live-definitions.ts'

/** Of its deadline, what is left to tell that a source is being loaded, before a caller tells that it was not answered in time. */
const TELLING_SHARE = 0.2
/** A file of at least so many bytes is told of when it begins: it takes a while. */
const LARGE = 64_000_000

export interface LateSources extends SourceLoading {
  /** What is served until sources are there. */
  readonly definitions: SqlDefinitions
  readonly executorOf: ExecutorOf
  /** The engine, its loads followed. */
  readonly engine: SourceEngine
  /** They are there. */
  done(live: LiveDefinitions): void
  failed(error: unknown): void
  /** Gives up what is being loaded. */
  stop(): void
}

/** Everything is there from the start. */
export const LOADED: Pick<LateSources, 'progress' | 'whole' | 'stop'> = {
  progress: () => null,
  whole: Promise.resolve(),
  stop: () => undefined,
}

/** At once where they are there. Where they do not come, the process ends. */
export function onceWhole({ progress, whole }: SourceLoading, work: () => void): void {
  if (progress() === null) work()
  else void whole.then(work, () => undefined)
}

export function createLateSources(registry: Registry, engine: SourceEngine, log: Logger): LateSources {
  const ended = new AbortController()
  const { promise, resolve, reject } = Promise.withResolvers<LiveDefinitions>()
  // Who waits for it hears of it.
  promise.catch(() => undefined)
  const whole = promise.then(() => undefined)
  whole.catch(() => undefined)
  const files = [...registry.sources.values()].filter(({ file }) => file !== null).map(({ name }) => name)
  let progress: LoadingProgress | null = { source: null, done: 0, of: files.length }
  const began = (source: string, bytes: number) => {
    progress = { source, done: Math.max(0, files.indexOf(source)), of: files.length }
    if (bytes >= LARGE) log.info('the file of a source is being loaded; what reads it waits for it', { source, bytes })
  }
  const waiting = createWaiting(promise, () => progress?.source ?? null)
  return {
    progress: () => progress,
    whole,
    definitions: { problems: [], warnings: [], registry, get: () => undefined },
    executorOf: earlyExecutor(waiting),
    engine: { ...engine, load: (sources) => engine.load(sources, { signal: ended.signal, began }) },
    done(live) {
      progress = null
      resolve(live)
    },
    failed: reject,
    stop() {
      ended.abort(new FabraError('source_loading', 'The server was asked to end before its sources were loaded.'))
      reject(ended.signal.reason)
    },
  }
}

/** @returns what is served over the sources, and how long its caller waits still. @throws FabraError source_loading */
type Waiting = (what: string, options: RunOptions) => Promise<{ readonly live: LiveDefinitions; readonly timeoutMs: number }>

function createWaiting(whole: Promise<LiveDefinitions>, source: () => string | null): Waiting {
  return async (what, { signal, timeoutMs }) => {
    const startedAt = performance.now()
    const late = Promise.withResolvers<never>()
    late.promise.catch(() => undefined)
    const tell = () => late.reject(stillLoading(what, source()))
    const timer = setTimeout(tell, timeoutMs * (1 - TELLING_SHARE))
    if (signal.aborted) tell()
    signal.addEventListener('abort', tell, { once: true })
    try {
      const live = await Promise.race([whole, late.promise])
      return { live, timeoutMs: Math.max(1, timeoutMs - (performance.now() - startedAt)) }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', tell)
    }
  }
}

export function stillLoading(what: string, source: string | null): FabraError {
  const which = source === null ? 'the files of its sources are' : `the file of source "${source}" is`
  return new FabraError('source_loading', `${what} waits for sources: ${which} still being loaded after the start.`, {
    hint: 'Try again in a moment; GET /ready tells how far it is.',
  })
}

/** SQL is computed by the definitions that were checked; functions run already, and wait where they ask a source. */
function earlyExecutor(waiting: Waiting): ExecutorOf {
  return (dependencies, definitions, serving, seen) => {
    const db = lateDb(createDb({ sourceEngine: dependencies.sourceEngine, registry: definitions.registry }), waiting)
    const functions = createExecutor(dependencies, definitions, serving, seen, db)
    const ofSql: Executor['compute'] = async (feature, rows, options) => {
      try {
        const { live, timeoutMs } = await waiting(`Feature "${feature.name}"`, options)
        return await live.training.executor.compute(checked(live, feature), rows, { ...options, timeoutMs })
      } catch (error) {
        if (!(error instanceof FabraError) || error.code !== 'source_loading') throw error
        return Array.from({ length: rows.length }, (): Computed => ({ kind: 'error', error }))
      }
    }
    return {
      compute: (feature, rows, options) =>
        feature.computation.kind === 'sql' ? ofSql(feature, rows, options) : functions.compute(feature, rows, options),
    }
  }
}

/** With the types that its SQL gives. */
function checked(live: LiveDefinitions, feature: Feature): Feature {
  return live.serving.registry.features.get(feature.name) ?? feature
}

function lateDb(db: Db, waiting: Waiting): Db {
  return {
    async query(sql, params, at) {
      const { timeoutMs } = await waiting('The query', at)
      const { asOf, mode, signal } = at
      return db.query(sql, params, { asOf, mode, signal, timeoutMs, ...(at.form === undefined ? {} : { form: at.form }) })
    },
  }
}
