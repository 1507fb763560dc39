import { metricsText } from '../../observability/metrics.ts'
import { hasKey } from '../auth.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { openApi } from '../openapi/openapi.ts'
import { healthDoc, metricsDoc, openApiDoc, readyDoc } from '../openapi/operations.ts'
import type { HttpOptions } from '../options.ts'
import { isOk, type Readiness } from '../readiness.ts'
import type { Route } from '../route.ts'

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** @param table All routes, these among them. */
export function operationRoutes(options: HttpOptions, table: () => readonly Route[]): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/health',
      scope: 'open',
      anyHost: true,
      docs: healthDoc,
      answer: () => new Response('{"status":"ok"}\n', { headers: JSON_HEADERS }),
    },
    {
      method: 'GET',
      path: '/ready',
      scope: 'open',
      anyHost: true,
      docs: readyDoc,
      answer: ({ request }) => readiness(options, request),
    },
    metricsRoute(options, 'read'),
    {
      method: 'GET',
      path: '/openapi.json',
      scope: 'read',
      confinable: true,
      docs: openApiDoc,
      answer: () => new Response(`${JSON.stringify(openApi(table(), options.version))}\n`, { headers: JSON_HEADERS }),
    },
  ]
}

export function metricsRoute(options: Pick<HttpOptions, 'metrics'>, scope: Route['scope']): Route {
  return {
    method: 'GET',
    path: '/metrics',
    scope,
    early: true,
    docs: metricsDoc,
    answer: () => new Response(metricsText(options.metrics()), { headers: { 'content-type': METRICS_TYPE } }),
  }
}

/** Which stores there are is not everybody's business. */
async function readiness({ readiness, keyring, isDevelopment }: HttpOptions, request: Request): Promise<Response> {
  const now = readiness()
  const isTold = isDevelopment || keyring === null || (await hasKey(keyring, request))
  const recovery = now.recovery ? { recovery: now.recovery } : {}
  const loading = now.loading ? { loading: now.loading } : {}
  const body = isTold ? { status: statusOf(now), stores: now.stores, ...recovery, ...loading } : { status: statusOf(now) }
  return new Response(`${JSON.stringify(body)}\n`, { status: now.ready ? 200 : 503, headers: JSON_HEADERS })
}

/** A store that is sick takes no replica out of service: all of them would go at once, and each can still answer much. */
function statusOf({ ready, stores, recovery }: Readiness): string {
  if (!ready) return 'not_ready'
  return !recovery && Object.values(stores).every(isOk) ? 'ready' : 'degraded'
}
