/** Pages of origins in FABRA_ORIGINS ask from a browser: they read every answer, an error too, and change things; pages of no other origin do. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { createKeyring, type Keyring } from '../../src/auth/keyring.ts'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'

const FEATURES = { count: { type: 'int' as const }, score: { kind: 'pushed' as const, type: 'float' as const } }
const ORIGINS = ['https://app.example.com', 'http://localhost:5173']
const FOREIGN = [
  'https://evil.example',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com.evil.example',
  'https://www.app.example.com',
  'https://app.example.com/',
  'http://localhost:3000',
  'null',
  '*',
]
const PUSH = JSON.stringify({ rows: [{ user_id: 'page', value: 1 }] })
const hash = createHash('sha256').update('fab_page').digest('hex')

let keyring: Keyring
let open: HttpBench
let keyed: HttpBench
let closed: HttpBench
beforeAll(async () => {
  keyring = await createKeyring({ configured: [{ hash, scopes: ['read', 'write'] }], store: null, onProblem() {} })
  open = await openHttpBench({ features: FEATURES }, null, { origins: ORIGINS })
  keyed = await openHttpBench({ features: FEATURES }, keyring, { origins: ORIGINS, key: 'fab_page', isDevelopment: false })
  closed = await openHttpBench({ features: FEATURES }, null)
})
afterAll(async () => {
  for (const http of [open, keyed, closed]) await http.close()
  keyring.close()
})

const KEY = { 'x-api-key': 'fab_page' }
const cors = (headers: Headers) => [...headers].filter(([name]) => name.startsWith('access-control-')).map(([name]) => name)
const preflight = (http: HttpBench, path: string, headers: Record<string, string>) =>
  fetch(`${http.server.url}${path}`, { method: 'OPTIONS', headers })
const ASKS = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' }

test('an allowed page reads answers and errors, is answered without a key when its browser asks first, and pushes', async () => {
  for (const origin of ORIGINS) {
    for (const http of [open, keyed]) {
      const key: Record<string, string> = http === keyed ? KEY : {}
      const asked = await preflight(http, '/v1/features', { origin, ...ASKS })
      expect([asked.status, await asked.text(), asked.headers.get('access-control-allow-origin')]).toEqual([204, '', origin])
      expect(asked.headers.get('access-control-allow-methods')).toContain('DELETE')
      for (const name of ['Authorization', 'Content-Type', 'Idempotency-Key', 'X-API-Key'])
        expect(asked.headers.get('access-control-allow-headers')).toContain(name)
      expect(asked.headers.get('vary')).toContain('Origin')

      const json = { 'content-type': 'application/json', origin, 'sec-fetch-site': 'cross-site' }
      const answers = [
        await http.get('/v1/features/count?entity_id=u1', { ...key, origin }),
        await http.get('/health', { origin }),
        await http.get('/v1/features/nope?entity_id=u1', { ...key, origin }),
        await http.get('/v1/nowhere', { origin }),
        await http.send('/v1/features/score/values', { method: 'POST', headers: { ...key, ...json }, body: PUSH }),
        await http.send('/v1/features/score/values', {
          method: 'POST',
          headers: { ...key, ...json, 'content-type': 'text/plain' },
          body: PUSH,
        }),
        await http.get('/v1/features', { 'x-api-key': 'wrong', origin }),
      ]
      const statuses = http === keyed ? [200, 200, 404, 401, 200, 415, 401] : [200, 200, 404, 404, 200, 415, 200]
      expect(answers.map(({ status }) => status)).toEqual(statuses)
      for (const { headers } of answers) {
        expect([headers.get('access-control-allow-origin'), headers.get('vary')]).toEqual([origin, expect.stringContaining('Origin')])
        expect(headers.get('access-control-expose-headers')).toContain('Retry-After')
        // Cookies, and whatever else a browser keeps for us, stay at home.
        expect(headers.has('access-control-allow-credentials')).toBe(false)
      }
    }
  }
})

test('a page of any other origin, or of none, reads nothing and changes nothing', async () => {
  for (const origin of FOREIGN) {
    for (const http of [open, keyed]) {
      const key: Record<string, string> = http === keyed ? KEY : {}
      const json = { 'content-type': 'application/json', origin }
      const asked = await preflight(http, '/v1/features', { origin, ...ASKS })
      const read = await http.get('/v1/features/count?entity_id=u1', { ...key, origin })
      const pushed = await http.send('/v1/features/score/values', { method: 'POST', headers: { ...key, ...json }, body: PUSH })
      expect([origin, asked.status >= 400, cors(asked.headers), cors(read.headers), cors(pushed.headers)]).toEqual([
        origin,
        true,
        [],
        [],
        [],
      ])
      // Without a key a page of this very machine, on whatever port, counts as ours: it may send, and reads no answer.
      if (origin !== 'http://localhost:3000' || http === keyed) expect([origin, pushed.status]).toEqual([origin, 403])
      expect(read.headers.get('vary')).toContain('Origin')
    }
  }
})

test('who is no page is answered as ever; without FABRA_ORIGINS nobody is let in', async () => {
  const plain = await open.get('/v1/features/count?entity_id=u1')
  expect([plain.status, cors(plain.headers), plain.headers.get('vary')]).toEqual([200, [], 'Origin'])
  // Of an allowed origin, but no question of a browser.
  expect((await preflight(open, '/v1/features', { origin: ORIGINS[0] ?? '' })).status).toBe(405)
  // Whose name leads here (DNS rebinding) is not answered, whatever its pages say of themselves.
  const rebound = await open.raw(
    `OPTIONS /v1/features HTTP/1.1\r\nHost: evil.example\r\nOrigin: ${ORIGINS[0]}\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n`,
  )
  expect(rebound).toStartWith('HTTP/1.1 403')
  for (const origin of [...ORIGINS, ...FOREIGN]) {
    const read = await closed.get('/v1/features/count?entity_id=u1', { origin })
    const asked = await preflight(closed, '/v1/features', { origin, ...ASKS })
    expect([origin, cors(read.headers), cors(asked.headers), read.headers.get('vary')]).toEqual([origin, [], [], null])
  }
})
