/**
 * How a server leaves without losing a request. From the first moment every answer says "Connection: close", so that clients and load balancers
 * let go of their connections; new ones are still served, because it takes a moment until nobody sends any. Then it stops listening, serves
 * what was accepted before, and waits for what still runs.
 */
import type { Server } from 'bun'
import { lastResort } from './error-response.ts'
import type { HttpApp } from './http-app.ts'
import { countConnections, findListener } from './stop-listening.ts'

export interface DrainOptions {
  /** Answers requests meanwhile. */
  readonly app: HttpApp
  /** Longest wait for running requests, all in all. */
  readonly drainMs: number
  /** How long nobody may have asked anything before it stops listening. */
  readonly lingerMs: number
}

const LOOK_EVERY_MS = 10
/** For requests on connections that were made just before; at least this long. */
const SETTLE_MS = 50
/** And so long at most where somebody asked since, and while there are connections: a client that is slow to send has not been told yet. */
const LONGEST_SETTLE_MS = 500

export async function drain(server: Server<undefined>, options: DrainOptions): Promise<void> {
  const startedAt = performance.now()
  const left = () => Math.max(0, options.drainMs - (performance.now() - startedAt))
  const { port } = server
  const stopListening = port === undefined ? null : findListener(port)
  let askedAt = startedAt
  server.reload({
    routes: {},
    error: lastResort,
    fetch: async (request, server) => {
      askedAt = performance.now()
      const response = await options.app.fetch(request, server)
      response.headers.set('connection', 'close')
      return response
    },
  })
  const isQuiet = (ms: number) => performance.now() - askedAt >= ms
  // A quarter of the time is the most that new requests are given: the rest is for those that run.
  const longestMs = options.lingerMs === 0 ? SETTLE_MS : options.drainMs / 4
  const quietMs = Math.max(options.lingerMs, SETTLE_MS)
  while (!isQuiet(quietMs) && performance.now() - startedAt < Math.min(longestMs, options.drainMs)) await Bun.sleep(LOOK_EVERY_MS)
  await stopListening?.()
  const stoppedAt = performance.now()
  const isSettled = (ms: number) => performance.now() - stoppedAt >= Math.min(ms, left())
  const isConnected = () => askedAt > startedAt && port !== undefined && (countConnections(port) ?? 0) > 0
  while (!isSettled(SETTLE_MS)) await Bun.sleep(LOOK_EVERY_MS)
  while (!isSettled(Math.max(LONGEST_SETTLE_MS, options.lingerMs / 2)) && isConnected()) await Bun.sleep(LOOK_EVERY_MS)
  const late = new Promise<'late'>((resolve) => setTimeout(resolve, left(), 'late').unref())
  if ((await Promise.race([server.stop(false), late])) === 'late') await server.stop(true)
}
