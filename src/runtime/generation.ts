import { isPython } from '../definition/python-words.ts'
import { readForeign } from './foreign-values.ts'
import { type GuestWorkerOptions, startGuestWorker } from './guest-worker.ts'
import { buildDefinitions, type HostDefinitions } from './host-definitions.ts'
import { createPool, type Pool, type PoolEvents, type PoolOptions } from './pool.ts'
import { processWorkers } from './process/worker.ts'
import { pythonWorkers } from './python/worker.ts'
import type { RuntimeOptions } from './runtime-options.ts'
import { guestCommand, workerUrl } from './worker-url.ts'

/** One state of the definitions, and the workers of all languages that hold it. */
export interface Generation {
  /** Never rejects for what the files hold. */
  load(): Promise<HostDefinitions>
  /** Starts the workers beyond the first of each language. */
  fill(): void
  /** Where that version of a feature is computed; undefined: not here. */
  poolOf(feature: string, fingerprint: string): Pool | undefined
  /** Closes when nothing runs any more, at the latest after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>
  close(): Promise<void>
}

export function createGeneration(options: RuntimeOptions, events: PoolEvents): Generation {
  const languages = Map.groupBy(options.files, (file) => (isPython(file) ? 'python' : 'typescript'))
  const pools = [...languages].map(([language, files]) =>
    createPool({ ...poolOptions(options, events), files, ...LANGUAGES[language](options) }),
  )
  return {
    async load() {
      const definitions = buildDefinitions(options.files, await Promise.all(pools.map((pool) => pool.load())))
      for (const [i, own] of definitions.pools.entries()) pools[i]?.define(own)
      return definitions
    },
    fill() {
      for (const pool of pools) pool.fill()
    },
    poolOf: (feature, fingerprint) => pools.find((pool) => pool.fingerprint(feature) === fingerprint),
    async drain(timeoutMs) {
      await Promise.all(pools.map((pool) => pool.drain(timeoutMs)))
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.close()))
    },
  }
}

type OfLanguage = Pick<PoolOptions, 'startWorker' | 'form' | 'read'>

const LANGUAGES: Readonly<Record<'python' | 'typescript', (options: RuntimeOptions) => OfLanguage>> = {
  typescript: ({ isolation, python }) => ({
    form: 'plain',
    startWorker:
      isolation === 'process'
        ? processWorkers({ ...(python ?? NOWHERE), command: guestCommand() })
        : (worker: GuestWorkerOptions) => startGuestWorker(workerUrl(), worker),
  }),
  python: ({ python }) => ({ form: 'tagged', read: readForeign, startWorker: pythonWorkers(python ?? NOWHERE) }),
}

/** Where nothing says where Python is, none is found. */
const NOWHERE = { env: {}, workerEnv: {}, cacheFolders: [], executable: '', memory: 2 ** 30 }

function poolOptions(options: RuntimeOptions, events: PoolEvents) {
  return {
    workers: Math.max(1, options.workers ?? 2),
    clockOffset: options.clockOffset ?? 0,
    loadTimeoutMs: options.loadTimeoutMs ?? 30_000,
    log: options.log,
    events,
  }
}
