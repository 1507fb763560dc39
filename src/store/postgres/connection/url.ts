import { readFileSync } from 'node:fs'
import { FabraError } from '../../../errors.ts'

/** What a connection URL says, read as libpq, asyncpg and SQLAlchemy users write it. */
export interface ConnectionTarget {
  /** Tried in turn; a path of a folder for a Unix socket. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly tls: false | 'prefer' | 'require' | VerifiedTls
  readonly applicationName: string | undefined
  /** For the server's start of the session: `-c search_path=app`. */
  readonly startOptions: string | undefined
  readonly sessionAttributes: string | undefined
  readonly connectTimeoutMs: number | undefined
}

/** Options of the runtime's TLS. */
interface VerifiedTls {
  readonly rejectUnauthorized: boolean
  readonly ca?: string
  /** Of the client, for servers that ask for one. */
  readonly cert?: string
  readonly key?: string
  /** Where the certificate may be for another name. */
  readonly checkServerIdentity?: () => undefined
}

const PARTS = /^postgres(?:ql)?(?:\+[a-z0-9_]+)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i
const DEFAULT_PORT = 5432

/** @throws FabraError invalid_config, which never repeats the URL: it holds a password. */
export function readConnectionUrl(url: string): ConnectionTarget {
  const parts = PARTS.exec(url.trim())
  if (!parts) {
    throw invalid(
      'The PostgreSQL URL cannot be read.',
      'Write it as postgresql://user:password@host:5432/database, with /, ?, #, : and @ of the password percent-encoded (%2F, %3F, %23, %3A, %40).',
    )
  }
  const [, user, password, authority, database, query] = parts
  const settings = new URLSearchParams(query ?? '')
  const text = (name: string) => settings.get(name) || undefined
  const timeout = Number(text('connect_timeout') ?? text('timeout') ?? Number.NaN)
  const hosts = readHosts(authority || (text('host') ?? 'localhost'), text('port'))
  const isLocal = hosts.every(({ host }) => host.startsWith('/'))
  return {
    hosts,
    user: decode(user) || text('user'),
    password: decode(password) || text('password'),
    database: decode(database) || text('dbname') || text('database'),
    tls: isLocal ? false : withClient(readTls(text('sslmode') ?? text('ssl'), text('sslrootcert')), text('sslcert'), text('sslkey')),
    applicationName: text('application_name'),
    startOptions: text('options'),
    sessionAttributes: text('target_session_attrs'),
    connectTimeoutMs: timeout > 0 ? timeout * 1000 : undefined,
  }
}

function readHosts(authority: string, ports: string | undefined): ConnectionTarget['hosts'] {
  const given = ports?.split(',') ?? []
  return authority.split(',').map((one, i) => {
    const parts = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(decode(one) ?? '')
    if (!parts) throw invalid('The host of the PostgreSQL URL cannot be read.', 'Write it as host:port, an IPv6 address in brackets.')
    const port = Number(parts[2] ?? given[i] ?? given[0] ?? DEFAULT_PORT)
    return { host: (parts[1] || 'localhost').replace(/^\[|\]$/g, ''), port }
  })
}

/** The words of libpq's `sslmode` and of asyncpg's `ssl`, which also takes true and false. As with both, TLS is taken where it is offered. */
function readTls(word: string | undefined, rootCertificate: string | undefined): ConnectionTarget['tls'] {
  const mode = rootCertificate === 'system' ? 'verify-full' : (word ?? 'prefer').toLowerCase()
  switch (mode) {
    case 'disable':
    case 'false':
    case '0':
      return false
    case 'allow':
    case 'prefer':
      return 'prefer'
    case 'require':
    case 'true':
    case '1':
      // As libpq does: a root certificate turns "require" into a check of the server.
      return rootCertificate === undefined ? 'require' : { ...verified(rootCertificate), checkServerIdentity: () => undefined }
    case 'verify-ca':
      return { ...verified(rootCertificate), checkServerIdentity: () => undefined }
    case 'verify-full':
      return verified(rootCertificate)
    default:
      throw invalid(
        `The PostgreSQL URL asks for sslmode "${mode.slice(0, 40)}".`,
        'Known: disable, allow, prefer, require, verify-ca, verify-full.',
      )
  }
}

function verified(rootCertificate: string | undefined): VerifiedTls {
  if (rootCertificate === undefined || rootCertificate === 'system') return { rejectUnauthorized: true }
  return { rejectUnauthorized: true, ca: readPem(rootCertificate, 'sslrootcert') }
}

function withClient(tls: ConnectionTarget['tls'], certificate: string | undefined, key: string | undefined): ConnectionTarget['tls'] {
  if (tls === false || certificate === undefined || key === undefined) return tls
  const base = typeof tls === 'string' ? { rejectUnauthorized: false } : tls
  return { ...base, cert: readPem(certificate, 'sslcert'), key: readPem(key, 'sslkey') }
}

function readPem(path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw invalid(`The file ${path} of the PostgreSQL URL cannot be read.`, `Check the path in ${setting}.`, error)
  }
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('The PostgreSQL URL cannot be read: a % in it starts no escape.', 'Percent-encode it: % is %25.')
  }
}

function invalid(message: string, hint: string, cause?: unknown): FabraError {
  return new FabraError('invalid_config', message, { hint, cause })
}
