/** Traces as a collector gets them, from the whole of Fabra: what is a part of what, and that nothing of the data is told. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type App, openApp } from '../../src/app/app.ts'
import { readConfig } from '../../src/config/config.ts'
import { FabraError } from '../../src/errors.ts'
import { openTracer } from '../../src/observability/open-telemetry.ts'
import { type SentSpan, startCollector, type TestCollector } from '../support/collector.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'
import { projectFolder } from '../support/project-folder.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(120_000)

const FILES = {
  'features.ts': `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'created_at', file: './events.csv' })
export const spend = feature({ entity: User, refresh: '5m', timeout: '20s', type: 'float',
  sql: 'SELECT SUM(amount) AS secret_sum FROM events WHERE user_id = $user_id' })
export const risk = feature({ entity: User, refresh: '5m', timeout: '20s', type: 'float' }, async (id, { get, db }) => {
  await db.fetchval('SELECT COUNT(*) FROM events WHERE user_id = $1', id)
  return 2 * ((await get(spend)) ?? 0)
})
export const broken = feature({ entity: User, refresh: 0, timeout: '20s', type: 'float' }, async (id) => {
  throw new Error('nothing is known of ' + id)
})
`,
  'features.py': `from fabra import feature
from features import User

@feature(entity=User, refresh=0, timeout="20s")
def hour(user_id) -> int:
    return 1234567
`,
  'events.csv': 'user_id,amount,created_at\nidOfAPerson,1234567.5,2026-01-01 10:00:00\n',
}
const PYTHON = FILES['features.py'].replace(
  'from features import User\n',
  'from fabra import entity\nUser = entity("User", key="user_id")\n',
)
const PARENT = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) }

let servers: ProductionServers
beforeAll(async () => {
  servers = await startProduction()
})
afterAll(() => servers[Symbol.asyncDispose]())

interface Traced {
  readonly said: string[]
  readonly statuses: readonly number[]
}

/** Asks a few things of the whole of Fabra, and stops it. */
async function ask({ url: collector, spans }: TestCollector, env: Readonly<Record<string, string>>): Promise<Traced> {
  using folder = projectFolder({ ...FILES, 'features.py': PYTHON })
  const said: string[] = []
  const say = (message: string, fields?: unknown) => void said.push(`${message} ${JSON.stringify(fields)}`)
  const given = {
    FABRA_PORT: '0',
    FABRA_HOST: '127.0.0.1',
    FABRA_DATA_DIR: join(folder.path, '.fabra'),
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-team=ml%20team',
    OTEL_SERVICE_NAME: 'features-of-the-shop',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_BSP_SCHEDULE_DELAY: '50',
    ...env,
  }
  const config = readConfig({ ...process.env, ...given }, { cwd: folder.path, terminal: false })
  const files = ['features.ts', 'features.py'].map((file) => join(folder.path, file))
  const app: App = await openApp({ files, config, log: { debug: say, info: say, warn: say, error: say }, clockOffset: 0 })
  try {
    const { url } = await app.listen()
    const get = (path: string, traceparent: string, init: RequestInit = {}) =>
      fetch(`${url}${path}`, { ...init, headers: { traceparent, 'x-api-key': 'fab_test', 'content-type': 'application/json' } })
    await until('the server to be warm', 60_000, async () => ((await get('/ready', '')).ok ? true : undefined))
    const parent = `00-${PARENT.traceId}-${PARENT.spanId}-01`
    const answers = [
      await get('/v1/features/risk?entity_id=idOfAPerson', parent),
      await get('/v1/features/risk?entity_id=idOfAPerson', `00-${'c'.repeat(32)}-${PARENT.spanId}-00`),
      await get('/v1/features/hour?entity_id=idOfAPerson', 'no traceparent'),
      await get('/v1/features/broken?entity_id=idOfAPerson', ''),
      await get('/v1/features/spend/refresh', '', { method: 'POST', body: '{"rows":[{"user_id":"idOfAPerson"}]}' }),
      await get('/v1/nothing/idOfAPerson', ''),
    ]
    for (const answer of answers) await answer.text()
    // They come in the order in which they end.
    await until('the last of the spans', 60_000, async () => (spans.some(({ name }) => name === 'GET') ? true : undefined))
    return { said, statuses: answers.map(({ status }) => status) }
  } finally {
    await app.close()
  }
}

function nothingOfTheDataIn(collector: TestCollector): void {
  for (const { body } of collector.requests)
    expect(new TextDecoder().decode(body)).not.toMatch(/idOfAPerson|1234567|secret_sum|nothing is known|SELECT [A-Z]/)
}

/** What is kept is kept while its answer is already on its way: it stands where it happens to come. */
function shape(collector: TestCollector, { traceId }: Pick<SentSpan, 'traceId'>): string[] {
  return [...new Set(collector.spans.filter((span) => span.traceId === traceId).map((span) => collector.path(span)))]
    .filter((path) => !path.endsWith(' write'))
    .sort()
}

const RISK = 'GET /v1/features/:name > wait for risk > compute risk > function risk'

test('a request is a part of what its traceparent names, down to queries and functions', async () => {
  await using collector = startCollector()
  const { statuses, said } = await ask(collector, {})
  expect(statuses).toEqual([200, 200, 200, 502, 200, 404])
  expect(shape(collector, PARENT)).toEqual([
    'GET /v1/features/:name',
    'GET /v1/features/:name > memory read',
    'GET /v1/features/:name > wait for risk',
    'GET /v1/features/:name > wait for risk > compute risk',
    RISK,
    `${RISK} > duckdb query`,
    `${RISK} > memory read`,
    `${RISK} > wait for spend`,
    `${RISK} > wait for spend > compute spend`,
    `${RISK} > wait for spend > compute spend > duckdb query`,
  ])
  const request = collector.spans.find(({ parentSpanId }) => parentSpanId === PARENT.spanId)
  expect(request).toMatchObject({ kind: 2, facts: { 'http.route': '/v1/features/:name', 'http.response.status_code': 200 } })
  expect(collector.named('compute spend')).toMatchObject({
    facts: { 'fabra.feature': 'spend', 'code.file.path': 'features.ts', 'code.line.number': 4, 'fabra.keys': 1 },
    resource: { 'service.name': 'features-of-the-shop', 'deployment.environment.name': 'test' },
  })
  expect(collector.named('duckdb query')).toMatchObject({
    kind: 3,
    facts: { 'db.system.name': 'duckdb', 'fabra.feature': expect.any(String) },
  })
  expect(collector.named('function hour')).toMatchObject({ facts: { 'fabra.language': 'python', 'code.file.path': 'features.py' } })
  expect(collector.named('function broken')).toMatchObject({ facts: { 'error.type': 'feature_failed' }, status: { code: 2 } })
  // The schedule may have refreshed it, too.
  expect(collector.spans.filter(({ name }) => name === 'refresh spend').flatMap((span) => shape(collector, span))).toContain(
    'POST /v1/features/:name/refresh > refresh spend > compute spend > duckdb query',
  )
  // Whoever asked did not want it traced; probes never are; what is no route has no name of its own.
  expect(collector.spans.filter(({ traceId }) => traceId === 'c'.repeat(32))).toEqual([])
  expect(collector.spans.map(({ name }) => name).filter((name) => name.includes('ready'))).toEqual([])
  expect(collector.named('GET').facts).toEqual({ 'http.request.method': 'GET', 'http.response.status_code': 404 })
  expect(collector.requests.every(({ path, headers }) => path === '/v1/traces' && headers.get('x-team') === 'ml team')).toBe(true)
  const { traceId } = collector.named('function broken')
  expect(said.filter((line) => line.includes(traceId)).join()).toContain('broken')
  nothingOfTheDataIn(collector)
})

test('the same on PostgreSQL and Redis', async () => {
  await using collector = startCollector()
  const FABRA_API_KEYS = `${createHash('sha256').update('fab_test').digest('hex')}:read+write+admin`
  const { statuses } = await ask(collector, { FABRA_ENV: 'production', FABRA_API_KEYS, ...(await servers.fresh()) })
  expect(statuses).toEqual([200, 200, 200, 502, 200, 404])
  const paths = shape(collector, PARENT)
  for (const path of [
    'GET /v1/features/:name > redis read',
    `${RISK} > postgres query`,
    `${RISK} > wait for spend > compute spend > postgres query`,
  ])
    expect(paths).toContain(path)
  nothingOfTheDataIn(collector)
})

const SETTINGS = {
  headers: {},
  timeoutMs: 5_000,
  delayMs: 60_000,
  resource: { 'service.name': 'fabra' },
  ratio: 1,
  version: '1',
  log: console,
} as const

test('a collector that is not there is told of once, and nobody waits for it', async () => {
  const said: string[] = []
  const say = (message: string) => void said.push(message)
  const log = { debug: say, info: say, warn: say, error: say }
  const tracer = await openTracer({
    ...SETTINGS,
    url: 'http://127.0.0.1:9/v1/traces',
    protocol: 'http/json',
    sampler: 'always_on',
    delayMs: 0,
    timeoutMs: 1,
    log,
  })
  for (const round of [1, 2]) {
    // More than wait for it at most: what is too much is dropped.
    for (let i = 0; i < 5_000; i++) expect(tracer.root({ name: 'work' }, () => i)).toBe(i)
    await until(`failure ${round}`, 30_000, async () => (said.length > 0 ? true : undefined))
  }
  await tracer.close(30_000)
  expect(said).toEqual(['traces could not be sent and are dropped; this is told once'])
})

test('spans are sent as protobuf, and those of a request that failed say no more than its code', async () => {
  await using collector = startCollector()
  const tracer = await openTracer({ ...SETTINGS, url: `${collector.url}/v1/traces`, protocol: 'http/protobuf', sampler: 'always_on' })
  const fail = () =>
    tracer.root({ name: 'the whole' }, () =>
      tracer.part({ name: 'a part' }, () => Promise.reject(new FabraError('io_failed', 'idOfAPerson'))),
    )
  await expect(fail()).rejects.toThrow('idOfAPerson')
  await tracer.close(30_000)
  const [{ headers, body } = { headers: new Headers(), body: new Uint8Array() }] = collector.requests
  const text = new TextDecoder('latin1').decode(body)
  expect(headers.get('content-type')).toBe('application/x-protobuf')
  for (const word of ['the whole', 'a part', 'io_failed', 'service.name']) expect(text).toContain(word)
  expect(text).not.toContain('idOfAPerson')
})

test('what nobody wants to see is not sent, and is still named to whoever is asked next', async () => {
  await using collector = startCollector()
  const url = `${collector.url}/v1/traces`
  const tracer = await openTracer({ ...SETTINGS, url, protocol: 'http/json', sampler: 'parentbased_traceidratio', ratio: 0 })
  tracer.root({ name: 'not taken' }, () => undefined)
  tracer.part({ name: 'of nothing' }, () => undefined)
  const headers = new Headers({ traceparent: `00-${PARENT.traceId}-${PARENT.spanId}-01`, tracestate: 'shop=1' })
  const passedOn = tracer.serve(headers, { name: 'asked for' }, () => tracer.context())
  await tracer.close(30_000)
  expect(collector.spans.map(({ name }) => name)).toEqual(['asked for'])
  const { spanId } = collector.named('asked for')
  expect(passedOn?.headers).toEqual({ traceparent: `00-${PARENT.traceId}-${spanId}-01`, tracestate: 'shop=1' })
})

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'secret'],
  ['OTEL_TRACES_SAMPLER', 'sometimes'],
  ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
])('%s=%s is refused, and told which', (name, value) => {
  const read = () => readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', [name]: value }, { cwd: '/srv', terminal: false })
  expect(read).toThrow(name)
  expect(read).not.toThrow('"secret"')
})

test('addresses, headers and names are read as OpenTelemetry says', () => {
  const read = (env: Record<string, string>) => readConfig(env, { cwd: '/srv', terminal: false }).tracing
  expect(read({})).toBeNull()
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_SDK_DISABLED: 'true' })).toBeNull()
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_EXPORTER: 'none' })).toBeNull()
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c:4318/otlp/', OTEL_EXPORTER_OTLP_HEADERS: 'a=1,b=x%3Dy' })).toMatchObject({
    url: 'https://c:4318/otlp/v1/traces',
    headers: { a: '1', b: 'x=y' },
    protocol: 'http/protobuf',
    resource: { 'service.name': 'fabra' },
  })
  const own = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t/own', OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=2' }
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_EXPORTER_OTLP_HEADERS: 'a=1', ...own })).toMatchObject({
    url: 'http://t/own',
    headers: { a: '2' },
  })
})
