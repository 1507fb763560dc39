/** The one place where errors become responses. Anything that is not a FabraError is told as `internal`; its stack goes to the log. */
import { FabraError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import { pathOf } from './address.ts'
import { logFailure } from './failure-log.ts'

/** One object for all answers, a third faster than new headers for each. Responses copy it. */
export const JSON_HEADERS = new Headers({ 'content-type': 'application/json' })

/** Of requests that were told of by their id before they are answered. */
const known = new WeakMap<Request, string>()

/** A request id worth repeating: the caller's own when it is short and plain, else a new one. */
export function requestId(request: Request): string {
  const given = request.headers.get('x-request-id')
  return given !== null && /^[\w.:-]{1,128}$/.test(given) ? given : (known.get(request) ?? crypto.randomUUID())
}

/** The same again for the same request, be it answered with an error. */
export function requestIdFor(request: Request): string {
  const id = requestId(request)
  known.set(request, id)
  return id
}

/** @param headers Sent along: `allow` with a 405. */
export function errorResponse(error: unknown, request: Request, log: Logger, headers: Readonly<Record<string, string>> = {}): Response {
  const id = requestId(request)
  const path = pathOf(request)
  if (!(error instanceof FabraError)) {
    log.error('internal error', { request_id: id, method: request.method, path, error })
    return respond(
      new FabraError('internal', 'Something went wrong inside Fabra.', { hint: `The server log has the details under request ${id}.` }),
      id,
    )
  }
  if (error.status >= 500)
    logFailure(log, error.code, error.message, () => {
      return { code: error.code, request_id: id, path, ...(error.cause === undefined ? {} : { error: error.cause }) }
    })
  // A client's mistake, but what lies behind it is for the operator alone: what a database said of its SQL.
  else if (error.cause !== undefined) log.info(error.message, { code: error.code, request_id: id, path, error: error.cause })
  return respond(error, id, headers)
}

/** `{"code","message","hint"?}`, without a request id: for errors inside a 200. */
export function errorJson(error: FabraError): { code: string; message: string; hint?: string } {
  return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) }
}

/** For what went wrong where errors are told: it needs nothing that could fail again. */
export function lastResort(): Response {
  return respond(new FabraError('internal', 'Something went wrong inside Fabra.'), crypto.randomUUID())
}

function respond(error: FabraError, id: string, more: Readonly<Record<string, string>> = {}): Response {
  const headers = new Headers({ ...more, 'content-type': 'application/json', 'x-request-id': id })
  if (error.code === 'overloaded' || error.code === 'too_many_requests') headers.set('retry-after', '1')
  // The rest of the body would be taken for the next request.
  if (error.code === 'body_too_slow') headers.set('connection', 'close')
  if (error.code === 'unauthorized') headers.set('www-authenticate', 'Bearer realm="fabra"')
  return new Response(`${JSON.stringify({ error: { ...errorJson(error), request_id: id } })}\n`, { status: error.status, headers })
}
