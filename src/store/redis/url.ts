import { readFileSync } from 'node:fs'
import { FabraError } from '../../errors.ts'

/** What `FABRA_REDIS_URL` says. */
export interface RedisAddress {
  readonly isCluster: boolean
  /** One, or those of a cluster to begin with. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly db: number
  /** PEM certificates to trust beside the system's; null: no TLS. */
  readonly tls: { readonly ca: string | undefined } | null
}

const SHAPE = /^(?<scheme>rediss?(?:\+cluster)?):\/\/(?:(?<user>[^@]*)@)?(?<hosts>[^/?#]+)(?:\/(?<db>[^?#]*))?(?:\?(?<query>[^#]*))?$/
const HINT = 'Write redis://[user:password@]host[:port][/database], rediss:// for TLS, or redis+cluster://host:port,host:port.'

/** @throws FabraError invalid_config that does not repeat the address: it may hold a password. */
export function parseRedisUrl(url: string): RedisAddress {
  const { scheme, user, hosts, db, query } = SHAPE.exec(url)?.groups ?? {}
  if (scheme === undefined || hosts === undefined) throw wrong('it is not a Redis address')
  const isCluster = scheme.endsWith('+cluster')
  const nodes = hosts.split(',').map(parseNode)
  if (!isCluster && nodes.length > 1) throw wrong('several hosts need redis+cluster://')
  if (isCluster && db !== undefined && db !== '' && db !== '0') throw wrong('a cluster has no numbered databases')
  if (db !== undefined && !/^\d{0,4}$/.test(db)) throw wrong('the database behind the / is not a number')
  const [username, password] = credentials(user)
  return { isCluster, nodes, username, password, db: Number(db ?? 0), tls: parseTls(scheme, query) }
}

function parseNode(text: string): { host: string; port: number } {
  const { host, bracketed, port } = /^(?:\[(?<bracketed>[\da-fA-F:.]+)\]|(?<host>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text)?.groups ?? {}
  const name = bracketed ?? host
  if (name === undefined || Number(port ?? 1) > 65_535 || Number(port ?? 1) === 0) throw wrong('a host or port in it cannot be read')
  return { host: name, port: Number(port ?? 6379) }
}

/** `:password@` and, as Redis has it, `user:password@`. */
function credentials(text: string | undefined): [username: string | undefined, password: string | undefined] {
  if (text === undefined || text === '') return [undefined, undefined]
  const colon = text.indexOf(':')
  if (colon < 0) throw wrong('a user needs a password: user:password@host')
  try {
    const username = decodeURIComponent(text.slice(0, colon))
    return [username === '' ? undefined : username, decodeURIComponent(text.slice(colon + 1))]
  } catch {
    throw wrong('a % in the user or password is not followed by two hex digits; write % itself as %25')
  }
}

function parseTls(scheme: string, query: string | undefined): RedisAddress['tls'] {
  const params = new URLSearchParams(query ?? '')
  const unknown = [...params.keys()].find((name) => name !== 'ca')
  if (unknown !== undefined) throw wrong(`"${unknown}" is not a parameter; there is only "ca", a file of certificates to trust`)
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
