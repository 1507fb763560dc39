/** The environment, read once, in one table. Nothing else in Fabra reads `process.env`. */
import { readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { FabraError } from '../errors.ts'
import { type ConfiguredKey, parseApiKeys } from './api-keys-variable.ts'
import { hostNames, origins } from './hosts.ts'
import { type KeepSettings, keepSettings } from './keep-settings.ts'
import { type PythonSettings, pythonSettings } from './python-settings.ts'
import { bytes, duration, reader, share } from './readers.ts'
import { postgresProblem, redisProblem } from './store-urls.ts'
import { type TracingSettings, tracingSettings, tracingVariables } from './tracing-settings.ts'

export interface Config extends KeepSettings {
  readonly env: 'development' | 'production'
  /** History and, unless `sourceUrl` is given, sources; null: the DuckDB file. */
  readonly postgresUrl: string | null
  /** Latest values and leases; null: this process's memory. */
  readonly redisUrl: string | null
  /** Where SQL of features runs, when it is not where history is. */
  readonly sourceUrl: string | null
  /** `api` serves and leaves refreshing to others, `worker` refreshes and is not asked for features. */
  readonly role: 'all' | 'api' | 'worker'
  /** Keys that requests may carry besides those made by `fabra keys`. */
  readonly apiKeys: readonly ConfiguredKey[]
  /** Absolute folder of laptop mode's DuckDB file. */
  readonly dataDir: string
  readonly host: string
  /** Other machines may reach the server although no keys are asked for. */
  readonly insecure: boolean
  readonly port: number
  /** Names by which requests may call the server, besides those of its machine. */
  readonly hosts: readonly string[]
  /** Of web pages that may ask from a browser. */
  readonly origins: readonly string[]
  /** Port that serves metrics alone, to everybody who reaches it; null: none. */
  readonly metricsPort: number | null
  /** Longest wait for running requests at SIGTERM. */
  readonly drainSeconds: number
  /** Longest time of one computation in a request, of features that do not say it themselves. */
  readonly requestTimeoutMs: number
  /** Bytes that putting one training set together may take before it spills to disk. */
  readonly trainingMemory: number
  /** How the processes are started that run Python, and TypeScript where it has some. */
  readonly python: PythonSettings
  /** Where functions of TypeScript run. */
  readonly isolation: 'thread' | 'process'
  /** Where failures are told; null: nowhere. */
  readonly webhook: { readonly url: string; readonly secret: string | null } | null
  /** Where traces go; null: none are made. */
  readonly tracing: TracingSettings | null
  /** The page at /ui is served. */
  readonly ui: boolean
  /** Whether figures of reads are kept: distributions, latencies, live traffic. */
  readonly statistics: boolean
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly logFormat: 'pretty' | 'json'
  /** Lines of one kind in ten seconds; 0: all. */
  readonly logAlike: number
  /** The share of requests that are lines of the log, from 0 to 1. */
  readonly accessLog: number
}

type Env = Readonly<Record<string, string | undefined>>

interface Variable {
  readonly name: string
  readonly default: string
  readonly help: string
}

/** Every variable Fabra reads, as `--help` and docs/environment.md tell them. */
export const variables: readonly Variable[] = [
  { name: 'FABRA_ENV', default: 'development', help: 'development, or production: needs PostgreSQL, Redis and an API key' },
  { name: 'FABRA_POSTGRES_URL', default: 'none; in production DATABASE_URL', help: 'history and sources; none: the DuckDB file' },
  { name: 'FABRA_REDIS_URL', default: 'none; in production REDIS_URL', help: 'latest values and leases; none: memory' },
  {
    name: 'FABRA_SOURCE_URL',
    default: 'FABRA_POSTGRES_URL',
    help: 'PostgreSQL that SQL of features reads, best with a role that only reads',
  },
  { name: 'FABRA_DATA_DIR', default: './.fabra', help: "folder of laptop mode's DuckDB file" },
  { name: 'FABRA_HOST', default: '127.0.0.1; in production 0.0.0.0', help: 'address to listen on' },
  { name: 'FABRA_INSECURE', default: '0', help: '1, as --insecure: without API keys, too, other machines may reach the server' },
  { name: 'FABRA_PORT', default: '8000; in production PORT', help: 'port to listen on' },
  {
    name: 'FABRA_HOSTS',
    default: 'localhost and the bound address; with API keys any',
    help: 'names by which requests may call this server, with commas between',
  },
  {
    name: 'FABRA_ORIGINS',
    default: 'none',
    help: 'origins of web pages that may ask this server from a browser, such as https://app.example.com, with commas between',
  },
  {
    name: 'FABRA_METRICS_PORT',
    default: 'none',
    help: 'port that serves /metrics alone, without a key, for scrapers in a private network',
  },
  { name: 'FABRA_ROLE', default: 'all', help: 'api serves only, worker refreshes only, all does both' },
  { name: 'FABRA_API_KEYS', default: 'none', help: 'API keys: sha256hex:read+train+write+admin, with commas between' },
  { name: 'FABRA_API_KEYS_FILE', default: 'none', help: 'file that holds them, one a line' },
  { name: 'FABRA_DRAIN_SECONDS', default: '8', help: 'longest wait for running requests at SIGTERM' },
  {
    name: 'FABRA_REQUEST_TIMEOUT',
    default: '1s',
    help: 'longest time of one computation in a request, such as 500ms or 5s, for features without a timeout of their own',
  },
  {
    name: 'FABRA_TRAINING_MEMORY',
    default: '1GiB',
    help: 'memory that putting one training set together may take, such as 512MiB or 4GiB; the rest is spilled to disk',
  },
  {
    name: 'FABRA_CACHE_DIR',
    default: "the user's cache folder",
    help: 'where the native library and the Python package are unpacked, once',
  },
  {
    name: 'FABRA_PYTHON',
    default: "the project's environment, else python3",
    help: 'interpreter that runs .py files: Python 3.9 or newer',
  },
  {
    name: 'FABRA_ISOLATION',
    default: 'thread',
    help: "where functions in TypeScript run: in threads of the server, or with process in processes of their own, as Python's",
  },
  { name: 'FABRA_WORKER_MEMORY', default: '1GiB', help: 'memory that each process which runs functions may take' },
  {
    name: 'FABRA_WORKER_ENV',
    default: 'none',
    help: "variables that such processes are given although they are the server's own, with commas between",
  },
  { name: 'FABRA_DEBUG', default: '0', help: '1: in production, too, debuggers and core dumps may look into the server' },
  { name: 'FABRA_WEBHOOK_URL', default: 'none', help: 'address that is told of failing refreshes and values that are too old' },
  { name: 'FABRA_WEBHOOK_SECRET', default: 'none', help: 'signs what is sent there (Standard Webhooks)' },
  ...tracingVariables,
  { name: 'FABRA_UI', default: 'on', help: 'on, or off: no page at /ui' },
  { name: 'FABRA_STATISTICS', default: 'on', help: 'off: no figures of reads are kept, such as distributions, latencies and live traffic' },
  {
    name: 'FABRA_HISTORY',
    default: 'auto; in stores of earlier releases changes',
    help: 'what is recorded of computed features that do not say history: auto (of a sample of keys where the past can be recomputed) or changes',
  },
  { name: 'FABRA_HISTORY_SAMPLE', default: '0.01', help: 'share of keys, from 0 to 1, that auto records where the past can be recomputed' },
  {
    name: 'FABRA_HISTORY_KEEP',
    default: '400d; in stores of earlier releases forever',
    help: 'days or weeks for which computed values stay in history, such as 90d, or forever; pushed and backfilled ones stay',
  },
  {
    name: 'FABRA_ROWS_KEEP',
    default: 'forever',
    help: 'days or weeks for which appended rows of sources stay, such as 90d; refused unless every feature is proved to look back less far',
  },
  {
    name: 'FABRA_ARCHIVE_DIR',
    default: 'none',
    help: 'folder, or s3://bucket/path, that values and rows are written to, as Parquet files, before they leave',
  },
  {
    name: 'FABRA_STORAGE_WARN',
    default: '50GB',
    help: "size of one feature's history in a year, as it grows now, beyond which the log warns of it",
  },
  { name: 'FABRA_LOG_LEVEL', default: 'info', help: 'debug, info, warn, error or silent' },
  { name: 'FABRA_LOG_FORMAT', default: 'pretty on a terminal, else json', help: 'pretty or json' },
  {
    name: 'FABRA_LOG_ALIKE',
    default: '100',
    help: 'lines of one kind that are written in ten seconds; of more it is told how many there were; 0: all are written',
  },
  {
    name: 'FABRA_ACCESS_LOG',
    default: 'off',
    help: 'on: each request is a line of the log; a number such as 0.01: that share of them, and all that fail',
  },
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
  const variable = reader(env, problems)
  const { text, choice, whole } = variable
  const mode = choice('FABRA_ENV', ['development', 'production'], 'development')
  const isProduction = mode === 'production'
  // Names that platforms set count in production only: a laptop's shell may hold those of another project.
  const nameOf = (name: string, platformName: string) => (isProduction && text(name) === undefined ? platformName : name)
  const url = (name: string, problemOf: (url: string) => string | null) => {
    const value = text(name)
    const problem = value === undefined ? null : problemOf(value)
    if (problem !== null) problems.push(`${name} ${problem}`)
    return value ?? null
  }
  const dataDir = text('FABRA_DATA_DIR') ?? './.fabra'
  const config: Config = Object.freeze({
    env: mode,
    postgresUrl: url(nameOf('FABRA_POSTGRES_URL', 'DATABASE_URL'), postgresProblem),
    redisUrl: url(nameOf('FABRA_REDIS_URL', 'REDIS_URL'), redisProblem),
    sourceUrl: url('FABRA_SOURCE_URL', postgresProblem),
    role: choice('FABRA_ROLE', ['all', 'api', 'worker'], 'all'),
    apiKeys: apiKeys(text('FABRA_API_KEYS'), text('FABRA_API_KEYS_FILE'), problems),
    dataDir: isAbsolute(dataDir) ? dataDir : join(facts.cwd, dataDir),
    host: text('FABRA_HOST') ?? (isProduction ? '0.0.0.0' : '127.0.0.1'),
    insecure: choice('FABRA_INSECURE', ['0', '1'], '0') === '1',
    port: whole(nameOf('FABRA_PORT', 'PORT'), 8000, 65_535),
    hosts: hostNames(text('FABRA_HOSTS'), problems),
    origins: origins(text('FABRA_ORIGINS'), problems),
    metricsPort: text('FABRA_METRICS_PORT') === undefined ? null : whole('FABRA_METRICS_PORT', 0, 65_535),
    drainSeconds: whole('FABRA_DRAIN_SECONDS', 8, 3_600),
    requestTimeoutMs: duration(text('FABRA_REQUEST_TIMEOUT') ?? '1s', 'FABRA_REQUEST_TIMEOUT', problems),
    trainingMemory: bytes(text('FABRA_TRAINING_MEMORY') ?? '1GiB', 'FABRA_TRAINING_MEMORY', problems),
    python: pythonSettings(env, {
      memory: bytes(text('FABRA_WORKER_MEMORY') ?? '1GiB', 'FABRA_WORKER_MEMORY', problems),
      hidesServer: choice('FABRA_DEBUG', ['0', '1'], '0') === '0' && isProduction,
    }),
    isolation: choice('FABRA_ISOLATION', ['thread', 'process'], 'thread'),
    webhook: webhook(text('FABRA_WEBHOOK_URL'), text('FABRA_WEBHOOK_SECRET'), problems),
    tracing: tracingSettings(variable, problems),
    ui: choice('FABRA_UI', ['on', 'off'], 'on') === 'on',
    statistics: choice('FABRA_STATISTICS', ['on', 'off'], 'on') === 'on',
    ...keepSettings(variable, facts.cwd, problems),
    logLevel: choice('FABRA_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], 'info'),
    logAlike: whole('FABRA_LOG_ALIKE', 100, 1_000_000),
    accessLog: share(text('FABRA_ACCESS_LOG'), 'FABRA_ACCESS_LOG', problems),
    logFormat: choice('FABRA_LOG_FORMAT', ['pretty', 'json'], facts.terminal ? 'pretty' : 'json'),
  })
  if (config.sourceUrl !== null && config.postgresUrl === null)
    problems.push('FABRA_SOURCE_URL needs FABRA_POSTGRES_URL, where history is kept.')
  if (config.metricsPort === config.port && config.port !== 0)
    problems.push(`FABRA_METRICS_PORT=${config.port} is the port of the server itself.`)
  if (problems.length > 0) {
    throw new FabraError('invalid_config', problems.join(' '), { hint: 'Correct or unset these environment variables.' })
  }
  return config
}

function apiKeys(list: string | undefined, file: string | undefined, problems: string[]): Config['apiKeys'] {
  const keys = parseApiKeys(list ?? '', 'FABRA_API_KEYS', problems)
  if (file === undefined) return keys
  try {
    return [...keys, ...parseApiKeys(readFileSync(file, 'utf8'), 'FABRA_API_KEYS_FILE', problems)]
  } catch {
    problems.push(`FABRA_API_KEYS_FILE="${file}" cannot be read.`)
    return keys
  }
}

function webhook(url: string | undefined, secret: string | undefined, problems: string[]): Config['webhook'] {
  if (url === undefined) {
    if (secret !== undefined) problems.push('FABRA_WEBHOOK_SECRET is set without FABRA_WEBHOOK_URL.')
    return null
  }
  const protocol = URL.parse(url)?.protocol
  if (protocol !== 'http:' && protocol !== 'https:') problems.push('FABRA_WEBHOOK_URL is not an http:// or https:// address.')
  if (secret?.startsWith('whsec_') && !/^whsec_[A-Za-z\d+/]+=*$/.test(secret))
    problems.push('FABRA_WEBHOOK_SECRET begins with whsec_, and what follows is not base64.')
  return { url, secret: secret ?? null }
}

/** What a server in production cannot do without. API keys made by `fabra keys` are looked for when the stores are open. @throws FabraError invalid_config */
export function requireProduction(config: Config): void {
  if (config.env !== 'production') return
  const missing = [
    ...(config.postgresUrl === null ? ['FABRA_POSTGRES_URL'] : []),
    ...(config.redisUrl === null ? ['FABRA_REDIS_URL'] : []),
    ...(config.postgresUrl === null && config.apiKeys.length === 0 ? ['an API key'] : []),
  ]
  if (missing.length === 0) return
  throw new FabraError('invalid_config', `FABRA_ENV=production needs PostgreSQL, Redis and an API key. Missing: ${missing.join(', ')}.`, {
    hint: missing.map((one) => MEND[one]).join(' '),
  })
}

const MEND: Readonly<Record<string, string>> = {
  FABRA_POSTGRES_URL: 'Set FABRA_POSTGRES_URL=postgres://user:password@host:5432/database.',
  FABRA_REDIS_URL: 'Set FABRA_REDIS_URL=redis://host:6379.',
  'an API key': 'With PostgreSQL set, make a key: fabra keys create.',
}
