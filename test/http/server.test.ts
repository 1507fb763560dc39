import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Logger, silentLogger } from '../../src/observability/logger.ts'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'
import type { Document } from '../support/json-schema.ts'
import { rawRequest } from '../support/raw-http.ts'

let http: HttpBench
beforeAll(async () => {
  http = await openHttpBench({ features: { count: { type: 'int' }, score: { kind: 'pushed', type: 'float' } } })
})
afterAll(() => http.close())

describe('requests that no client would write', () => {
  const answerTo = async (start: string, rest = '') => {
    const text = await http.raw(`${start}\r\nHost: localhost\r\n${rest}\r\n`)
    const body = text.slice(text.indexOf('\r\n\r\n') + 4)
    return { status: Number(text.split(' ')[1]), error: JSON.parse(body).error }
  }

  test.each(['/v1/features/%E0%A4%A?entity_id=a', '/v1/features/%?entity_id=a', '/v1/entities/User/%ff', '/v1/features/%00?entity_id=a'])(
    'broken percent-encoding is an error of the client: %s',
    async (path) => {
      const { status, error } = await answerTo(`GET ${path} HTTP/1.1`)
      expect([400, 404, 422]).toContain(status)
      expect(Object.keys(error)).toEqual(['code', 'message', 'hint', 'request_id'])
    },
  )

  test('broken percent-encoding in the query is refused: two ids must not become one', async () => {
    const { status } = await http.get('/v1/features/count?entity_id=%E0%A4%A')
    expect(status).toBe(400)
    expect((await http.get('/v1/features/count?entity_id=%00')).status).toBe(422)
  })

  test('a request id that is not plain is not repeated', async () => {
    const { headers } = await http.get('/nowhere', { 'x-request-id': 'a'.repeat(200) })
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })
})

describe('addresses and methods', () => {
  test('what is nowhere is a 404 in the error shape', async () => {
    for (const path of ['/', '/v1', '/v1/feature', '/v1/features/count/x/y', '/get-online-features', '/v1/entities/User']) {
      const { status, json } = await http.get(path)
      expect([path, status, json.error.code]).toEqual([path, 404, 'not_found'])
    }
  })

  test.each([
    ['POST', '/v1/features/count', 'Use GET.'],
    ['DELETE', '/v1/features/count', 'Use GET.'],
    ['PUT', '/v1/features', 'Use POST or GET.'],
    ['POST', '/health', 'Use GET.'],
    ['PATCH', '/v1/entities/User/a', 'Use GET or DELETE.'],
    ['OPTIONS', '/v1/features/count', 'Use GET.'],
  ])('%s %s is a 405 that says what is possible, also in the Allow header', async (method, path, hint) => {
    const { status, json, headers } = await http.send(path, { method })
    expect([status, json.error.code]).toEqual([405, 'method_not_allowed'])
    expect(json.error.hint).toBe(hint)
    expect(headers.get('allow')?.split(', ').join(' or ')).toBe(hint.slice(4, -1))
  })

  test.each(['/health', '/ready', '/v1/features', '/v1/features/count?entity_id=a'])('HEAD %s is GET without a body', async (path) => {
    const { status, text } = await http.send(path, { method: 'HEAD' })
    expect([status, text]).toEqual([200, ''])
  })

  test('an address is the same with any content type sent along', async () => {
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'nonsense', '']) {
      const body = '{"features":["count"],"rows":[{"user_id":"a"}]}'
      const { status } = await http.send('/v1/features', { method: 'POST', body, headers: { 'content-type': type } })
      expect([type, status]).toEqual([type, 200])
    }
  })
})

describe('the catalogue and the description of itself', () => {
  test('every catalogue route answers as /openapi.json says', async () => {
    for (const path of [
      '/v1/features',
      '/v1/entities',
      '/v1/sources',
      '/v1/feature-sets',
      '/v1/runs',
      '/health',
      '/ready',
      '/openapi.json',
    ]) {
      expect([path, (await http.get(path)).status]).toEqual([path, 200])
    }
  })

  test('every documented route exists and says what it answers', async () => {
    const { json } = await http.get('/openapi.json')
    const { paths, openapi } = json as Document
    expect(openapi).toBe('3.1.0')
    const ids = new Set<unknown>()
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { operationId, summary } = operation as unknown as Record<string, unknown>
        expect([path, method, typeof summary, ids.has(operationId)]).toEqual([path, method, 'string', false])
        ids.add(operationId)
        const { status } = await http.send(path.replaceAll(/\{\w+\}/g, 'x'), { method: method.toUpperCase() })
        expect([path, method, status]).not.toEqual([path, method, 405])
      }
    }
    expect(ids.size).toBeGreaterThan(8)
  })

  test('every named schema that is used exists', async () => {
    const { text, json } = await http.get('/openapi.json')
    const used = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name ?? '')
    for (const name of used) expect(Object.keys(json.components.schemas)).toContain(name)
    for (const name of Object.keys(json.components.schemas)) expect(used.concat('BatchRequest')).toContain(name)
  })
})

describe('refreshes, runs and history over HTTP', () => {
  test('a refresh computes the keys given now and tells what it did', async () => {
    const { programme } = http.bench
    programme.set('count', () => 1)
    await http.get('/v1/features/count?entity_id=r1')
    http.bench.clock.advance('1s')
    programme.set('count', () => 2)
    const { status, json } = await http.post('/v1/features/count/refresh', { rows: [{ user_id: 'r1' }, { user_id: 'r2' }] })
    expect(status).toBe(200)
    expect(json).toMatchObject({ feature: 'count', reason: 'request', keys: 2, changed: 2, failed: 0, error: null })
    expect((await http.get('/v1/features/count?entity_id=r1')).json).toMatchObject({ value: 2, served_from: 'online', freshness_ms: 0 })
    expect((await http.get('/v1/runs?feature=count&limit=1')).json.runs).toEqual([json])
  })

  test('without a body all keys in use are refreshed', async () => {
    await http.get('/v1/features/count?entity_id=r3')
    const before = http.bench.programme.count('count', 'r3')
    const { json } = await http.send('/v1/features/count/refresh', { method: 'POST' })
    expect(json.keys).toBeGreaterThan(0)
    expect(http.bench.programme.count('count', 'r3')).toBe(before + 1)
  })

  test('a pushed feature answers 409, a wrong row 422, an unknown feature 404', async () => {
    expect((await http.post('/v1/features/score/refresh', {})).status).toBe(409)
    expect((await http.post('/v1/features/count/refresh', { rows: [{ user_id: 'a' }, { user: 'b' }] })).json.error).toMatchObject({
      code: 'invalid_key',
      message: 'Row 1: "user" is no key column.',
    })
    expect((await http.post('/v1/features/cuont/refresh', {})).status).toBe(404)
    expect((await http.post('/v1/features/count/refresh', { row: [] })).status).toBe(422)
    expect((await http.get('/v1/runs?limit=0')).status).toBe(422)
  })

  test('history has every recorded value, newest first', async () => {
    await http.bench.push('score', 'h1', 0.5)
    http.bench.clock.advance('1s')
    await http.bench.push('score', 'h1', undefined)
    const { json } = await http.get('/v1/features/score/history?entity_id=h1')
    expect(json.history).toMatchObject([{ missing: true, origin: 'pushed' }, { value: 0.5 }])
    const [newest] = json.history
    const past = await http.get(`/v1/features/score/history?entity_id=h1&to=${newest.event_timestamp.replace('Z', '%2B00:01')}`)
    expect(past.json.history).toEqual([])
    expect((await http.get('/v1/features/score/history?entity_id=h1&from=2026-01-01')).json.error.code).toBe('invalid_time')
  })
})

describe('a failure that Fabra does not know', () => {
  const secret = new Error('boom at /secret/path')
  const failing = (log: Logger) =>
    openHttpBench({ features: { count: { type: 'int' } } }, null, {
      log,
      readiness() {
        throw secret
      },
    })
  const complains = () => {
    throw new Error('the log is full')
  }

  test.each<[name: string, log: Logger]>([
    ['goes to the log', silentLogger],
    ['is told without details even where the log fails', { debug: complains, info: complains, warn: complains, error: complains }],
  ])('%s; the client gets the shape of all errors, and no page of Bun', async (_name, log) => {
    await using broken = await failing(log)
    for (const host of ['localhost', '256.0.0.1', 'a:b', '[::1', 'a b', '']) {
      const { statuses, text } = await rawRequest(
        broken.server.port,
        `GET /ready HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nAccept: text/html\r\n\r\n`,
      )
      expect([host, statuses]).toEqual([host, [500]])
      expect(text).not.toMatch(/secret|boom|log is full|<html|\bat \w/i)
      expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))).toEqual({
        error: expect.objectContaining({ code: 'internal', request_id: expect.any(String) }),
      })
    }
  })
})
