import type { Span, Tracer } from '../observability/tracer.ts'
import { PROBES } from './access-log.ts'
import type { Entrance } from './door.ts'

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT'])

/** @param path Of the route, not of the request: there stand names and ids. Null: there is no such route. */
export function tracedEntrance(tracer: Tracer, path: string | null, entrance: Entrance): Entrance {
  if (path !== null && PROBES.has(path)) return entrance
  const route: Readonly<Record<string, string>> = path === null ? {} : { 'http.route': path }
  return (request, params, server) => {
    const method = METHODS.has(request.method) ? request.method : '_OTHER'
    const start = { name: path === null ? method : `${method} ${path}`, facts: { 'http.request.method': method, ...route } }
    return tracer.serve(request.headers, start, (span) => {
      const answer = entrance(request, params, server)
      if (!(answer instanceof Promise)) return traced(span, answer)
      return answer.then((response) => traced(span, response))
    })
  }
}

/** A client's mistake is no failure of the server's. */
function traced(span: Span, response: Response): Response {
  span.tell({ 'http.response.status_code': response.status })
  if (response.status >= 500) span.fail(String(response.status))
  return response
}
