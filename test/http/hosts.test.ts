/** By which names a server may be called, which pages may change anything, and that the probes of platforms are answered. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { createKeyring, type Keyring } from '../../src/auth/keyring.ts'
import { createHostRule } from '../../src/http/hosts.ts'
import type { Readiness } from '../../src/http/readiness.ts'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'
import { rawRequest } from '../support/raw-http.ts'

const FEATURES = { count: { type: 'int' as const }, score: { kind: 'pushed' as const, type: 'float' as const } }
const hash = createHash('sha256').update('fab_all').digest('hex')
let stores: Readiness = { ready: true, stores: { postgres: 'ok', redis: 'ok' } }
let keyring: Keyring
let laptop: HttpBench
let named: HttpBench
let production: HttpBench
let productionNamed: HttpBench
beforeAll(async () => {
  keyring = await createKeyring({ configured: [{ hash, scopes: ['read', 'write', 'admin'] }], store: null, onProblem() {} })
  const hosts = ['features.example', '10.9.8.7']
  const readiness = () => stores
  laptop = await openHttpBench({ features: FEATURES }, null, { readiness })
  named = await openHttpBench({ features: FEATURES }, null, { hosts })
  production = await openHttpBench({ features: FEATURES }, keyring, { key: 'fab_all', isDevelopment: false, readiness })
  productionNamed = await openHttpBench({ features: FEATURES }, keyring, { key: 'fab_all', isDevelopment: false, hosts })
})
afterAll(async () => {
  for (const http of [laptop, named, production, productionNamed]) await http.close()
  keyring.close()
})

interface Answered {
  readonly status: number
  readonly error: Readonly<Record<string, string>>
}

async function ask(http: HttpBench, start: string, headers: readonly string[], body = ''): Promise<Answered> {
  const key = http === laptop || http === named ? [] : ['X-API-Key: fab_all']
  const lines = [...headers, ...key, 'Connection: close', ...(body === '' ? [] : [`Content-Length: ${body.length}`])]
  const { statuses, text } = await rawRequest(http.server.port, `${start} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
  const status = statuses[0] ?? 0
  return { status, error: status < 400 ? {} : JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)).error }
}

const READ = 'GET /v1/features/count?entity_id=u1'

describe('without API keys', () => {
  test.each([
    'localhost',
    'localhost:8000',
    'LocalHost',
    'localhost.',
    '127.0.0.1',
    '127.0.0.1:1',
    '127.9.9.9',
    '[::1]',
    '[::1]:8000',
    '[0:0::1]',
  ])('a server on this machine answers as %s', async (host) => {
    expect((await ask(laptop, READ, [`Host: ${host}`])).status).toBe(200)
  })

  test.each([
    'evil.example',
    'localhost.evil.example',
    'evil.localhost.example:8000',
    '10.9.8.7',
    '0.0.0.0',
    '[::2]',
    '127.0.0.1.nip.io',
    'a.localhost',
    '169.254.169.254',
  ])('no page whose name %s leads here reads anything', async (host) => {
    for (const start of [
      READ,
      'GET /v1/features',
      'GET /metrics',
      'GET /openapi.json',
      'GET /docs',
      'GET /nowhere',
      'DELETE /v1/entities/User/u1',
    ]) {
      const { status, error } = await ask(laptop, start, [`Host: ${host}`])
      expect([start, status, error['code']]).toEqual([start, 403, 'forbidden'])
      expect(error['hint']).toContain('FABRA_HOSTS')
    }
  })

  test('FABRA_HOSTS adds names, and takes none away', async () => {
    for (const host of ['features.example', 'FEATURES.example:443', '10.9.8.7:8000', 'localhost:8000', '127.0.0.1'])
      expect([host, (await ask(named, READ, [`Host: ${host}`])).status]).toEqual([host, 200])
    for (const host of ['example', 'a.features.example', '10.9.8.8'])
      expect([host, (await ask(named, READ, [`Host: ${host}`])).status]).toEqual([host, 403])
  })

  test('a server on all addresses answers to each of its own, and to no other', () => {
    const rule = createHostRule({ named: [], bound: '0.0.0.0', asksForKeys: false })
    const isAdmitted = (host: string) => {
      try {
        rule.admit(new Request('http://x/', { headers: { host } }))
        return true
      } catch {
        return false
      }
    }
    const own = Object.values(networkInterfaces()).flatMap(
      (all) => all?.filter(({ family }) => family === 'IPv4').map((one) => one.address) ?? [],
    )
    expect(own.length).toBeGreaterThan(0)
    for (const address of own) expect([address, isAdmitted(`${address}:8000`)]).toEqual([address, true])
    expect(['203.0.113.9', 'evil.example', '[2001:db8::9]'].filter(isAdmitted)).toEqual([])
  })
})

describe('with API keys', () => {
  test('a server answers by any name, or by those of FABRA_HOSTS and its machine', async () => {
    for (const host of ['features.example', 'anything.example:8000', '10.1.2.3', '[2001:db8::1]', 'my_features'])
      expect([host, (await ask(production, READ, [`Host: ${host}`])).status]).toEqual([host, 200])
    for (const [host, status] of [
      ['features.example', 200],
      ['127.0.0.1:8000', 200],
      ['anything.example', 403],
      ['10.1.2.3', 403],
    ] as const)
      expect([host, (await ask(productionNamed, READ, [`Host: ${host}`])).status]).toEqual([host, status])
  })
})

describe('a page of another site', () => {
  const PUSH = 'POST /v1/features/score/values'
  const rows = '{"rows":[{"user_id":"page","value":1}]}'
  const changes = [
    PUSH,
    'POST /v1/features/count/refresh',
    'POST /v1/sources/x/rows',
    'DELETE /v1/entities/User/page',
    'POST /v1/training-sets',
  ]
  const foreign: [name: string, headers: string[]][] = [
    ['of another host', ['Origin: https://evil.example']],
    ['of a host that begins the same', ['Origin: http://localhost.evil.example']],
    ['of no host (a sandbox, a file)', ['Origin: null']],
    ['with an Origin that is none', ['Origin: localhost']],
    ['with two Origins', ['Origin: http://localhost', 'Origin: https://evil.example']],
    ['whose Origin was taken away', ['Sec-Fetch-Site: cross-site']],
  ]
  test.each(foreign)('%s changes nothing, whatever it sends', async (_name, headers) => {
    for (const http of [laptop, named, production, productionNamed]) {
      for (const start of changes) {
        for (const type of ['text/plain', 'application/json']) {
          const { status, error } = await ask(http, start, ['Host: localhost', ...headers, `Content-Type: ${type}`], rows)
          expect([start, status, error['code']]).toEqual([start, 403, 'forbidden'])
          expect(error['hint']).toContain('FABRA_HOSTS')
        }
      }
    }
    expect((await laptop.get('/v1/features/score?entity_id=page')).json.status).toBe('missing')
  })

  test('is one of ours when its host is ours; the port does not count', async () => {
    const json = 'Content-Type: application/json'
    for (const [http, host, origin] of [
      [laptop, 'localhost:8000', 'http://localhost:3000'],
      [laptop, '127.0.0.1:8000', 'http://localhost:5173'],
      [named, 'localhost', 'https://features.example'],
      [production, 'features.example', 'https://features.example'],
      [productionNamed, '127.0.0.1', 'https://features.example:8443'],
    ] as const)
      expect([origin, (await ask(http, PUSH, [`Host: ${host}`, `Origin: ${origin}`, json], rows)).status]).toEqual([origin, 200])
    expect((await ask(production, PUSH, ['Host: features.example', 'Origin: http://localhost', json], rows)).status).toBe(403)
  })

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'text/csv',
    'application/vnd.apache.parquet',
    'application/vnd.apache.arrow.file',
    'application/x-ndjson',
  ])('may send %s where it is ours', async (type) => {
    const { status } = await ask(laptop, PUSH, ['Host: localhost', 'Origin: http://localhost', `Content-Type: ${type}`], rows)
    expect(status).toBe(200)
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
    '',
    'image/png',
  ])('may not send "%s", which any page may send without asking', async (type) => {
    for (const sign of ['Origin: http://localhost', 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: none']) {
      const { status, error } = await ask(laptop, PUSH, ['Host: localhost', sign, `Content-Type: ${type}`], rows)
      expect([status, error['code']]).toEqual([415, 'unsupported_type'])
    }
  })

  test('is no curl, whose bodies are read whatever their type', async () => {
    for (const headers of [[], ['Content-Type: application/x-www-form-urlencoded'], ['Content-Type: text/plain']])
      expect((await ask(laptop, PUSH, ['Host: localhost', ...headers], rows)).status).toBe(200)
  })

  test('of ours may send no body at all', async () => {
    expect((await ask(laptop, 'POST /v1/features/count/refresh', ['Host: localhost', 'Origin: http://localhost'])).status).toBe(200)
    expect((await ask(laptop, 'DELETE /v1/entities/User/page', ['Host: localhost', 'Origin: http://localhost'])).status).toBe(200)
  })
})

describe('the probes of', () => {
  const probes: [platform: string, request: string][] = [
    [
      'Fly',
      'GET /ready HTTP/1.1\r\nHost: 172.19.5.2:8000\r\nUser-Agent: Consul Health Check\r\nAccept: text/plain, text/*, */*\r\nConnection: close\r\n\r\n',
    ],
    ['Fly over IPv6', 'GET /ready HTTP/1.1\r\nHost: [fdaa:0:1::3]:8000\r\nConnection: close\r\n\r\n'],
    ['Cloud Run', 'GET /ready HTTP/1.1\r\nHost: 169.254.1.1:8080\r\nUser-Agent: GoogleHC/1.0\r\nConnection: close\r\n\r\n'],
    [
      'ECS',
      'GET /ready HTTP/1.1\r\nHost: 10.0.12.7:8000\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n',
    ],
    ['Render', 'GET /ready HTTP/1.1\r\nHost: features.onrender.com\r\nUser-Agent: Render/1.0\r\nConnection: close\r\n\r\n'],
    ['Railway', 'GET /ready HTTP/1.1\r\nHost: healthcheck.railway.app\r\nConnection: close\r\n\r\n'],
    ['compose', 'GET /health HTTP/1.1\r\nHost: fabra:8000\r\nConnection: close\r\n\r\n'],
    ['an image', 'GET /health HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: Bun/1.4.5\r\nConnection: close\r\n\r\n'],
    ['HAProxy', 'HEAD /ready HTTP/1.0\r\n\r\n'],
    ['a load balancer without a Host', 'GET /ready HTTP/1.0\r\n\r\n'],
    ['a load balancer with an empty Host', 'GET /ready HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n'],
    [
      'a monitor in a browser',
      'GET /health HTTP/1.1\r\nHost: status.example\r\nOrigin: https://status.example\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n',
    ],
  ]
  test.each(probes)('%s are answered, with and without keys and FABRA_HOSTS', async (_platform, request) => {
    for (const http of [laptop, named, production, productionNamed])
      expect((await rawRequest(http.server.port, request)).statuses).toEqual([200])
  })
})

describe('GET /ready', () => {
  const ready = async (http: HttpBench, headers: Record<string, string> = {}) => {
    const { status, json } = await http.get('/ready', headers)
    return [status, json]
  }
  test('tells which stores there are in development and to holders of keys', async () => {
    const all = { status: 'ready', stores: { postgres: 'ok', redis: 'ok' } }
    expect(await ready(laptop)).toEqual([200, all])
    expect(await ready(production)).toEqual([200, { status: 'ready' }])
    expect(await ready(production, { 'x-api-key': 'fab_wrong' })).toEqual([200, { status: 'ready' }])
    expect(await ready(production, { 'x-api-key': 'fab_all' })).toEqual([200, all])
    expect(await ready(production, { authorization: 'Bearer fab_all' })).toEqual([200, all])
  })

  test('goes on with a sick store, and says so; it does not before the definitions are there, nor at the end', async () => {
    stores = { ready: true, stores: { postgres: 'ok', redis: 'refuses writes' } }
    expect(await ready(production)).toEqual([200, { status: 'degraded' }])
    expect(await ready(laptop)).toEqual([200, { status: 'degraded', ...{ stores: stores.stores } }])
    stores = { ready: false, stores: { postgres: 'ok', redis: 'refuses writes' } }
    expect(await ready(production)).toEqual([503, { status: 'not_ready' }])
    stores = { ready: true, stores: { postgres: 'ok', redis: 'ok' } }
    expect(await ready(production)).toEqual([200, { status: 'ready' }])
  })
})
