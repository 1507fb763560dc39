/** Words that are planted in every secret of the configuration, and looked for in everything that comes out. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { run } from '../../src/cli/run.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { type ProjectFolder, projectFolder } from '../support/project-folder.ts'
import { askRedis, startPostgres, startRedis, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const CANARIES = {
  postgres: 'canary%2Fpostgres',
  source: 'canary-source',
  redis: 'canary-redis',
  key: 'fab_canaryKeyOfTheAppThatIsLongEnoughToBeOne',
  webhook: 'canary-webhook-secret',
  path: '/services/canary/path',
  collector: 'canary-of-the-collector',
}
const CANARY = /canary/i
const FEATURES = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at' })
export const visits = feature({ entity: User, refresh: '1h', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const score = feature({ entity: User, type: 'float' })
export const leaky = feature({ entity: User, refresh: 0, type: 'int' }, async () => {
  throw new Error('at ' + ['DATABASE', 'URL'].join('_') + ' ' + JSON.stringify(process.env))
})
`
let folder: ProjectFolder
let postgres: TestServer
let redis: TestServer
let env: Record<string, string>
let said = ''
const heard: { readonly where: string; readonly text: string }[] = []
const hear = (where: string, text: string) => void heard.push({ where, text })

beforeAll(async () => {
  ;[postgres, redis] = await Promise.all([startPostgres(), startRedis({ args: ['--requirepass', CANARIES.redis] })])
  const sql = new SQL(postgres.url, { max: 1 })
  await sql
    .unsafe(
      `CREATE TABLE events (user_id TEXT, created_at TIMESTAMPTZ); CREATE ROLE app LOGIN PASSWORD 'canary/postgres'; CREATE ROLE reader LOGIN PASSWORD '${CANARIES.source}';
       GRANT CREATE ON DATABASE fabra TO app; GRANT SELECT ON events TO app, reader`,
    )
    .simple()
  await sql.close()
  folder = projectFolder({ 'features.ts': FEATURES })
  const at = (role: string, password: string) => postgres.url.replace(/\/\/[^@]*@/, `//${role}:${password}@`)
  env = {
    FABRA_ENV: 'production',
    FABRA_HOST: '127.0.0.1',
    FABRA_PORT: '0',
    FABRA_LOG_LEVEL: 'debug',
    FABRA_DATA_DIR: join(folder.path, '.fabra'),
    FABRA_POSTGRES_URL: at('app', CANARIES.postgres),
    FABRA_SOURCE_URL: at('reader', CANARIES.source),
    FABRA_REDIS_URL: redis.url.replace('//', `//:${CANARIES.redis}@`),
    FABRA_API_KEYS: `${createHash('sha256').update(CANARIES.key).digest('hex')}:read+train+write+admin`,
    FABRA_WEBHOOK_URL: `http://127.0.0.1:1${CANARIES.path}`,
    FABRA_WEBHOOK_SECRET: CANARIES.webhook,
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${CANARIES.collector}`,
  }
}, 120_000)
afterAll(async () => {
  await Promise.all([postgres[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()])
  folder[Symbol.dispose]()
})

interface RunningCommand {
  readonly stop: () => void
  readonly ended: Promise<number>
}

/** A command in this process, whose words are heard. */
function command(args: readonly string[], more: Record<string, string> = {}): RunningCommand {
  let stop: () => void = () => undefined
  const ended = run(args, {
    stdout(text) {
      said += text
      hear(`${args.join(' ')}: stdout`, text)
    },
    stderr(text) {
      said += text
      hear(`${args.join(' ')}: stderr`, text)
    },
    cwd: folder.path,
    env: { ...env, ...more },
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    onSignal(listener) {
      stop = () => listener('SIGTERM')
    },
  })
  return { stop: () => stop(), ended }
}

async function askAll(url: string, names: readonly string[]): Promise<void> {
  const headers = { 'x-api-key': CANARIES.key, 'content-type': 'application/json' }
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(url + path, { ...init, headers: { ...headers, ...init.headers } })
    const headerText = JSON.stringify([...response.headers])
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) await response.body?.cancel()
    else hear(`${init.method ?? 'GET'} ${path}`, headerText + (await response.text()))
    return response.status
  }
  const { paths } = (await (await fetch(`${url}/openapi.json`, { headers })).json()) as { paths: Record<string, Record<string, object>> }
  for (const name of names)
    for (const [pattern, methods] of Object.entries(paths))
      for (const method of Object.keys(methods)) {
        const path = pattern.replace('{name}', name).replace('{entity}', 'User').replace('{id}', 'u1')
        const query = pattern.endsWith('{name}') || pattern.endsWith('history') ? '?entity_id=u1' : ''
        const rows = [{ user_id: 'u1', value: 1, event_timestamp: '2026-01-01T00:00:00Z' }]
        const body =
          method === 'get'
            ? {}
            : { body: JSON.stringify({ ...(pattern.endsWith('values') || pattern.endsWith('refresh') ? {} : { features: [name] }), rows }) }
        await ask(path + query, { method: method.toUpperCase(), ...body })
      }
  await ask('/v1/features/score?entity_id=u1', { headers: { authorization: `Bearer ${CANARIES.key}x` } })
  await ask('/v1/training-sets', { method: 'POST', body: JSON.stringify({ features: ['visits'], labels_sql: 'SELECT * FROM pg_authid' }) })
  await ask('/nowhere', { headers: { 'x-api-key': `${CANARIES.key}y` } })
}

const files = (path: string): string[] =>
  existsSync(path)
    ? readdirSync(path).flatMap((name) => (statSync(join(path, name)).isDirectory() ? files(join(path, name)) : [join(path, name)]))
    : []

test('no secret of the configuration is in anything that the server or a command says', async () => {
  const served = command(['serve'])
  const url = await until('the server to say where it is', 60_000, async () => /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0])
  await askAll(url, ['leaky', 'visits', 'score'])
  // Stores that fail say more than stores that work.
  await askRedis({ port: redis.port, password: CANARIES.redis }, 'CONFIG', 'SET', 'requirepass', 'another')
  await askRedis({ port: redis.port, password: 'another' }, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await postgres.kill()
  await askAll(url, ['visits'])
  for (const path of files(env['FABRA_DATA_DIR'] ?? '')) hear(path, readFileSync(path, 'latin1'))
  for (const args of [
    ['doctor'],
    ['doctor', '--security'],
    ['check'],
    ['keys', 'list'],
    ['migrate', '--json'],
    ['list', '--json'],
    ['healthcheck'],
  ])
    await command(args).ended
  served.stop()
  await served.ended
  for (const name of ['FABRA_POSTGRES_URL', 'FABRA_REDIS_URL', 'FABRA_WEBHOOK_URL', 'FABRA_API_KEYS', 'FABRA_SOURCE_URL'])
    await command(['serve'], { [name]: `nothing://x:canary@${env[name]}` }).ended
  const leaked = heard
    .filter(({ text }) => CANARY.test(text))
    .map(({ where, text }) => `${where}: …${text.slice(Math.max(0, text.search(CANARY) - 80)).slice(0, 200)}`)
  expect(leaked).toEqual([])
  // Else nothing was looked through.
  expect(heard.length).toBeGreaterThan(100)
}, 240_000)

test('a log keeps them out wherever they stand, and what looks like one', () => {
  let written = ''
  const write = (line: string) => {
    written += line
  }
  const secrets = ['canary "quoted"\\', 'canary/slash', 'canary']
  for (const format of ['json', 'pretty'] as const) {
    const log = createLogger({ level: 'debug', format, color: false, secrets, write, time: () => '' })
    for (const secret of secrets) {
      const error = new Error(`a ${secret}`, { cause: new Error(`b ${encodeURIComponent(secret)}`) })
      log.error(`said ${secret}`, { error, [`of ${secret}`]: secret, deep: { list: [{ secret }] }, url: `redis://u:${secret}@h/0` })
    }
    log.warn('Authorization: Bearer canaryless-but-secret', {
      header: { authorization: 'Bearer canaryless-but-secret' },
      key: 'fab_0123456789012345678901234',
    })
    log.info('postgres://me:pass-of-nobody-knows@host/db')
  }
  expect(written).not.toMatch(/canary|pass-of-nobody|fab_0123/)
  expect(written).toContain('***')
})
