/** What only a whole server shows: labels_sql and its scope, clients that hang up, requests behind one another, readiness. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import type { HttpServer } from '../../src/http/server.ts'
import { type ListeningApp, listeningApp, type Said } from '../support/listening-app.ts'
import { rawRequest } from '../support/raw-http.ts'
import { until } from '../support/until.ts'

const FEATURES = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'at', file: './events.csv' })
export const visits = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const echo = feature({ entity: User, refresh: 0, type: 'string' }, (key) => key)
export const score = feature({ entity: User, type: 'float' })
`
const EVENTS = 'user_id,at\nu1,2026-01-01T00:00:00Z\nu1,2026-01-02T00:00:00Z\nu2,2026-01-02T00:00:00Z\n'
const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
const KEYS: Readonly<Record<string, string>> = {
  fab_r: 'read',
  fab_t: 'train',
  fab_rt: 'read+train',
  fab_w: 'write',
  fab_wa: 'write+admin+train',
}

let fabra: ListeningApp
let server: HttpServer
let said: Said[]
beforeAll(async () => {
  const keys = Object.entries(KEYS).map(([key, scopes]) => `${sha256(key)}:${scopes}`)
  const files = { 'features.ts': FEATURES, 'events.csv': EVENTS }
  fabra = await listeningApp(files, { FABRA_METRICS_PORT: '0', FABRA_API_KEYS: keys.join(',') })
  ;({ server, said } = fabra)
})
afterAll(() => fabra[Symbol.asyncDispose]())

const ask = (path: string, key: string, init: RequestInit = {}) =>
  fabra.ask(path, { ...init, headers: { 'x-api-key': key, ...init.headers } })

describe('labels_sql', () => {
  const SQL = "SELECT user_id, TIMESTAMPTZ '2026-01-03T00:00:00Z' AS event_timestamp FROM events"
  const inAddress = `labels_sql=${encodeURIComponent(SQL)}`
  const json = (body: unknown): RequestInit => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  const ways: [name: string, query: string, init: RequestInit][] = [
    ['in the address', `?features=visits&${inAddress}`, {}],
    ['in the address, twice', `?features=visits&labels_sql=&${inAddress}`, {}],
    ['in the address, its name encoded', `?features=visits&${inAddress.replace('labels', '%6cabels')}`, {}],
    ['in the address, to be explained', `?features=visits&explain=true&${inAddress}`, {}],
    ['in the address, with a body of a feature alone', `?${inAddress}`, json({ features: ['visits'] })],
    ['in the body', '', json({ features: ['visits'], labels_sql: SQL })],
    ['in the body, to be explained', '', json({ features: ['visits'], labels_sql: SQL, explain: true })],
    [
      'in the body, its name escaped',
      '',
      { body: JSON.stringify({ features: ['visits'], labels_sql: SQL }).replace('labels_sql', '\\u006cabels_sql') },
    ],
    ['in the body, without a type', '', { body: Buffer.from(JSON.stringify({ features: ['visits'], labels_sql: SQL })) }],
  ]
  test.each(ways)('%s needs train besides read', async (_name, query, init) => {
    const outcomes: Record<string, unknown> = {}
    for (const key of ['fab_none', 'fab_r', 'fab_t', 'fab_w', 'fab_wa', 'fab_rt']) {
      const answer = await ask(`/v1/training-sets${query}`, key, { ...init, method: 'POST' })
      outcomes[key] = answer.status
      const body = await answer.text()
      if (key === 'fab_r') expect(JSON.parse(body).error).toMatchObject({ code: 'forbidden', hint: expect.stringContaining('"train"') })
    }
    expect(outcomes).toEqual({ fab_none: 401, fab_r: 403, fab_t: 403, fab_w: 403, fab_wa: 403, fab_rt: 200 })
  })

  test('twice in the body is nobody’s', async () => {
    const body = `{"features":["visits"],"labels_sql":null,"labels_sql":${JSON.stringify(SQL)}}`
    const outcomes: Record<string, unknown> = {}
    for (const key of ['fab_none', 'fab_r', 'fab_t', 'fab_w', 'fab_wa', 'fab_rt']) {
      const answer = await ask('/v1/training-sets', key, { method: 'POST', body })
      outcomes[key] = [answer.status, ((await answer.json()) as { error: { code: string } }).error.code]
    }
    const [refused, closed] = [
      [422, 'invalid_body'],
      [403, 'forbidden'],
    ]
    expect(outcomes).toEqual({
      fab_none: [401, 'unauthorized'],
      fab_r: refused,
      fab_t: closed,
      fab_w: closed,
      fab_wa: closed,
      fab_rt: refused,
    })
  })

  test('labels that are sent along need read alone', async () => {
    const csv = 'user_id,event_timestamp\nu1,2026-01-03T00:00:00Z\n'
    const answer = await ask('/v1/training-sets?features=visits&format=csv', 'fab_r', { method: 'POST', body: csv })
    expect([answer.status, await answer.text()]).toEqual([200, 'user_id,event_timestamp,visits\nu1,2026-01-03T00:00:00Z,2\n'])
    const explained = await ask('/v1/training-sets', 'fab_r', {
      method: 'POST',
      ...json({ features: ['visits'], explain: true, labels_sql: null }),
    })
    expect(explained.status).toBe(200)
  })
})

describe('a body that is no UTF-8', () => {
  const latin1 = (text: string) => Buffer.from(text, 'latin1')
  test.each([
    ['/v1/features', 'fab_r', '{"features":["visits"],"rows":[{"user_id":"\xe9"}]}', 400],
    ['/v1/features/score/values', 'fab_w', '{"rows":[{"user_id":"\xe9","value":1}]}', 400],
    ['/v1/features/visits/refresh', 'fab_w', '{"rows":[{"user_id":"\xe9"}]}', 400],
    ['/v1/sources/events/rows', 'fab_w', '{"rows":[{"user_id":"\xe9","at":"2026-01-03T00:00:00Z"}]}', 400],
    ['/v1/training-sets', 'fab_r', '{"features":["visits"],"rows":[{"user_id":"\xe9","event_timestamp":"2026-01-03T00:00:00Z"}]}', 400],
    ['/v1/training-sets?features=visits', 'fab_r', '{"user_id":"\xe9","event_timestamp":"2026-01-03T00:00:00Z"}\n', 422],
    ['/v1/training-sets?features=visits', 'fab_r', 'user_id,event_timestamp\n\xe9,2026-01-03T00:00:00Z\n', 422],
  ])('%s %s', async (path, key, body, status) => {
    for (const bytes of [latin1(body), latin1(body.replace('\xe9', '\xed\xa0\x80')), latin1(body.replace('\xe9', '\xc0\xaf'))]) {
      const answer = await ask(path, key, { method: 'POST', body: bytes })
      const { error } = (await answer.json()) as { error: { message: string } }
      expect([answer.status, error.message]).toEqual([status, expect.stringMatching(/UTF-8|utf-?8|unicode/i)])
    }
    const chunked = await ask(path, key, { method: 'POST', body: new Blob([latin1(body)]).stream() })
    expect(chunked.status).toBe(status)
  })

  test('and the sign that stands for such bytes is a key like any other', async () => {
    const answer = await ask('/v1/features', 'fab_r', { method: 'POST', body: '{"features":["echo"],"rows":[{"user_id":"\ufffd"}]}' })
    expect(await answer.json()).toMatchObject({ results: [{ values: ['\ufffd'] }] })
  })
})

describe('a client that hangs up', () => {
  const head = (path: string, key: string, rest: string) => `POST ${path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${key}\r\n${rest}`
  test.each([
    ['in a body of known length', 'Content-Length: 5000\r\n\r\n{"rows":['],
    ['before a body of known length', 'Content-Length: 5000\r\n\r\n'],
    ['in a chunk', 'Transfer-Encoding: chunked\r\n\r\n50\r\n{"rows":['],
    ['between chunks', 'Transfer-Encoding: chunked\r\n\r\n9\r\n{"rows":[\r\n'],
    ['after a chunk of nonsense', 'Transfer-Encoding: chunked\r\n\r\n9\r\n{"rows":[\r\nzz\r\n'],
  ])('%s is no failure of the server', async (_name, rest) => {
    said.length = 0
    for (const [path, key] of [
      ['/v1/features', 'fab_r'],
      ['/v1/features/score/values', 'fab_w'],
      ['/v1/sources/events/rows', 'fab_w'],
      ['/v1/features/visits/refresh', 'fab_w'],
      ['/v1/training-sets?features=visits', 'fab_r'],
      ['/v1/training-sets', 'fab_r'],
    ] as const) {
      await rawRequest(server.port, head(path, key, rest), { hangUp: true })
    }
    // The server has seen all of them go when it makes training sets again: two at a time are made.
    const made = () => ask('/v1/training-sets?features=visits', 'fab_r', { method: 'POST', body: 'user_id,event_timestamp\n' })
    await until('the places of training sets', 10_000, async () => {
      const both = await Promise.all([made(), made()])
      return both.every(({ status }) => status === 200) ? true : undefined
    })
    const isBusy = ({ fields }: Said) => (fields as { code?: string }).code === 'overloaded'
    expect(said.filter((one) => (one.level === 'error' || one.level === 'warn') && !isBusy(one))).toEqual([])
  })
})

describe('metrics', () => {
  test('have a port of their own, without a key, and nothing else is there', async () => {
    const url = new URL(server.metricsUrl ?? '')
    const metrics = await fetch(url)
    expect([metrics.status, (await metrics.text()).slice(0, 6)]).toEqual([200, '# HELP'])
    for (const path of [
      '/',
      '/health',
      '/ready',
      '/v1/features',
      '/v1/features/visits?entity_id=u1',
      '/openapi.json',
      '/docs',
      '/metrics/../v1/features',
    ])
      expect([path, (await fetch(`${url.origin}${path}`)).status]).toEqual([path, 404])
    expect((await fetch(url, { method: 'POST' })).status).toBe(405)
    const { statuses } = await rawRequest(Number(url.port), 'GET /metrics HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n')
    expect(statuses).toEqual([400])
    expect((await ask('/metrics', 'fab_none')).status).toBe(401)
    expect((await ask('/metrics', 'fab_w')).status).toBe(403)
    expect((await ask('/metrics', 'fab_r')).status).toBe(200)
  })
})
