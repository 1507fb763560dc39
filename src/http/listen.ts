import type { Server } from 'bun'
import { FabraError } from '../errors.ts'
import { lastResort } from './error-response.ts'
import type { HttpApp } from './http-app.ts'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /**
   * `alone`: nobody else may listen on the port. Of several processes that share it: `first`, for which it must be free, and `further` ones.
   */
  readonly sharing: 'alone' | 'first' | 'further'
  /** How another port is chosen, in words. */
  readonly another: string
}

/** @throws FabraError port_in_use */
export async function listen(app: HttpApp, address: ListenOptions): Promise<Server<undefined>> {
  try {
    if (address.sharing === 'first' && address.port !== 0) await claimPort(address)
    // Bodies are bounded where they are read, so that even a large one gets an answer in the shape of all others.
    // Without reusePort: false a second server would share the port in silence, and each would get half of the requests.
    return Bun.serve({
      hostname: address.host,
      port: address.port,
      reusePort: address.sharing !== 'alone',
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      idleTimeout: 60,
      // Otherwise Bun tells whoever asks the stack, lines of the sources and the working folder of what failed.
      development: false,
      error: lastResort,
      routes: app.routes,
      fetch: app.fetch,
    })
  } catch (cause) {
    throw listenError(cause, address)
  }
}

/** Those who share a port do not notice others who share it: only a listener of its own finds it taken. */
async function claimPort({ host, port }: ListenOptions): Promise<void> {
  const claim = Bun.serve({
    hostname: host,
    port,
    reusePort: false,
    development: false,
    fetch: () => new Response(null, { status: 503 }),
  })
  await claim.stop(true)
}

function listenError(cause: unknown, address: ListenOptions): FabraError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code === 'EADDRINUSE') {
    return new FabraError('port_in_use', `Port ${address.port} on ${address.host} is in use by another process.`, {
      cause,
      hint: `Stop that process, or choose another port: ${address.another}`,
    })
  }
  if (code === 'EACCES')
    return new FabraError('port_in_use', `Port ${address.port} needs root.`, { cause, hint: 'Choose a port above 1023.' })
  return new FabraError('port_in_use', `Cannot listen on ${address.host}:${address.port}.`, { cause, hint: 'Check --host and --port.' })
}
