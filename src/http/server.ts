import { Elysia } from 'elysia'
import type { Clock } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { Ingest } from '../ingest/ingest.ts'
import type { List } from '../long-list.ts'
import type { Logger } from '../observability/logger.ts'
import type { Metric } from '../observability/metrics.ts'
import type { Run, RunFilter } from '../refresh/runs.ts'
import type { Serving } from '../serving/serving.ts'
import type { HistoryQuery, HistoryRow } from '../store/offline-store.ts'
import type { TrainingJob, TrainingReport } from '../training/training-set.ts'
import { authorise } from './auth.ts'
import { directRoutes } from './direct-routes.ts'
import { drain } from './drain.ts'
import { errorResponse } from './error-response.ts'
import type { Keyring } from './keyring.ts'
import { catalogueRoutes } from './routes/catalogue.ts'
import { docsRoutes } from './routes/docs.ts'
import { entityRoutes } from './routes/entities.ts'
import { featureRoutes } from './routes/features.ts'
import { forgetRoutes } from './routes/forget.ts'
import { historyRoutes } from './routes/history.ts'
import { operationRoutes } from './routes/operations.ts'
import { refreshRoutes } from './routes/refresh.ts'
import { sourceRowRoutes } from './routes/source-rows.ts'
import { trainingRoutes } from './routes/training.ts'
import { valueRoutes } from './routes/values.ts'

export interface Readiness {
  readonly ready: boolean
  /** Store → `ok`, or what is wrong with it. */
  readonly stores: Readonly<Record<string, string>>
}

export interface HttpOptions {
  /** The definitions being served; another object after each reload. */
  readonly serving: () => Serving
  readonly readiness: () => Readiness
  readonly metrics: () => readonly Metric[]
  /** Compute keys again now: those given, or all in use. @throws FabraError not_refreshable */
  readonly refresh: (feature: Feature, keys: List<EntityKey> | null) => Promise<Run>
  /** What refreshes did, newest first. */
  readonly runs: { list(filter: RunFilter): readonly Run[] | Promise<readonly Run[]> }
  /** Recorded values of one key, newest first. */
  readonly history: (query: HistoryQuery) => Promise<readonly HistoryRow[]>
  /** Data that comes in. */
  readonly ingest: Pick<Ingest, 'push' | 'append' | 'forget'>
  /** Training sets over the definitions being served. */
  readonly training: {
    /** @throws FabraError overloaded */
    begin(id: string): Promise<TrainingJob>
    report(id: string): TrainingReport | undefined
  }
  /** Who may ask; null: everybody who reaches the address. */
  readonly keyring: Keyring | null
  readonly clock: Clock
  readonly log: Logger
  readonly version: string
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /**
   * `alone`: nobody else may listen on the port. Of several processes that share it: `first`, for which it must be free, and `further` ones.
   */
  readonly sharing: 'alone' | 'first' | 'further'
  /** How long nobody may have asked anything before a server that stops refuses connections. */
  readonly lingerMs: number
}

export interface HttpServer {
  readonly host: string
  readonly port: number
  readonly url: string
  /** Lets go of its clients and waits for running requests, at most this long; see drain.ts. */
  stop(drainMs: number): Promise<void>
}

export function createHttpApp(options: HttpOptions): Elysia {
  const tell = (error: unknown, request: Request) => errorResponse(ownError([], error, 'UNKNOWN', request), request, options.log)
  const app = new Elysia({ normalize: false, serve: { routes: directRoutes(options, tell) } })
  app.onError(({ error, code, request }) => {
    const allow = code === 'NOT_FOUND' ? methodsOf(app, new URL(request.url).pathname) : []
    const told = ownError(allow, error, code, request)
    return errorResponse(told, request, options.log, allow.length > 0 ? { allow: allow.join(', ') } : {})
  })
  const { keyring } = options
  if (keyring) app.onRequest(({ request }) => authorise(keyring, request))
  featureRoutes(app, options)
  entityRoutes(app, options)
  historyRoutes(app, options)
  refreshRoutes(app, options)
  valueRoutes(app, options)
  sourceRowRoutes(app, options)
  forgetRoutes(app, options)
  trainingRoutes(app, options)
  catalogueRoutes(app, options)
  operationRoutes(app, options)
  docsRoutes(app, options)
  return app
}

/** @throws FabraError port_in_use */
export async function startHttp(options: HttpOptions, address: ListenOptions): Promise<HttpServer> {
  const app = createHttpApp(options)
  try {
    if (address.sharing === 'first' && address.port !== 0) await claimPort(address)
    // Bodies are bounded where they are read, so that even a large one gets an answer in the shape of all others.
    // Without reusePort: false a second server would share the port in silence, and each would get half of the requests.
    app.listen({
      hostname: address.host,
      port: address.port,
      reusePort: address.sharing !== 'alone',
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      idleTimeout: 60,
    })
  } catch (cause) {
    throw listenError(cause, address)
  }
  const server = app.server
  if (!server) throw new FabraError('internal', 'The HTTP server did not start.')
  const port = server.port ?? address.port
  const shown = address.host.includes(':') ? `[${address.host}]` : address.host
  const reachable = address.host === '0.0.0.0' ? '127.0.0.1' : address.host === '::' ? '[::1]' : shown
  return {
    host: address.host,
    port,
    url: `http://${reachable}:${port}`,
    async stop(drainMs) {
      // The routes of an app that listens are known to Bun alone: its fetch finds none of them.
      const leaving = createHttpApp(options)
      await leaving.handle(new Request('http://localhost/health'))
      await drain(server, { fetch: (request) => leaving.handle(request), drainMs, lingerMs: address.lingerMs })
    },
  }
}

/** Those who share a port do not notice others who share it: only a listener of its own finds it taken. */
async function claimPort({ host, port }: ListenOptions): Promise<void> {
  const claim = Bun.serve({ hostname: host, port, reusePort: false, fetch: () => new Response(null, { status: 503 }) })
  await claim.stop(true)
}

function listenError(cause: unknown, address: { readonly host: string; readonly port: number }): FabraError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code === 'EADDRINUSE') {
    return new FabraError('port_in_use', `Port ${address.port} on ${address.host} is in use by another process.`, {
      cause,
      hint: `Stop that process, or choose another port: fabra serve --port ${address.port + 1}`,
    })
  }
  if (code === 'EACCES')
    return new FabraError('port_in_use', `Port ${address.port} needs root.`, { cause, hint: 'Choose a port above 1023.' })
  return new FabraError('port_in_use', `Cannot listen on ${address.host}:${address.port}.`, { cause, hint: 'Check --host and --port.' })
}

/** Elysia's own errors in our words. */
function ownError(allow: readonly string[], error: unknown, code: string | number, request: Request): unknown {
  const { pathname } = new URL(request.url)
  if (code === 'NOT_FOUND') {
    if (allow.length > 0) {
      return new FabraError('method_not_allowed', `${request.method} is not possible on ${pathname}.`, {
        hint: `Use ${allow.join(' or ')}.`,
      })
    }
    return new FabraError('not_found', `Nothing is at ${request.method} ${pathname}.`, { hint: 'GET /openapi.json lists every route.' })
  }
  if (code === 'PARSE' || code === 'VALIDATION' || error instanceof URIError) {
    return new FabraError('bad_request', 'The request cannot be read.', { cause: error, hint: 'Check its address and body.' })
  }
  return error
}

function methodsOf(app: Elysia, path: string): string[] {
  return [...new Set(app.routes.filter((route) => matches(route.path, path)).map((route) => route.method))]
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  return wanted.length === given.length && wanted.every((part, i) => part.startsWith(':') || part === given[i])
}
