import type { Elysia } from 'elysia'
import { metricsText } from '../../observability/metrics.ts'
import { JSON_HEADERS } from '../error-response.ts'
import { openApi } from '../openapi.ts'
import { healthDoc, metricsDoc, openApiDoc, readyDoc } from '../openapi-docs.ts'
import type { HttpOptions } from '../server.ts'

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function operationRoutes(app: Elysia, options: HttpOptions): void {
  app.get('/health', () => new Response('{"status":"ok"}\n', { headers: JSON_HEADERS }), { detail: healthDoc })
  app.get(
    '/ready',
    () => {
      const { ready, stores } = options.readiness()
      const isWhole = Object.values(stores).every((state) => state === 'ok')
      const body = { status: ready ? (isWhole ? 'ready' : 'degraded') : 'not_ready', stores }
      return new Response(`${JSON.stringify(body)}\n`, { status: ready ? 200 : 503, headers: JSON_HEADERS })
    },
    { detail: readyDoc },
  )
  app.get('/metrics', () => new Response(metricsText(options.metrics()), { headers: { 'content-type': METRICS_TYPE } }), {
    detail: metricsDoc,
  })
  app.get('/openapi.json', () => new Response(`${JSON.stringify(openApi(app, options.version))}\n`, { headers: JSON_HEADERS }), {
    detail: openApiDoc,
  })
}
