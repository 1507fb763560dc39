/** A line for each request, or for a share of them: FABRA_ACCESS_LOG. */
import { ACCESS, type Logger } from '../observability/logger.ts'
import type { Entrance, Guarded } from './door.ts'
import { requestIdFor } from './error-response.ts'
import type { Call } from './route.ts'

/** Asked all the time by those who watch, and the same each time. */
export const PROBES: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics'])

export interface AccessLog {
  /** Of requests that are told, from 0 to 1; those that fail in the server all are. */
  readonly share: number
  readonly log: Logger
  /** 0 ≤ random < 1. */
  readonly random: () => number
}

/** Whose key a request that was let in carries. */
const callers = new WeakMap<Request, string>()

/** The same, and it is known who asked. */
export function knownCaller(guarded: Guarded): Guarded {
  const noted = (answer: Guarded['answer']) => (call: Call) => {
    if (call.caller !== null) callers.set(call.request, call.caller)
    return answer.call(guarded, call)
  }
  const { answer, within } = guarded
  return { ...guarded, answer: noted(answer), ...(within ? { within: (allowed) => noted(within.call(guarded, allowed)) } : {}) }
}

/** @param path Of the route, not of the request: there stand names and ids. Null: there is no such route. */
export function loggedEntrance({ share, log, random }: AccessLog, path: string | null, entrance: Entrance): Entrance {
  const isProbe = path !== null && PROBES.has(path)
  return (request, params, server) => {
    const begun = performance.now()
    const id = requestIdFor(request)
    const logged = (response: Response): Response => {
      const { status } = response
      if (response.headers.get('x-request-id') === null) response.headers.set('x-request-id', id)
      if (status < 500 && (isProbe || random() >= share)) return response
      const ms = Math.round((performance.now() - begun) * 100) / 100
      const line = {
        method: request.method.slice(0, 16),
        route: path,
        status,
        ms,
        request_id: response.headers.get('x-request-id'),
        key: callers.get(request) ?? null,
      }
      // Where all fail, one line says how many: as with whatever else is told too often.
      if (status >= 500) log.warn('request failed', { code: status, ...line })
      else log.info(ACCESS, line)
      return response
    }
    const answer = entrance(request, params, server)
    return answer instanceof Promise ? answer.then(logged) : logged(answer)
  }
}
