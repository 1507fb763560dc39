/**
 * What stands before every route. Host, Origin and key are looked at with the route in hand that will run, so that no other reading of the
 * address can come to another answer. What a route does not say it needs, it does not get: a route without a scope lets nobody in.
 */
import type { Server } from 'bun'
import type { KeyHolder, Keyring } from '../auth/keyring.ts'
import { FabraError } from '../errors.ts'
import type { Logger } from '../observability/logger.ts'
import type { ReadObserver } from '../serving/read-observer.ts'
import type { Allowance } from '../store/ports/admin-store.ts'
import type { RateLimitStore } from '../store/ports/rate-limit-store.ts'
import { pathOf } from './address.ts'
import { authorise } from './auth.ts'
import { errorResponse } from './error-response.ts'
import type { HostRule } from './hosts.ts'
import type { OriginRule } from './origins.ts'
import { Call, isConfined, type Route } from './route.ts'
import type { Shedder } from './shedder.ts'

export interface DoorOptions {
  /** Null: keys are not asked for. */
  readonly keyring: Keyring | null
  /** Null: requests come from this process, not through a socket. */
  readonly hosts: HostRule | null
  /** Null: no key has a limit. */
  readonly rateLimits: RateLimitStore | null
  /** Null: nothing is turned away for being too much. */
  readonly shedder: Pick<Shedder, 'admits'> | null
  readonly log: Logger
  /** Counts reads that fail; null: they are not counted. */
  readonly observer: ReadObserver | null
}

type Params = Readonly<Record<string, string>>

/** Answers always, and never throws. */
export type Entrance = (request: Request, params: Params, server: Server<unknown> | null) => Response | Promise<Response>

/** Of routes; and, with scope `any`, of addresses that are none: even what is not there is told to holders of keys only. */
export type Guarded = Pick<Route, 'further' | 'anyHost' | 'answer' | 'isRead'> & {
  /** What answers keys that may not see everything; left out: they are refused. */
  readonly within?: (allowed: Allowance) => Route['answer']
  readonly method: Route['method'] | 'any'
  readonly scope: Route['scope'] | 'any'
}

/** Methods that change nothing, whoever sends them. */
const LOOKS = ['GET', 'HEAD']

export function createDoor({ keyring, rateLimits, shedder, hosts, log, observer }: DoorOptions): (route: Guarded) => Entrance {
  return (route) => {
    const { scope, method } = route
    const within = route.within ?? refuseConfined
    const reads = route.isRead ? observer : null
    const fail = (error: unknown, request: Request, params: Params, call: Call | null, begun: number) => {
      if (reads && !call?.isCounted) reads.fail(codeOf(error), call?.caller ?? null, nameOf(request, params), begun)
      return errorResponse(error, request, log)
    }
    const answer = (request: Request, params: Params, server: Server<unknown> | null, holder: KeyHolder | null, begun: number) => {
      const call = new Call(request, params, server, route, holder, begun)
      try {
        const response = holder !== null && holder.allowed !== null ? within(holder.allowed)(call) : route.answer(call)
        return response instanceof Promise ? response.catch((error) => fail(error, request, params, call, begun)) : response
      } catch (error) {
        return fail(error, request, params, call, begun)
      }
    }

    /** Where a store has to be asked for the key, or for how often it may ask. */
    const enterLater = async (finding: Promise<KeyHolder>, asked: Asking) => {
      const { request, params, server, begun } = asked
      try {
        const holder = await finding
        if (holder.rate !== null && rateLimits !== null) await keepTo(rateLimits, holder.id, holder.rate)
        return answer(request, params, server, holder, begun)
      } catch (error) {
        return fail(error, request, params, null, begun)
      }
    }

    const enter: Entrance = (request, params, server) => {
      const begun = reads === null ? 0 : performance.now()
      try {
        if (shedder !== null && !route.anyHost && !shedder.admits()) throw tooMuch()
        if (hosts) {
          if (!route.anyHost) hosts.admit(request)
          if (method === 'any' ? !LOOKS.includes(request.method) : method !== 'GET') hosts.admitChange(request)
        }
        const holder = keyring === null || scope === 'open' ? null : authorise(keyring, request, scope)
        if (holder !== null && (holder instanceof Promise || holder.rate !== null))
          return enterLater(Promise.resolve(holder), { request, params, server, begun })
        return answer(request, params, server, holder, begun)
      } catch (error) {
        return fail(error, request, params, null, begun)
      }
    }
    return hosts?.origins
      ? openTo(hosts.origins, hosts, enter, (error, request) => fail(error, request, {}, null, performance.now()))
      : enter
  }
}

interface Asking {
  readonly request: Request
  readonly params: Params
  readonly server: Server<unknown> | null
  readonly begun: number
}

/** @throws FabraError too_many_requests */
async function keepTo(rateLimits: RateLimitStore, key: string, perSecond: number): Promise<void> {
  const waitMs = await rateLimits.take(key, perSecond)
  if (waitMs === 0) return
  throw new FabraError('too_many_requests', `The API key may ask ${perSecond} times a second.`, {
    hint: `Ask again in ${waitMs} ms, or more keys in one request.`,
  })
}

function tooMuch(): FabraError {
  return new FabraError('overloaded', 'The server has more to do than it can do in time.', {
    hint: 'Ask again in a second, or run another replica.',
  })
}

/** @throws FabraError forbidden */
function refuseConfined(): never {
  throw isConfined()
}

/** Where pages of other origins may ask: browsers' questions before are answered without a key, and answers may be read. */
function openTo(origins: OriginRule, hosts: HostRule, enter: Entrance, fail: (error: unknown, request: Request) => Response): Entrance {
  return (request, params, server) => {
    const asked = origins.preflight(request)
    if (asked === null) {
      const response = enter(request, params, server)
      return response instanceof Promise ? response.then((one) => origins.open(one, request)) : origins.open(response, request)
    }
    try {
      hosts.admit(request)
      return asked
    } catch (error) {
      return fail(error, request)
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof FabraError ? error.code : 'internal'
}

/** What a request asked for that failed, without ids of entities. */
function nameOf(request: Request, params: Params): string {
  const { name, entity } = params
  if (name !== undefined) return `/v1/features/${name.slice(0, 80)}`
  return entity === undefined ? pathOf(request).slice(0, 80) : `/v1/entities/${entity.slice(0, 80)}/…`
}
