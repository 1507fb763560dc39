/**
 * Pages of other origins that may ask this server from a browser (FABRA_ORIGINS). Browsers let a page read what another origin answers only where that
 * answer names the page's own origin, and ask first (OPTIONS) before they send keys, JSON or what changes anything. No answer allows cookies: Fabra has
 * none, and keys are sent in headers.
 */
export interface OriginRule {
  /** Whether a page of this origin may read answers and change things. `null`, as sandboxes and files have, never may. */
  has(origin: string): boolean
  /** The answer to a browser that asks before it sends; null: it is no such question, or of a page that is not allowed. */
  preflight(request: Request): Response | null
  /** Lets the page that sent the request read the answer. */
  open(response: Response, request: Request): Response
}

const METHODS = 'GET, HEAD, POST, DELETE'
/** What our clients and people's own send. A wildcard would leave out Authorization. */
const SENT = 'Accept, Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-API-Key, X-Request-ID'
const READ = 'Retry-After, WWW-Authenticate, X-Request-ID, X-Fabra-Dataset-Hash, X-Fabra-Rows'
/** Long enough that a page asks once, short enough that an origin which is taken out soon is out. */
const MAX_AGE_SECONDS = 600

/** @param origins As browsers write them: `https://app.example.com`. Null where there are none. */
export function createOriginRule(origins: readonly string[]): OriginRule | null {
  if (origins.length === 0) return null
  const allowed = new Set(origins)
  const has = (origin: string) => allowed.has(origin)
  return {
    has,
    preflight(request) {
      const origin = request.headers.get('origin')
      if (request.method !== 'OPTIONS' || origin === null || !has(origin)) return null
      if (!request.headers.has('access-control-request-method')) return null
      return new Response(null, {
        status: 204,
        headers: {
          'access-control-allow-origin': origin,
          'access-control-allow-methods': METHODS,
          'access-control-allow-headers': SENT,
          'access-control-max-age': String(MAX_AGE_SECONDS),
          vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
        },
      })
    },
    open(response, request) {
      // What is kept on the way for one origin, or for none, is not for another.
      response.headers.append('vary', 'Origin')
      const origin = request.headers.get('origin')
      if (origin === null || !has(origin)) return response
      response.headers.set('access-control-allow-origin', origin)
      response.headers.set('access-control-expose-headers', READ)
      return response
    },
  }
}
