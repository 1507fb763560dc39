/**
 * What stands before every route. Host, Origin and key are looked at with the route in hand that will run, so that no other reading of the
 * address can come to another answer. What a route does not say it needs, it does not get: a route without a scope lets nobody in.
 */
import type { Server } from 'bun'
import type { Keyring } from '../auth/keyring.ts'
import type { Logger } from '../observability/logger.ts'
import type { Scope } from '../store/ports/admin-store.ts'
import { authorise } from './auth.ts'
import { errorResponse } from './error-response.ts'
import type { HostRule } from './hosts.ts'
import { Call, type Route } from './route.ts'

export interface DoorOptions {
  /** Null: keys are not asked for. */
  readonly keyring: Keyring | null
  /** Null: requests come from this process, not through a socket. */
  readonly hosts: HostRule | null
  readonly log: Logger
}

type Params = Readonly<Record<string, string>>

/** Answers always, and never throws. */
export type Entrance = (request: Request, params: Params, server: Server<unknown> | null) => Response | Promise<Response>

/** Of routes; and, with scope `any`, of addresses that are none: even what is not there is told to holders of keys only. */
export type Guarded = Pick<Route, 'further' | 'anyHost' | 'answer'> & {
  readonly method: Route['method'] | 'any'
  readonly scope: Route['scope'] | 'any'
}

/** Methods that change nothing, whoever sends them. */
const LOOKS = ['GET', 'HEAD']

export function createDoor({ keyring, hosts, log }: DoorOptions): (route: Guarded) => Entrance {
  return (route) => {
    const { scope, method } = route
    const answer = (request: Request, params: Params, server: Server<unknown> | null, scopes: readonly Scope[] | null) =>
      route.answer(new Call(request, params, server, route, scopes))

    return (request, params, server) => {
      try {
        if (hosts) {
          if (!route.anyHost) hosts.admit(request)
          if (method === 'any' ? !LOOKS.includes(request.method) : method !== 'GET') hosts.admitChange(request)
        }
        const scopes = keyring === null || scope === 'open' ? null : authorise(keyring, request, scope)
        const response =
          scopes instanceof Promise
            ? scopes.then((found) => answer(request, params, server, found))
            : answer(request, params, server, scopes)
        return response instanceof Promise ? response.catch((error) => errorResponse(error, request, log)) : response
      } catch (error) {
        return errorResponse(error, request, log)
      }
    }
  }
}
