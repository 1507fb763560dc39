/** The composition root: Config → stores → executors → jobs → http. Started and stopped in order. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { createKeyring, type Keyring } from '../auth/keyring.ts'
import { SCOPES } from '../auth/scopes.ts'
import { type Micros, type SteeredClock, systemClock } from '../clock.ts'
import { requireKeyring } from '../config/bound-address.ts'
import { type Config, requireProduction } from '../config/config.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import { createHttpApp, type HttpApp } from '../http/http-app.ts'
import type { HttpOptions } from '../http/options.ts'
import { type HttpServer, startHttp } from '../http/server.ts'
import type { Logger } from '../observability/logger.ts'
import { createWebhook } from '../observability/webhook.ts'
import type { WebhookEvent } from '../observability/webhook-message.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { type FileWatch, watchFiles } from '../runtime/watch.ts'
import type { Serving } from '../serving/serving.ts'
import type { RedisTimes } from '../store/redis/redis.ts'
import { type FeatureStore, type FeatureStoreOptions, openFeatureStore } from './feature-store.ts'
import { warnWhileOpen } from './open-to-all.ts'
import { sampleKey } from './sample-key.ts'
import { leaveNote, noFolder, noteOf } from './server-note.ts'
import { openTracing } from './tracing.ts'

/** In production: load balancers go on sending for a moment after they have been told. */
const LINGER_MS = 1_000

export interface AppOptions {
  /** Absolute paths of the definition files. */
  readonly files: readonly string[]
  readonly config: Config
  readonly log: Logger
  /** Added to the machine's clock (`--clock`). */
  readonly clockOffset: Micros
  /** Another clock than the machine's, for simulations: no command and no setting gives one. */
  readonly clock?: SteeredClock
  /** Other limits than a server has, for tests on busy machines: no command and no setting gives any. */
  readonly redisTimes?: RedisTimes
  /** Keep state in a folder of its own, emptied at start (`--clock`). */
  readonly apart?: boolean
  /** Other processes of the same command share the port. */
  readonly shared?: SharedPort
  /** Latest values are not brought back from history: nobody will ask for them. */
  readonly cold?: boolean
  /** Files of sources may be read while others are answered already: see `whole`. Default false. */
  readonly loadsBehind?: boolean
  /** Made for these files and this clock, perhaps loading already. Closed by the app. */
  readonly runtime?: Runtime
}

export interface SharedPort {
  /** What local commands show: the same in all of them. */
  readonly localKey: string
  /** How many there are. Default 1. */
  readonly processes?: number
  /** Nobody of them listens yet, so the port must be free. */
  readonly isFirst: boolean
}

export interface App {
  /** Requests must carry an API key. */
  readonly asksForKeys: boolean
  /** There is a page at /ui. */
  readonly hasUi: boolean
  serving(): Serving
  /** Resolves when all sources are there. @throws InvalidDefinitions with what is wrong with them, and with what reads them */
  readonly whole: Promise<void>
  /** The HTTP API without a socket. */
  fetch(request: Request): Promise<Response>
  /** @throws FabraError port_in_use */
  listen(): Promise<HttpServer>
  /** A key of the feature's entity that its data knows, its columns in order. */
  sampleKey(feature: Feature): Promise<readonly string[] | undefined>
  /**
   * Reload the definitions whenever one of their files or sources changes.
   * @param onReload Told of every attempt: undefined when the new definitions serve, else why the old ones still do.
   */
  watch(onReload: (error: unknown) => void): void
  /** Stops taking requests, lets running ones finish, makes history durable and lets go of the data folder. Safe to call twice. */
  close(): Promise<void>
}

/** @throws InvalidDefinitions with every problem found; FabraError data_dir_locked, io_failed */
export async function openApp(options: AppOptions): Promise<App> {
  const { config } = options
  requireProduction(config)
  const { tracer, log } = await openTracing(config.tracing, options.log)
  const clock = options.clock ?? systemClock(options.clockOffset)
  const dataDir = options.apart ? join(config.dataDir, 'clock') : config.dataDir
  if (options.apart) await rm(dataDir, { recursive: true, force: true })
  const webhook = config.webhook && createWebhook({ ...config.webhook, log, random: Math.random })
  const notify = webhook && ((event: WebhookEvent) => webhook.send(event, tracer?.context()?.headers))
  const featureStore = await openFeatureStore({
    ...featureStoreOptions(options, dataDir, clock),
    log,
    tracer,
    ...(notify ? { notify } : {}),
  })
  // Commands of this machine's user reach the server of their folder without a key of their own.
  const localKey = options.shared?.localKey ?? crypto.randomUUID()
  const keyring = await openKeyring(featureStore, { config, localKey, log }).catch(async (error: unknown) => {
    await featureStore.close(0)
    throw error
  })
  let starting = false
  let stopping = false
  const http: HttpOptions = {
    serving: () => featureStore.serving(),
    readiness: () => ({
      ready: !starting && !stopping && featureStore.warm(),
      stores: featureStore.stores(),
      recovery: featureStore.recovery(),
      loading: featureStore.loading.progress(),
    }),
    loading: featureStore.loading,
    ...jobsOf(featureStore),
    writeTable: async (table) => (await import('../store/duckdb/training/arrow-values.ts')).writeArrowStream(table),
    keyring,
    rateLimits: featureStore.rateLimits,
    tracer,
    accessLog: config.accessLog,
    isDevelopment: config.env === 'development',
    hasUi: config.ui,
    clock,
    log,
    version: packageJson.version,
  }
  let web: HttpApp | undefined
  let server: HttpServer | undefined
  let files: FileWatch | undefined
  let stopWarning: () => void = () => undefined
  let closed: Promise<void> | undefined

  async function close(): Promise<void> {
    stopping = true
    featureStore.stopLoading()
    const deadline = performance.now() + config.drainSeconds * 1000
    files?.stop()
    stopWarning()
    // Who watches would be waited for.
    featureStore.insight.feed.close()
    await server?.stop(deadline - performance.now())
    keyring?.close()
    if (server) await rm(noteOf(dataDir), { force: true }).catch(() => undefined)
    await featureStore.close(Math.max(0, deadline - performance.now()))
    await webhook?.close(Math.max(0, Math.min(1_000, deadline - performance.now())))
    await tracer?.close(Math.max(500, Math.min(5_000, deadline - performance.now())))
  }

  return {
    asksForKeys: keyring !== null,
    hasUi: config.ui,
    serving: http.serving,
    whole: featureStore.loading.whole,
    async fetch(request) {
      web ??= createHttpApp({ ...http, keyring: null }, null)
      return web.fetch(request)
    },
    async listen() {
      const sharing = options.shared && (options.shared.isFirst ? 'first' : 'further')
      const lingerMs = config.env === 'production' ? LINGER_MS : 0
      const { host, port, hosts, origins, metricsPort } = config
      requireKeyring(config)
      starting = true
      server = await startHttp(http, { host, port, hosts, origins, metricsPort, sharing: sharing ?? 'alone', lingerMs })
      await leaveNote(dataDir, server, {
        localKey,
        files: options.files,
        clockOffset: options.apart === true ? options.clockOffset : null,
      }).catch((error: unknown) => {
        // A server whose data is elsewhere runs on a read-only disk, too: commands then do not find it by themselves.
        if (config.env !== 'production') throw noFolder(dataDir, error)
        log.debug('no note left in the data folder', { error })
      })
      stopWarning = warnWhileOpen(config, log)
      featureStore.start(config.role !== 'api')
      starting = false
      if (server.metricsUrl !== null) log.info('metrics are served to everybody who reaches their port', { url: server.metricsUrl })
      return server
    },
    watch(onReload) {
      files = watchFiles(async () => {
        const error = await featureStore.reload().then(
          () => undefined,
          (reason: unknown) => reason,
        )
        files?.follow(featureStore.files(), featureStore.folders())
        if (!stopping) onReload(error)
      })
      files.follow(featureStore.files(), featureStore.folders())
    },
    sampleKey: (feature) => sampleKey(featureStore, feature, clock.now()),
    close() {
      closed ??= close()
      return closed
    },
  }
}

function featureStoreOptions(
  { files, config, clockOffset, apart = false, cold = false, loadsBehind = false, redisTimes, shared, runtime }: AppOptions,
  dataDir: string,
  clock: SteeredClock,
): Omit<FeatureStoreOptions, 'log'> {
  const { postgresUrl, sourceUrl, redisUrl, trainingMemory, python, isolation, requestTimeoutMs } = config
  const { historyMode, historySample, historyKeep, rowsKeep, archiveDir, objectStore, storageWarn } = config
  return {
    files,
    stores: { dataDir, postgresUrl, sourceUrl, redisUrl, redisTimes, apart, trainingMemory, clock },
    clock,
    clockOffset,
    python,
    isolation,
    requestTimeoutMs,
    cold,
    loadsBehind,
    historyKeep,
    historyMode,
    historySample,
    // Sources are the same with any clock.
    rowsKeep: apart ? null : rowsKeep,
    archiveDir: apart ? null : archiveDir,
    objectStore,
    storageWarn,
    about: {
      mode: config.env === 'production' ? 'production' : 'laptop',
      processes: shared?.processes ?? 1,
      keepsStatistics: config.statistics,
    },
    runtime,
  }
}

/** What routes ask of the running store. */
function jobsOf(featureStore: FeatureStore) {
  const { refresh, insight, audit, runs, recorded, ingest, training } = featureStore
  return { metrics: () => featureStore.metrics(), refresh, insight, audit, runs: { list: runs }, ...recorded, ingest, training }
}

interface KeyringDependencies {
  readonly config: Config
  readonly localKey: string
  readonly log: Logger
}

/** Keys are asked for in production, and wherever some are configured. @throws FabraError invalid_config when production has none. */
async function openKeyring(featureStore: FeatureStore, { config, localKey, log }: KeyringDependencies): Promise<Keyring | null> {
  const isProduction = config.env === 'production'
  if (!isProduction && config.apiKeys.length === 0) return null
  const local = { name: 'local', hash: new Bun.CryptoHasher('sha256').update(localKey).digest('hex'), scopes: SCOPES }
  const keyring = await createKeyring({
    configured: [...config.apiKeys, local],
    store: featureStore.admin,
    onProblem: (message, error) => log.warn(message, { error }),
  })
  if (keyring.size > 1) return keyring
  keyring.close()
  throw new FabraError('invalid_config', 'FABRA_ENV=production needs an API key, and there is none.', {
    hint: 'Make one: fabra keys create. Or set FABRA_API_KEYS.',
  })
}

export type { HttpServer } from '../http/server.ts'
export {
  type InstalledPackage,
  inspectPython,
  type PythonPlace,
  type PythonProject,
  prepareForImage,
  pythonPlace,
} from '../runtime/python/project.ts'
export { engineVersion } from '../store/duckdb/connection/engine-version.ts'
export { readTableFile } from '../store/duckdb/sources/table-file.ts'
export { type CheckedProject, type CheckPlace, checkPlace, checkProject } from './checked-definitions.ts'
export { openTestStore, type TestStore } from './test-store.ts'
export { declaredSources, missingFiles } from './trial.ts'
