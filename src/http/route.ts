/** One route: where it is, what it needs, what it does and how it is described. The table of them makes the server, its checks and /openapi.json. */
import type { Server } from 'bun'
import type { KeyHolder } from '../auth/keyring.ts'
import { FabraError } from '../errors.ts'
import type { ReadOrigin } from '../serving/read-observer.ts'
import type { Scope } from '../store/ports/admin-store.ts'
import type { AuditAction, AuditEntry } from './wire.ts'

/** An operation of OpenAPI, without what the table knows of it. */
export interface RouteDocs {
  readonly operationId: string
  readonly summary: string
  readonly parameters?: readonly object[]
  readonly requestBody?: object
  readonly responses: Readonly<Record<string, unknown>>
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Parts that begin with a colon are parameters. */
  readonly path: `/${string}`
  /** What a key must be allowed to do where keys are asked for. `open`: no key is needed, so nothing of the data may be told. */
  readonly scope: Scope | 'open'
  /** Scope that some requests need besides, and which: the handler demands it where it sees that this is one. */
  readonly further?: { readonly scope: Scope; readonly where: string }
  /**
   * Answers keys that may see some features or entities only, too: all that it tells it asks its options for, which are then confined to those
   * (confined/confined-options.ts). Without it such keys are refused.
   */
  readonly confinable?: true
  /** Values are read to be used: it is counted, and told of while it happens. */
  readonly isRead?: true
  /** Answers while files of sources are still being loaded, as does what needs no key; others wait for them (loading-route.ts). */
  readonly early?: true
  /** It writes, administers or hands out everything: who did it is told in the audit log. */
  readonly audited?: Audited
  /** Answers whatever the Host, and without one: for probes of platforms, which name a server as they like. */
  readonly anyHost?: true
  /** For /openapi.json; null: not told there. */
  readonly docs: RouteDocs | null
  readonly answer: (call: Call) => Response | Promise<Response>
}

export interface Written {
  readonly rows: number
  readonly detail?: AuditEntry['detail']
}

/** What the requests of a route are told as in the audit log. */
export interface Audited {
  readonly action: AuditAction
  /** Which parameter of the path names what, and what it names: others' words are not kept. Null: it is about everything. */
  readonly subject: { readonly parameter: string; readonly of: 'features' | 'sources' | 'entities' } | null
}

/** A request that was let in. */
export class Call implements ReadOrigin {
  readonly request: Request
  /** Parameters of the path, decoded. */
  readonly params: Readonly<Record<string, string>>
  /** Null where there is no socket. */
  readonly server: Server<unknown> | null
  /** Whose key it carries; null: keys are not asked for. */
  readonly holder: KeyHolder | null
  /** When it came, by performance.now(); 0: nobody wants to know. */
  readonly begun: number
  /** The feature set that it turned out to ask for. */
  set: string | null = null
  /** What it read is counted. */
  isCounted = false
  /** What it wrote, for the audit log; null: nothing is counted. */
  written: Written | null = null
  readonly #route: Pick<Route, 'further'>

  constructor(
    request: Request,
    params: Readonly<Record<string, string>>,
    server: Server<unknown> | null,
    route: Pick<Route, 'further'>,
    holder: KeyHolder | null,
    begun: number,
  ) {
    this.request = request
    this.params = params
    this.server = server
    this.#route = route
    this.holder = holder
    this.begun = begun
  }

  /** Of a parameter that the path has. */
  param(name: string): string {
    return this.params[name] ?? ''
  }

  get caller(): string | null {
    return this.holder?.name ?? null
  }

  /** Everybody may where keys are not asked for. */
  may(scope: Scope): boolean {
    return this.holder === null || this.holder.scopes.includes(scope)
  }

  /** Whether a key says that texts which functions and engines threw may be told: they may hold anything. Without keys the log has them. */
  get tellsText(): boolean {
    return this.holder?.scopes.includes('admin') === true
  }

  /** Goes on only where the key has the further scope of this route. @throws FabraError forbidden */
  demandFurther(): void {
    const { further } = this.#route
    if (!further) throw new FabraError('internal', 'The route declares no further scope.')
    if (!this.may(further.scope)) throw lacks(further.scope)
  }
}

const MAY_NOT: Readonly<Record<Scope, string>> = {
  read: 'read',
  train: 'make training sets from labels_sql',
  write: 'write',
  admin: 'administer',
}

export function isConfined(): FabraError {
  return new FabraError('forbidden', 'The API key sees some features only, and this tells of all.', {
    hint: 'Use a key that was made without --features and --entities. GET /v1/me shows what a key may see.',
  })
}

export function lacks(scope: Scope): FabraError {
  return new FabraError('forbidden', `The API key may not ${MAY_NOT[scope]}.`, {
    hint: `It lacks the scope "${scope}". "fabra keys create --scopes ${scope}" makes one that has it.`,
  })
}
