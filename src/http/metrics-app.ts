import { createDoor } from './door.ts'
import type { HostRule } from './hosts.ts'
import { type HttpApp, openRoutes } from './http-app.ts'
import type { HttpOptions } from './options.ts'
import { nothingThere } from './route-table.ts'
import { metricsRoute } from './routes/operations.ts'

/** Figures alone, without a key, for scrapers in a private network: FABRA_METRICS_PORT. */
export function createMetricsApp(options: Pick<HttpOptions, 'metrics' | 'log'>, hosts: HostRule): HttpApp {
  const route = metricsRoute(options, 'open')
  const door = createDoor({ keyring: null, rateLimits: null, shedder: null, hosts, log: options.log, observer: null })
  return openRoutes([{ route, entrance: door(route) }], door(nothingThere([route], options.log)))
}
