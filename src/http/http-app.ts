/** The API as a server takes it. Bun's own router finds the routes: they are asked more than all else, and each answers without a detour. */
import type { BunRequest, Server } from 'bun'
import { pathOf } from './address.ts'
import { createDoor, type Entrance } from './door.ts'
import type { HostRule } from './hosts.ts'
import type { Route } from './route.ts'
import { nothingThere, paramsOf, routeTable } from './route-table.ts'
import type { HttpOptions } from './server.ts'

export type Handler = (request: BunRequest, server: Server<undefined>) => Response | Promise<Response>

export interface HttpApp {
  /** By path, as Bun writes them, and method. */
  readonly routes: Readonly<Record<string, Partial<Record<Route['method'], Handler>>>>
  /** Answers what Bun's router has no route for, and requests that come without a socket. */
  fetch(request: Request, server?: Server<undefined>): Response | Promise<Response>
}

/** @param hosts Null: requests come from this process, not through a socket. */
export function createHttpApp(options: HttpOptions, hosts: HostRule | null): HttpApp {
  const table = routeTable(options)
  const door = createDoor({ keyring: options.keyring, hosts, log: options.log })
  return openRoutes(
    table.map((route) => ({ route, entrance: door(route) })),
    door(nothingThere(table, options.log)),
  )
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
    fetch(request, server) {
      const path = pathOf(request)
      const method = request.method === 'HEAD' ? 'GET' : request.method
      for (const { route, entrance } of opened) {
        const params = route.method === method ? paramsOf(route, path) : undefined
        if (params) return entrance(request, decoded(params), server ?? null)
      }
      return otherwise(request, {}, server ?? null)
    },
  }
}

const NO_PARAMS: Readonly<Record<string, string>> = {}

function handlerOf(route: Route, entrance: Entrance): Handler {
  if (!route.path.includes('/:')) return (request, server) => entrance(request, NO_PARAMS, server)
  return (request, server) => entrance(request, request.params, server)
}

/** What cannot be decoded stays as it is: it names nothing, and where it is a key, that is refused there. */
function decoded(params: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([name, text]) => {
      try {
        return [name, decodeURIComponent(text)]
      } catch {
        return [name, text]
      }
    }),
  )
}
