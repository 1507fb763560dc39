/** Whether the defaults that keep a server safe still hold: `fabra doctor --security`. Nothing is changed, and no secret is repeated. */
import { existsSync, statSync } from 'node:fs'
import { isLoopback, isOpenToAll } from '../config/bound-address.ts'
import type { Config } from '../config/config.ts'
import { secretsOf } from '../config/secrets.ts'
import { FabraError } from '../errors.ts'
import { createLogger } from '../observability/logger.ts'
import type { ApiKey } from '../store/ports/admin-store.ts'
import { createPostgresAdminStore } from '../store/postgres/admin-store.ts'
import { openPostgres } from '../store/postgres/connection/connection.ts'
import type { Finding } from './finding.ts'

type Judge = (subject: string, isGood: boolean | 'warning', message: string, fix?: string) => void
type KeyFacts = Pick<ApiKey, 'scopes' | 'allowed' | 'expiresAt' | 'lastUsedAt'>

const DAY_MICROS = 86_400_000_000
/** Passwords that everybody tries first. */
const WEAK = ['postgres', 'password', 'redis', 'fabra', 'secret', 'admin', 'root', 'test', '123456', 'changeme', 'default']

/** @param now In microseconds. */
export async function examineSecurity(config: Config, now: number): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const judge: Judge = (subject, isGood, message, fix) => {
    const state = isGood === true ? 'ok' : isGood === 'warning' ? 'warning' : 'problem'
    findings.push({ subject, state, message, fix: state === 'ok' ? null : (fix ?? null) })
  }
  judgeAddress(config, judge)
  await judgeKeys(config, now, judge)
  judgeStore('FABRA_POSTGRES_URL', config.postgresUrl, judge)
  judgeStore('FABRA_SOURCE_URL', config.sourceUrl, judge)
  judgeStore('FABRA_REDIS_URL', config.redisUrl, judge)
  judgeRedaction(config, judge)
  judgeProcess(config, judge)
  judgeFolder(config, judge)
  judgeWebhook(config, judge)
  return findings
}

function judgeAddress(config: Config, judge: Judge): void {
  const { host, insecure } = config
  if (isLoopback(host)) judge('bound address', true, `${host} is reached from this machine alone`)
  else
    judge(
      'bound address',
      !isOpenToAll(config),
      isOpenToAll(config) ? `${host} lets everybody in who reaches it` : `${host} asks for keys`,
      'fabra keys create, and set FABRA_API_KEYS; or FABRA_HOST=127.0.0.1.',
    )
  judge(
    '--insecure',
    !insecure,
    insecure ? 'FABRA_INSECURE=1 lets a server start that asks nobody for a key' : 'off',
    'Unset FABRA_INSECURE.',
  )
  if (config.metricsPort !== null)
    judge(
      'metrics',
      isLoopback(host) || 'warning',
      `port ${config.metricsPort} tells names of features without a key`,
      'Keep the port inside a private network.',
    )
}

async function judgeKeys(config: Config, now: number, judge: Judge): Promise<void> {
  const made = await keysMade(config)
  const own = config.apiKeys.map(
    ({ scopes, allowed = null, expiresAt = null }): KeyFacts => ({ scopes, allowed, expiresAt, lastUsedAt: null }),
  )
  const keys = [...own, ...(made ?? [])].filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
  const asks = config.env === 'production' || config.apiKeys.length > 0
  if (made === null) judge('keyring', 'warning', 'PostgreSQL cannot be asked for keys', 'fabra doctor says why.')
  if (asks) judge('keyring', keys.length > 0 || made === null, `keys are asked for; ${keys.length} are good`, 'fabra keys create')
  else
    judge(
      'keyring',
      isLoopback(config.host) ? 'warning' : false,
      'no key is asked for: every user and program of this machine may do all',
      'fabra keys create, and set FABRA_API_KEYS.',
    )
  if (keys.length === 0) return
  const strong = keys.filter(({ scopes, allowed }) => scopes.includes('admin') && scopes.includes('read') && allowed === null)
  judge(
    'scopes',
    strong.length < keys.length || 'warning',
    `${strong.length} of ${keys.length} keys may do all`,
    'Give apps a key that only reads: fabra keys create --name app.',
  )
  const idle = keys.filter(({ lastUsedAt }) => lastUsedAt !== null && now - lastUsedAt > 90 * DAY_MICROS)
  judge(
    'keys in use',
    idle.length === 0 || 'warning',
    `${idle.length} were not used for 90 days`,
    'fabra keys list, then fabra keys revoke <id>.',
  )
}

/** Null: they cannot be read. Nothing is migrated for it. */
async function keysMade({ postgresUrl }: Config): Promise<readonly KeyFacts[] | null> {
  if (postgresUrl === null) return []
  try {
    const postgres = openPostgres({ url: postgresUrl, applicationName: 'fabra doctor', maxConnections: 1 })
    try {
      return (await createPostgresAdminStore(postgres).apiKeys()).filter(({ revokedAt }) => revokedAt === null)
    } finally {
      await postgres.close()
    }
  } catch (error) {
    if (error instanceof FabraError) return null
    throw error
  }
}

function judgeStore(name: string, url: string | null, judge: Judge): void {
  if (url === null) return
  const [, scheme = '', password = '', hosts = ''] = /^([a-z+]+):\/\/(?:[^/?#:@]*(?::([^/?#]*))?@)?([^/?#]*)/i.exec(url) ?? []
  const isNear = hosts === '' || hosts.split(',').every((host) => isPrivate(host.replace(/:\d+$/, '')))
  const isEncrypted = scheme.startsWith('rediss') || /[?&]ssl(?:mode)?=(?:require|verify-ca|verify-full|true)/.test(url)
  if (isNear) judge(`TLS of ${name}`, true, isEncrypted ? 'encrypted' : 'not encrypted, inside a private network')
  else
    judge(
      `TLS of ${name}`,
      isEncrypted,
      isEncrypted ? 'encrypted' : 'passwords and values cross a public network in clear',
      scheme.startsWith('redis') ? 'Write rediss:// in the address.' : 'Add ?sslmode=verify-full to the address.',
    )
  const isWeak = password === '' || WEAK.includes(decodeURIComponent(password.replace(/%(?![0-9a-f]{2})/gi, '%25')).toLowerCase())
  judge(
    `password of ${name}`,
    !isWeak || (isNear ? 'warning' : false),
    isWeak ? 'none, or one that everybody tries' : 'there is one',
    'Set a long random password in the store, and write it in the address.',
  )
}

/** Of this machine, of a private network, or a name without a dot, as containers have. */
function isPrivate(host: string): boolean {
  return (
    isLoopback(host) ||
    /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[?f[cd][0-9a-f]{2}:)/i.test(host) ||
    /^[\w-]+$/.test(host) ||
    /\.(?:internal|local|svc)$/.test(host)
  )
}

/** Tried with the secrets that there are, through the logger that serving uses. */
function judgeRedaction(config: Config, judge: Judge): void {
  const secrets = [...secretsOf(config), 'fab_0123456789012345678901234567890123456789012']
  let written = ''
  const write = (line: string) => {
    written += line
  }
  for (const format of ['json', 'pretty'] as const) {
    const log = createLogger({ level: 'debug', format, color: false, secrets: secretsOf(config), write, time: () => '' })
    for (const secret of secrets) log.error(`said ${secret}`, { field: secret, error: new Error(secret), deep: { in: [secret] } })
  }
  const exposedCount = secrets.filter((secret) => secret.length >= 4 && written.includes(secret)).length
  judge(
    'logs',
    exposedCount === 0,
    exposedCount === 0 ? `${secrets.length - 1} secrets of the configuration are kept out` : `${exposedCount} secrets would be written`,
    'Please report it: docs/SECURITY.md.',
  )
}

function judgeProcess({ env, logLevel, python }: Config, judge: Judge): void {
  const isProduction = env === 'production'
  judge(
    'debugging',
    !isProduction || python.hidesServer === true,
    !isProduction ? 'development' : python.hidesServer ? 'off' : 'FABRA_DEBUG=1 lets debuggers and core dumps look into the server',
    'Unset FABRA_DEBUG.',
  )
  judge('log level', !isProduction || logLevel !== 'debug' || 'warning', logLevel, 'Set FABRA_LOG_LEVEL=info.')
  const isRoot = process.getuid?.() === 0
  judge('user', !isRoot || 'warning', isRoot ? 'this runs as root' : 'not root', 'Run the server as a user without rights.')
}

function judgeFolder({ dataDir }: Config, judge: Judge): void {
  if (!existsSync(dataDir)) return
  const isOpen = (statSync(dataDir).mode & 0o077) !== 0
  judge('data folder', !isOpen, isOpen ? 'others may look into it' : "its owner's alone", `chmod 700 ${dataDir}`)
}

function judgeWebhook({ webhook }: Config, judge: Judge): void {
  if (webhook === null) return
  const { protocol = '', hostname = '' } = URL.parse(webhook.url) ?? {}
  const isSafe = protocol === 'https:' || isPrivate(hostname)
  judge(
    'webhook',
    isSafe,
    isSafe ? 'encrypted, or inside a private network' : 'what it is told crosses a public network in clear',
    'Write https:// in FABRA_WEBHOOK_URL.',
  )
  judge(
    'webhook signature',
    webhook.secret !== null || 'warning',
    webhook.secret === null ? 'anybody could send what looks like ours' : 'signed',
    'Set FABRA_WEBHOOK_SECRET.',
  )
}
