import { readFileSync } from 'node:fs'
import { FabraError } from '../../../errors.ts'

/** What `FABRA_REDIS_URL` says. */
export interface RedisAddress {
  readonly isCluster: boolean
  /** One, those of a cluster to begin with, or sentinels; none behind a socket. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly db: number
  /** PEM certificates to trust beside the system's; null: no TLS. */
  readonly tls: { readonly ca: string | undefined } | null
  /** Path of the Unix socket. */
  readonly socket?: string
  /** What the sentinels know the master as, and how to log in to them. */
  readonly sentinel?: { readonly master: string; readonly username: string | undefined; readonly password: string | undefined }
}

const SHAPE =
  /^(?<scheme>rediss?(?:\+(?:cluster|sentinel|unix))?):\/\/(?:(?<user>[^@]*)@)?(?<hosts>[^/?#]*)(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/
const HINT =
  'Write redis://[user:password@]host[:port][/database], rediss:// for TLS, redis+cluster://host:port,host:port, redis+sentinel://host:port,host:port/master[/database], or redis+unix:///path/to/redis.sock[?db=0].'
const REDIS_PORT = 6379
const SENTINEL_PORT = 26_379

/** @throws FabraError invalid_config that does not repeat the address: it may hold a password. */
export function parseRedisUrl(url: string): RedisAddress {
  const { scheme, user, hosts, path, query } = SHAPE.exec(url)?.groups ?? {}
  if (scheme === undefined || hosts === undefined) throw wrong('it is not a Redis address')
  const params = new URLSearchParams(query ?? '')
  if (scheme.endsWith('+unix')) return socketAddress({ scheme, user, hosts, path }, params)
  if (hosts === '') throw wrong('it is not a Redis address')
  if (scheme.endsWith('+sentinel')) return sentinelAddress({ scheme, user, hosts, path }, params)
  const isCluster = scheme.endsWith('+cluster')
  const nodes = hosts.split(',').map((host) => parseNode(host, REDIS_PORT))
  if (!isCluster && nodes.length > 1) throw wrong('several hosts need redis+cluster:// or redis+sentinel://')
  if (isCluster && path !== undefined && path !== '' && path !== '0') throw wrong('a cluster has no numbered databases')
  const [username, password] = credentials(user)
  return { isCluster, nodes, username, password, db: parseDatabase(path), tls: parseTls(scheme, params, ['ca']) }
}

interface UrlFields {
  readonly scheme: string
  readonly user: string | undefined
  readonly hosts: string
  readonly path: string | undefined
}

function socketAddress({ scheme, user, hosts, path }: UrlFields, params: URLSearchParams): RedisAddress {
  if (scheme !== 'redis+unix') throw wrong('a Unix socket has no TLS: write redis+unix://')
  if (hosts !== '' || path === undefined || path === '') {
    throw wrong('a Unix socket is named by its whole path, behind three slashes: redis+unix:///path/to/redis.sock')
  }
  const [username, password] = credentials(user)
  const tls = parseTls(scheme, params, ['db'])
  const socket = `/${decoded(path, 'path')}`
  return { isCluster: false, nodes: [], username, password, db: parseDatabase(params.get('db') ?? undefined), tls, socket }
}

/** @throws FabraError invalid_config */
function sentinelAddress({ scheme, user, hosts, path }: UrlFields, params: URLSearchParams): RedisAddress {
  const [master = '', database, ...more] = (path ?? '').split('/')
  if (master === '' || more.length > 0)
    throw wrong('sentinels are asked for a master by its name: redis+sentinel://host:port,host:port/master')
  if (database !== undefined && database !== '' && params.has('db')) throw wrong('the database is named twice')
  const [username, password] = credentials(user)
  return {
    isCluster: false,
    nodes: hosts.split(',').map((host) => parseNode(host, SENTINEL_PORT)),
    username,
    password,
    db: parseDatabase(database || (params.get('db') ?? undefined)),
    tls: parseTls(scheme, params, ['ca', 'db', 'sentinel_user', 'sentinel_password']),
    sentinel: {
      master: decoded(master, 'name of the master'),
      username: params.get('sentinel_user') ?? undefined,
      password: params.get('sentinel_password') ?? undefined,
    },
  }
}

function parseDatabase(text: string | undefined): number {
  if (text !== undefined && !/^\d{0,4}$/.test(text)) throw wrong('the database in it is not a number')
  return Number(text ?? 0)
}

function parseNode(text: string, port: number): { host: string; port: number } {
  const { host, bracketed, given } =
    /^(?:\[(?<bracketed>[\da-fA-F:.]+)\]|(?<host>[^:[\]]+))(?::(?<given>\d{1,5}))?$/.exec(text)?.groups ?? {}
  const name = bracketed ?? host
  if (name === undefined || Number(given ?? 1) > 65_535 || Number(given ?? 1) === 0) throw wrong('a host or port in it cannot be read')
  return { host: name, port: Number(given ?? port) }
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong(`a % in the ${what} is not followed by two hex digits; write % itself as %25`)
  }
}

/** `:password@` and, as Redis has it, `user:password@`. */
function credentials(text: string | undefined): [username: string | undefined, password: string | undefined] {
  if (text === undefined || text === '') return [undefined, undefined]
  const colon = text.indexOf(':')
  if (colon < 0) throw wrong('a user needs a password: user:password@host')
  const username = decoded(text.slice(0, colon), 'user or password')
  return [username === '' ? undefined : username, decoded(text.slice(colon + 1), 'user or password')]
}

/** @param known Parameters that the address may have. */
function parseTls(scheme: string, params: URLSearchParams, known: readonly string[]): RedisAddress['tls'] {
  const unknown = [...params.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) {
    const there = known.map((name) => (name === 'ca' ? '"ca", a file of certificates to trust' : `"${name}"`))
    throw wrong(`"${unknown}" is not a parameter; there is only ${there.join(', ')}`)
  }
  const file = params.get('ca')
  if (!scheme.startsWith('rediss')) {
    if (file !== null) throw wrong('"ca" needs rediss://')
    return null
  }
  if (file === null) return { ca: undefined }
  try {
    return { ca: readFileSync(file, 'utf8') }
  } catch (cause) {
    throw new FabraError('invalid_config', `FABRA_REDIS_URL: the certificates in ${file} cannot be read.`, {
      cause,
      hint: 'Name a PEM file that this process may read.',
    })
  }
}

function wrong(what: string): FabraError {
  return new FabraError('invalid_config', `FABRA_REDIS_URL: ${what}.`, { hint: HINT })
}
