/** The environment, read once, in one table. Nothing else in Fabra reads `process.env`. */
import { isAbsolute, join } from 'node:path'
import { FabraError } from './errors.ts'

export interface Config {
  readonly env: 'development' | 'production'
  /** Absolute folder of laptop mode's DuckDB file. */
  readonly dataDir: string
  readonly host: string
  readonly port: number
  /** Longest wait for running requests at SIGTERM. */
  readonly drainSeconds: number
  /** Folder for the unpacked native library; null: the user's cache folder. */
  readonly cacheDir: string | null
  /** Where failures are told; null: nowhere. */
  readonly webhook: { readonly url: string; readonly secret: string | null } | null
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly logFormat: 'pretty' | 'json'
}

type Env = Readonly<Record<string, string | undefined>>

interface Variable {
  readonly name: string
  readonly default: string
  readonly help: string
}

/** Every variable Fabra reads, as `--help` and the README tell them. */
export const variables: readonly Variable[] = [
  { name: 'FABRA_ENV', default: 'development', help: 'development; production is refused until PostgreSQL and Redis are supported' },
  { name: 'FABRA_DATA_DIR', default: './.fabra', help: "folder of laptop mode's DuckDB file" },
  { name: 'FABRA_HOST', default: '127.0.0.1', help: 'address to listen on' },
  { name: 'FABRA_PORT', default: '8000', help: 'port to listen on' },
  { name: 'FABRA_DRAIN_SECONDS', default: '8', help: 'longest wait for running requests at SIGTERM' },
  { name: 'FABRA_CACHE_DIR', default: "the user's cache folder", help: 'where the native library is unpacked, once' },
  { name: 'FABRA_WEBHOOK_URL', default: 'none', help: 'address that is told of failing refreshes and values that are too old' },
  { name: 'FABRA_WEBHOOK_SECRET', default: 'none', help: 'signs what is sent there (HMAC-SHA256)' },
  { name: 'FABRA_LOG_LEVEL', default: 'info', help: 'debug, info, warn, error or silent' },
  { name: 'FABRA_LOG_FORMAT', default: 'pretty on a terminal, else json', help: 'pretty or json' },
]

/** The process's environment as a plain object, for readConfig and nothing else. */
export function processEnv(): Env {
  return process.env
}

/**
 * @throws FabraError invalid_config that names every variable that is wrong, not only the first.
 */
export function readConfig(env: Env, facts: { readonly cwd: string; readonly terminal: boolean }): Config {
  const problems: string[] = []
  const text = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : env[name])
  const choice = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const value = text(name)
    if (value === undefined) return fallback
    const found = allowed.find((candidate) => candidate === value)
    if (found === undefined) problems.push(`${name}="${value}" is not one of ${allowed.join(', ')}.`)
    return found ?? fallback
  }
  const whole = (name: string, fallback: number, highest: number) => {
    const value = text(name)
    if (value === undefined) return fallback
    const number = Number(value)
    if (/^\d+$/.test(value) && number <= highest) return number
    problems.push(`${name}="${value}" is not a whole number from 0 to ${highest}.`)
    return fallback
  }
  for (const name of ['FABRA_POSTGRES_URL', 'FABRA_REDIS_URL', 'FABRA_SOURCE_URL']) {
    if (text(name) !== undefined)
      problems.push(`${name} is set, but this version of Fabra runs in laptop mode only (embedded DuckDB and memory).`)
  }
  if (text('FABRA_ENV') === 'production')
    problems.push('FABRA_ENV=production needs PostgreSQL and Redis, which this version of Fabra does not speak yet.')
  const dataDir = text('FABRA_DATA_DIR') ?? './.fabra'
  const config: Config = Object.freeze({
    env: choice('FABRA_ENV', ['development', 'production'], 'development'),
    dataDir: isAbsolute(dataDir) ? dataDir : join(facts.cwd, dataDir),
    host: text('FABRA_HOST') ?? '127.0.0.1',
    port: whole('FABRA_PORT', 8000, 65_535),
    drainSeconds: whole('FABRA_DRAIN_SECONDS', 8, 3_600),
    cacheDir: text('FABRA_CACHE_DIR') ?? null,
    webhook: webhook(text('FABRA_WEBHOOK_URL'), text('FABRA_WEBHOOK_SECRET'), problems),
    logLevel: choice('FABRA_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], 'info'),
    logFormat: choice('FABRA_LOG_FORMAT', ['pretty', 'json'], facts.terminal ? 'pretty' : 'json'),
  })
  if (problems.length > 0) {
    throw new FabraError('invalid_config', problems.join(' '), { hint: 'Correct or unset these environment variables.' })
  }
  return config
}

function webhook(url: string | undefined, secret: string | undefined, problems: string[]): Config['webhook'] {
  if (url === undefined) {
    if (secret !== undefined) problems.push('FABRA_WEBHOOK_SECRET is set without FABRA_WEBHOOK_URL.')
    return null
  }
  const protocol = URL.parse(url)?.protocol
  if (protocol !== 'http:' && protocol !== 'https:') problems.push('FABRA_WEBHOOK_URL is not an http:// or https:// address.')
  return { url, secret: secret ?? null }
}
