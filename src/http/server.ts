import { drain } from './drain.ts'
import { createHostRule } from './hosts.ts'
import { createHttpApp } from './http-app.ts'
import { type ListenOptions, listen } from './listen.ts'
import { createMetricsApp } from './metrics-app.ts'
import type { HttpOptions } from './options.ts'
import { Shedder, watchLateness } from './shedder.ts'

export interface ServeOptions extends Omit<ListenOptions, 'another'> {
  /** Names by which the server may be called, besides those of this machine. */
  readonly hosts: readonly string[]
  /** Of pages that may ask from a browser, besides those of the server's own names. */
  readonly origins: readonly string[]
  /** Where figures are told to everybody; null: nowhere. */
  readonly metricsPort: number | null
  /** How long nobody may have asked anything before a server that stops refuses connections. */
  readonly lingerMs: number
}

export interface HttpServer {
  readonly host: string
  readonly port: number
  readonly url: string
  /** Where figures are told to everybody; null: nowhere. */
  readonly metricsUrl: string | null
  /** Lets go of its clients and waits for running requests, at most this long; see drain.ts. */
  stop(drainMs: number): Promise<void>
}

/** @throws FabraError port_in_use */
export async function startHttp(options: HttpOptions, address: ServeOptions): Promise<HttpServer> {
  const { keyring } = options
  const hosts = createHostRule({ named: address.hosts, bound: address.host, asksForKeys: keyring !== null, origins: address.origins })
  const shedder = new Shedder(Math.random)
  const app = createHttpApp(options, hosts, shedder)
  const server = await listen(app, { ...address, another: `fabra serve --port ${address.port + 1}` })
  const metrics = await startMetrics(options, address).catch(async (error: unknown) => {
    await server.stop(true)
    throw error
  })
  const stopWatching = watchLateness(shedder)
  const port = server.port ?? address.port
  return {
    host: address.host,
    port,
    url: urlOf(address.host, port),
    metricsUrl: metrics && `${urlOf(address.host, metrics.port ?? 0)}/metrics`,
    async stop(drainMs) {
      stopWatching()
      await drain(server, { app, drainMs, lingerMs: address.lingerMs })
      await metrics?.stop(true)
    },
  }
}

async function startMetrics(options: HttpOptions, address: ServeOptions): Promise<ReturnType<typeof listen> | null> {
  if (address.metricsPort === null) return null
  // No data of entities is told there, and scrapers find their targets by addresses: any name will do.
  const hosts = createHostRule({ named: [], bound: address.host, asksForKeys: true })
  return listen(createMetricsApp(options, hosts), {
    ...address,
    port: address.metricsPort,
    another: `FABRA_METRICS_PORT=${address.metricsPort + 1}`,
  })
}

/** For people and commands of this machine. */
function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}`
}
