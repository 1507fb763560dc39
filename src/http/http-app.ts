/** The API as a server takes it. Bun's own router finds the routes: they are asked more than all else, and each answers without a detour. */
import type { BunRequest, Server } from 'bun'
import { Elysia } from 'elysia'
import { knownCaller, loggedEntrance } from './access-log.ts'
import { createConfinedTables } from './confined/confined-tables.ts'
import { createDoor, type Entrance, type Guarded } from './door.ts'
import type { HostRule } from './hosts.ts'
import type { HttpOptions } from './options.ts'
import { isConfined, type Route } from './route.ts'
import { nothingThere, routeTable } from './route-table.ts'
import type { Shedder } from './shedder.ts'
import { tracedEntrance } from './traced-entrance.ts'

export type Handler = (request: BunRequest, server: Server<undefined>) => Response | Promise<Response>

export interface HttpApp {
  /** By path, as Bun writes them, and method. */
  readonly routes: Readonly<Record<string, Partial<Record<Route['method'], Handler>>>>
  /** Answers what Bun's router has no route for, and requests that come without a socket. */
  fetch(request: Request, server?: Server<undefined>): Response | Promise<Response>
}

/** @param hosts Null: requests come from this process, not through a socket. */
export function createHttpApp(options: HttpOptions, hosts: HostRule | null, shedder: Shedder | null = null): HttpApp {
  const table = routeTable(options)
  const confinedTable = createConfinedTables(options, routeTable)
  const { keyring, rateLimits = null, log } = options
  const guard = createDoor({ keyring, rateLimits, shedder, hosts, log, observer: options.insight.observer })
  const door = (guarded: Guarded) => guard(options.accessLog ? knownCaller(guarded) : guarded)
  const opened = table.map((route, i) => ({
    route,
    entrance: door(route.confinable ? { ...route, within: (allowed) => confinedTable(allowed)[i]?.answer ?? refuse } : route),
  }))
  const otherwise = door(nothingThere(table, log))
  const watched = watchedEntrance(options)
  if (watched === null) return openRoutes(opened, otherwise)
  return openRoutes(
    opened.map(({ route, entrance }) => ({ route, entrance: watched(route.path, entrance) })),
    watched(null, otherwise),
  )
}

/** Both tables have the same routes. */
function refuse(): never {
  throw isConfined()
}

/** What looks at every request from outside; null: nothing does, and no request goes another way for it. */
function watchedEntrance({ tracer = null, accessLog: share = 0, log }: HttpOptions) {
  if (tracer === null && share === 0) return null
  return (path: string | null, entrance: Entrance): Entrance => {
    const logged = share === 0 ? entrance : loggedEntrance({ share, log, random: Math.random }, path, entrance)
    return tracer === null ? logged : tracedEntrance(tracer, path, logged)
  }
}

export interface OpenRoute {
  readonly route: Route
  readonly entrance: Entrance
}

export function openRoutes(opened: readonly OpenRoute[], otherwise: Entrance): HttpApp {
  const routes: Record<string, Partial<Record<Route['method'], Handler>>> = {}
  for (const { route, entrance } of opened) {
    routes[route.path] = { ...routes[route.path], [route.method]: handlerOf(route, entrance) }
  }
  return {
    routes,
    fetch: elysiaFetch(opened, otherwise),
  }
}

/**
 * The same routes in Elysia, for requests without a socket, and for what Bun's router did not find. It reads the address in its own way; that
 * decides nothing, because each entrance looks at Host and key with its own route in hand.
 */
function elysiaFetch(opened: readonly OpenRoute[], otherwise: Entrance): HttpApp['fetch'] {
  const servers = new WeakMap<Request, Server<undefined>>()
  const serverOf = (request: Request) => servers.get(request) ?? null
  const app = new Elysia({ normalize: false })
  // An entrance never throws: all that arrives here is that there is no such route.
  app.onError(({ request }) => otherwise(request, NO_PARAMS, serverOf(request)))
  for (const { route, entrance } of opened) {
    for (const method of route.method === 'GET' ? ['GET', 'HEAD'] : [route.method])
      app.route(method, route.path, ({ request, params }) => entrance(request, params ?? NO_PARAMS, serverOf(request)), { parse: 'none' })
  }
  return (request, server) => {
    if (server) servers.set(request, server)
    return app.handle(request)
  }
}

const NO_PARAMS: Readonly<Record<string, string>> = {}

function handlerOf(route: Route, entrance: Entrance): Handler {
  if (!route.path.includes('/:')) return (request, server) => entrance(request, NO_PARAMS, server)
  return (request, server) => entrance(request, request.params, server)
}
