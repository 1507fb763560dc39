/**
 * By which names a server may be called. A browser sends a page's requests wherever the page's names lead: one whose name suddenly leads to this
 * machine (DNS rebinding) would be read by that page, and a form of another site's page is sent here without asking. So a request names its host, once and
 * properly; without API keys only names that nobody else can own are taken, and with an Origin of another host nothing is changed.
 */
import { networkInterfaces } from 'node:os'
import { FabraError } from '../errors.ts'
import { createOriginRule, type OriginRule } from './origins.ts'

/** Labels of letters, digits, hyphens and the underscores of compose; or an IPv6 address. A port may follow. */
const WELL_FORMED = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[0-9a-f:.]{2,45}\])(?::\d{0,5})?$/i
const LONGEST = 260
/** Texts of Hosts that were found good; a client that invents new ones all the time pays for its own reading. */
const MAX_KEPT = 1_000
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/
const ALL_ADDRESSES = ['0.0.0.0', '[::]']
/** What a page of another site cannot send without asking first. */
const ASKED_FIRST =
  /^(?:application|text)\/(?:[\w.-]+\+)?(?:json|(?:x-)?(?:ndjson|json-?lines|jsonl|csv|parquet)|vnd\.apache\.(?:parquet|arrow\.(?:file|stream)))$/

export interface HostOptions {
  /** FABRA_HOSTS: names besides those of this machine. */
  readonly named: readonly string[]
  /** Address that the server listens on. */
  readonly bound: string
  /** Whether requests carry API keys. Then any name will do, unless some are given. */
  readonly asksForKeys: boolean
  /** FABRA_ORIGINS: of pages that may ask from a browser. */
  readonly origins?: readonly string[]
}

export interface HostRule {
  /** @throws FabraError bad_request without exactly one well-formed Host; forbidden when it is none of ours */
  admit(request: Request): void
  /** Of a request that is not a mere look: that no page of another site sent it. @throws FabraError forbidden, unsupported_type */
  admitChange(request: Request): void
  /** Null: no pages of other origins may ask. */
  readonly origins: OriginRule | null
}

/** As names are compared: lower case, without port and final dot, addresses in their usual form. Undefined: not well-formed. */
export function hostName(text: string): string | undefined {
  if (text.length > LONGEST || !WELL_FORMED.test(text)) return undefined
  // Refuses ports and addresses that there are not (256.0.0.1), and writes others as everybody does ([0::1]).
  return URL.parse(`http://${text}`)?.hostname.replace(/\.$/, '')
}

export function createHostRule({ named, bound, asksForKeys, origins: ofPages = [] }: HostOptions): HostRule {
  const origins = createOriginRule(ofPages)
  const own = new Set([...named, bound.includes(':') ? `[${bound}]` : bound].flatMap((name) => hostName(name) ?? []))
  const takesAny = asksForKeys && named.length === 0
  const isEverywhere = ALL_ADDRESSES.some((address) => own.has(address))
  const isAlone = !asksForKeys && named.length === 0
  const admitted = new Set<string>()

  const isOurs = (name: string) => own.has(name) || LOOPBACK.test(name) || (isEverywhere && isOwnAddress(name))

  function judge(text: string | null): void {
    const name = text === null ? undefined : hostName(text)
    if (name === undefined || text === null) {
      throw new FabraError('bad_request', 'The request has no single well-formed Host.', {
        hint: 'Send one header Host with the name or address of the server, such as Host: localhost:8000.',
      })
    }
    if (!takesAny && !isOurs(name)) {
      throw new FabraError('forbidden', `This server does not answer as "${name}".`, {
        hint: `Set FABRA_HOSTS=${name} where it runs, if that is its name. (Otherwise a web page whose name leads here could read features.)`,
      })
    }
    if (admitted.size >= MAX_KEPT) admitted.clear()
    admitted.add(text)
  }

  function isForeign(request: Request, origin: string | null): boolean {
    // Browsers tell the origin of what changes anything; where it was taken away, they still tell that it is another site's.
    if (origin === null) return request.headers.get('sec-fetch-site') === 'cross-site'
    if (origins?.has(origin)) return false
    const name = URL.parse(origin)?.hostname.replace(/\.$/, '')
    if (!name) return true
    const isNamed = own.has(name) || (isAlone && LOOPBACK.test(name))
    return !isNamed && name !== hostName(request.headers.get('host') ?? '')
  }

  return {
    origins,
    admit(request) {
      const text = request.headers.get('host')
      if (text === null || !admitted.has(text)) judge(text)
    },
    admitChange(request) {
      const { headers } = request
      const origin = headers.get('origin')
      if (isForeign(request, origin)) {
        throw new FabraError('forbidden', `A page of another site (${(origin ?? 'unknown').slice(0, 100)}) may not change anything here.`, {
          hint: 'If that page is yours, name its host in FABRA_HOSTS where the server runs; to let it ask from a browser, its origin in FABRA_ORIGINS.',
        })
      }
      const isOfBrowser = origin !== null || headers.has('sec-fetch-site')
      if (!isOfBrowser) return
      const hasBody = headers.has('transfer-encoding') || (headers.get('content-length') ?? '0') !== '0'
      const type = (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
      if (!hasBody || ASKED_FIRST.test(type)) return
      throw new FabraError('unsupported_type', `A web page may not send "${type.slice(0, 60)}" here.`, {
        hint: 'Send Content-Type: application/json, or the type of CSV, Parquet or Arrow. Pages of other hosts need FABRA_HOSTS besides.',
      })
    },
  }
}

/** Of a machine whose addresses come and go: looked up when a name is new. */
function isOwnAddress(name: string): boolean {
  return Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address, family }) => hostName(family === 'IPv6' ? `[${address.split('%')[0]}]` : address) === name),
  )
}
