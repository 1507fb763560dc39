/**
 * Every route × every kind of key × request lines and headers that no client would write, over raw sockets. What may not be let in must not reach
 * anything that a route could tell of, whatever the answer.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { createKeyring, type Keyring } from '../../src/auth/keyring.ts'
import { createDoor } from '../../src/http/door.ts'
import { createHostRule } from '../../src/http/hosts.ts'
import { createHttpApp } from '../../src/http/http-app.ts'
import type { Route } from '../../src/http/route.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import type { Scope } from '../../src/store/ports/admin-store.ts'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'
import { rawRequest } from '../support/raw-http.ts'

const SCOPES: readonly Scope[] = ['read', 'train', 'write', 'admin']
const KEYS: readonly (Scope | 'wrong' | null)[] = [null, 'wrong', ...SCOPES]
const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')

let http: HttpBench
let keyring: Keyring
beforeAll(async () => {
  const configured = SCOPES.map((scope) => ({ hash: sha256(`fab_${scope}`), scopes: [scope] }))
  keyring = await createKeyring({ configured, store: null, onProblem() {} })
  const features = { count: { type: 'int' as const }, score: { kind: 'pushed' as const, type: 'float' as const } }
  http = await openHttpBench({ features }, keyring, { key: 'fab_read', isDevelopment: false })
})
afterAll(async () => {
  keyring.close()
  await http.close()
})

interface Written {
  readonly method: string
  readonly target: string
  readonly version: string
  /** Lines of headers as they stand. */
  readonly headers: readonly string[]
  readonly body: string
}

type Variant = readonly [name: string, write: (request: Written) => Partial<Written> | string]

const host = (...texts: readonly string[]): ((request: Written) => Partial<Written>) => {
  return ({ headers }) => ({ headers: [...texts.map((text) => `Host: ${text}`), ...headers.slice(1)] })
}
const more = (...lines: readonly string[]): ((request: Written) => Partial<Written>) => {
  return ({ headers }) => ({ headers: [...headers, ...lines] })
}

/** Odd, but as good as the plain request. */
const FINE: readonly Variant[] = [
  ['as everybody writes it', () => ({})],
  ['an absolute form', ({ target }) => ({ target: `http://localhost${target}` })],
  ['an absolute form with a foreign authority', ({ target }) => ({ target: `http://evil.example${target}` })],
  ['an absolute form with another scheme', ({ target }) => ({ target: `https://user:pass@evil.example:1${target}` })],
  ['HTTP/1.0', () => ({ version: 'HTTP/1.0' })],
  ['a Host in capitals', host('LOCALHOST')],
  ['a Host with a port and a dot', host('localhost.:8000')],
  ['a Host with an empty port', host('localhost:')],
  ['a Host that is an address', host('10.1.2.3:8000')],
  ['a Host of IPv6', host('[2001:db8::1]:8000')],
  ['a Host of compose', host('my_features:8000')],
  ['a header hOsT', ({ headers }) => ({ headers: ['hOsT:localhost', ...headers.slice(1)] })],
  [
    'headers of proxies',
    more('X-Original-URL: /health', 'X-Rewrite-URL: /health', 'X-Forwarded-Host: evil.example', 'X-Forwarded-Prefix: /..'),
  ],
  ['another method in a header', more('X-HTTP-Method-Override: OPTIONS', 'X-Method-Override: HEAD')],
  ['an upgrade', more('Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')],
]
/** Without exactly one well-formed Host. */
const NO_HOST: readonly Variant[] = [
  ['no Host in HTTP/1.0', ({ headers }) => ({ version: 'HTTP/1.0', headers: headers.slice(1) })],
  ['no Host in HTTP/1.1', ({ headers }) => ({ headers: headers.slice(1) })],
  [
    'no Host beside an absolute form',
    ({ target, headers }) => ({ version: 'HTTP/1.0', target: `http://localhost${target}`, headers: headers.slice(1) }),
  ],
  ['two Hosts', host('localhost', 'evil.example')],
  ['the same Host twice', host('localhost', 'localhost')],
  ['two Hosts, the first empty', host('', 'localhost')],
  ['two Hosts, the second empty', host('localhost', '')],
  [
    'two Hosts far apart',
    ({ headers }) => ({ headers: [...headers, ...Array.from({ length: 60 }, (_, i) => `X-${i}: a`), 'Host: localhost'] }),
  ],
  ...[
    '',
    ' ',
    'x?',
    'x#',
    'a b',
    'a\tb',
    'u:p@x',
    'localhost/',
    'localhost/health',
    'localhost\\x',
    'a,b',
    'a;b',
    'a..b',
    '.a',
    '..',
    '%6cocalhost',
    '*',
    '\xe9',
    '256.0.0.1',
    '1.2.3.4.5',
    '0x1g.0x7f',
    'a:b',
    'localhost:99999',
    'localhost:8000:8000',
    ':8000',
    '[::1',
    '::1',
    '[::1]x',
    '[fe80::1%25eth0]',
    '[1:2:3]',
    'http://localhost',
    'a'.repeat(300),
  ].map((text): Variant => [`Host: ${JSON.stringify(text.slice(0, 30))}`, host(text)]),
]
/** What no server may take for a request. */
const BROKEN: readonly Variant[] = [
  ['HTTP/2.0', () => ({ version: 'HTTP/2.0' })],
  ['HTTP/0.9', ({ method, target }) => `${method} ${target}\r\n\r\n`],
  ['two blanks', ({ target }) => ({ target: ` ${target}` })],
  ['lines without a return', (request) => text(request).replaceAll('\r\n', '\n')],
  ['a folded header', more('X-A: b\r\n c')],
  ['a blank before the colon', more('X-A : b')],
  ['a header without a colon', more('nonsense')],
  ['a NUL in a header', more('X-A: \0')],
  ['a bare return in a header', more('X-A: a\rHost: b')],
  ['Content-Length and Transfer-Encoding', more('Content-Length: 4', 'Transfer-Encoding: chunked')],
  ['two lengths', more('Content-Length: 4', 'Content-Length: 5')],
  ['an encoding that there is not', more('Transfer-Encoding: xchunked')],
  ['two encodings', more('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')],
  ['a negative length', more('Content-Length: -1')],
  ['an asterisk', () => ({ target: '*' })],
  ['a target without a slash', ({ target }) => ({ target: target.slice(1) })],
  ['a target with backslashes', ({ target }) => ({ target: target.replaceAll('/', '\\') })],
]
/** Ways around a rule that reads the address once more, and methods that routes do not have. */
const ODD: readonly Variant[] = [
  ['//', ({ target }) => ({ target: `/${target}` })],
  ['/./', ({ target }) => ({ target: `/.${target}` })],
  ['/%2e/', ({ target }) => ({ target: `/%2e${target}` })],
  ['/health/..', ({ target }) => ({ target: `/health/..${target}` })],
  ['/health/%2e%2e', ({ target }) => ({ target: `/health/%2e%2e${target}` })],
  ['/health/..;', ({ target }) => ({ target: `/health/..;${target}` })],
  ['/docs/%2e%2e%2f', ({ target }) => ({ target: `/docs/%2e%2e%2f${target.slice(1)}` })],
  ['capitals', ({ target }) => ({ target: target.toUpperCase() })],
  ['an encoded letter', ({ target }) => ({ target: `/%${target.charCodeAt(1).toString(16)}${target.slice(2)}` })],
  ['an encoded slash', ({ target }) => ({ target: `/${target.slice(1).replace('/', '%2f')}` })],
  ['a backslash', ({ target }) => ({ target: `/${target.slice(1).replace('/', '\\')}` })],
  ['a slash at the end', ({ target }) => ({ target: target.replace(/(\?|$)/, '/$1') })],
  ['#/health', ({ target }) => ({ target: `${target}#/health` })],
  [';/health', ({ target }) => ({ target: `${target};/health` })],
  ['%00', ({ target }) => ({ target: `${target}%00` })],
  ['%23/health', ({ target }) => ({ target: `${target}%23/health` })],
  ['an absolute form without a path', ({ target }) => ({ target: `http://localhost?${target}` })],
  ...['HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'CONNECT', 'PROPFIND', 'get', 'FOO'].map(
    (method): Variant => [method, () => ({ method })],
  ),
]

function text({ method, target, version, headers, body }: Written): string {
  return `${method} ${target} ${version}\r\n${headers.join('\r\n')}\r\n\r\n${body}`
}

function bytesOf({ method, path }: Route, key: Scope | 'wrong' | null, [, write]: Variant): string {
  const target = path.replace(':entity', 'User').replace(':file', 'start.js').replaceAll(/:\w+/g, 'count')
  const body = method === 'POST' ? '{"rows":[]}' : ''
  const request: Written = {
    method,
    target: path === '/v1/features/:name' ? `${target}?entity_id=u1` : target,
    version: 'HTTP/1.1',
    headers: [
      'Host: localhost',
      'Connection: close',
      ...(key === null ? [] : [`X-API-Key: fab_${key}`]),
      ...(body === '' ? [] : [`Content-Length: ${body.length}`]),
    ],
    body,
  }
  const written = write(request)
  return typeof written === 'string' ? written : text({ ...request, ...written })
}

/** Whether the key may do anything at all at the path, by whatever method. */
function mayEnter(route: Route, key: Scope | 'wrong' | null): boolean {
  return http.table.some(({ path, scope }) => path === route.path && (scope === 'open' || scope === key))
}

/** Asked again while one is made, they say so. */
const ONE_AT_A_TIME = new Set(['/v1/backup', '/v1/history'])

describe('every route, with every key', () => {
  let count = 0
  const ask = async (
    route: Route,
    key: Scope | 'wrong' | null,
    variants: readonly Variant[],
    check: (status: number | undefined) => boolean,
  ) => {
    const before = http.useCount()
    const wrong: unknown[] = []
    await Promise.all(
      variants.map(async (variant) => {
        count++
        // Events go on for as long as somebody listens.
        const options = route.path === '/v1/events' ? { answers: 1 } : {}
        const { statuses } = await rawRequest(http.server.port, bytesOf(route, key, variant), options)
        if (statuses.length > 1 || !check(statuses[0])) wrong.push([`${route.method} ${route.path}`, key, variant[0], statuses])
      }),
    )
    expect(wrong).toEqual([])
    return http.useCount() - before
  }

  test('lets in who has its scope, and nobody else, however the request is written', async () => {
    expect(http.table.length).toBeGreaterThan(18)
    for (const route of http.table) {
      for (const key of KEYS) {
        const isOpen = route.scope === 'open'
        const isIn = isOpen || route.scope === key
        const asked = await ask(route, key, FINE, (status) => {
          if (isIn) return status !== undefined && ![400, 401, 403].includes(status)
          return status === (key === null || key === 'wrong' ? 401 : 403)
        })
        if (!isIn) expect([route.path, key, asked]).toEqual([route.path, key, 0])
      }
    }
  }, 180_000)

  test('refuses requests without one well-formed Host before anything else, but answers probes', async () => {
    for (const route of http.table) {
      for (const key of KEYS) {
        const asked = await ask(route, key, NO_HOST, (status) => status === 400 || (route.anyHost === true && status === 200))
        if (!route.anyHost) expect([route.path, key, asked]).toEqual([route.path, key, 0])
      }
    }
  }, 180_000)

  test('never takes a broken request for one', async () => {
    for (const route of http.table) {
      for (const key of KEYS)
        expect(await ask(route, key, BROKEN, (status) => status === undefined || status === 400 || status === 505)).toBe(0)
    }
  }, 180_000)

  test('is not reached by another way of writing its address, nor by another method', async () => {
    for (const route of http.table) {
      for (const key of KEYS) {
        const asked = await ask(
          route,
          key,
          ODD,
          (status) =>
            status === undefined || status < 500 || (status === 503 && (route.further !== undefined || ONE_AT_A_TIME.has(route.path))),
        )
        if (!mayEnter(route, key)) expect([route.path, key, asked]).toEqual([route.path, key, 0])
      }
    }
    console.info(`${count} combinations of route, key and request`)
  }, 180_000)
})

test('a server that drains, where Bun finds no routes any more, has the same door', async () => {
  const app = createHttpApp(http.options, createHostRule({ named: [], bound: '127.0.0.1', asksForKeys: true }))
  for (const route of http.table) {
    for (const key of KEYS) {
      const path = route.path.replace(':entity', 'User').replaceAll(/:\w+/g, 'count')
      const ask = async (headers: Record<string, string>) => {
        const body = route.method === 'POST' ? { body: '{"rows":[]}' } : {}
        const keyed = key === null ? headers : { ...headers, 'x-api-key': `fab_${key}` }
        return (await app.fetch(new Request(`http://localhost${path}`, { method: route.method, headers: keyed, ...body }))).status
      }
      expect([path, key, await ask({})]).toEqual([path, key, route.anyHost ? 200 : 400])
      const status = await ask({ host: 'localhost' })
      if (route.scope === 'open' || route.scope === key) expect([400, 401, 403]).not.toContain(status)
      else expect([path, key, status]).toEqual([path, key, key === null || key === 'wrong' ? 401 : 403])
    }
  }
})

test('a route that declares no scope lets nobody in', async () => {
  const answer = () => new Response('told')
  // As code without types would write it: with types it does not compile.
  const route = JSON.parse('{"method":"GET","path":"/new"}') as Route
  const enter = createDoor({ keyring, rateLimits: null, shedder: null, hosts: null, log: silentLogger, observer: null })({
    ...route,
    answer,
  })
  for (const key of ['', 'fab_read', 'fab_train', 'fab_write', 'fab_admin']) {
    const response = await enter(new Request('http://localhost/new', { headers: { 'x-api-key': key } }), {}, null)
    expect([key, response.status]).toEqual([key, key === '' ? 401 : 403])
  }
})
