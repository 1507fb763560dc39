import { afterAll, beforeAll, describe, expect, spyOn, test } from 'bun:test'
import { createHash, randomUUID } from 'node:crypto'
import { createKeyring, type Keyring } from '../../src/auth/keyring.ts'
import { FabraError } from '../../src/errors.ts'
import type { ApiKey, Scope } from '../../src/store/ports/admin-store.ts'
import { type HttpBench, openHttpBench } from '../support/http-bench.ts'

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex')
const kept: ApiKey[] = []
let storeFails = false
let asked = 0
let http: HttpBench
let keyring: Keyring

const keep = (key: string, scopes: readonly Scope[]) =>
  kept.push({
    id: randomUUID(),
    name: 'test',
    hash: sha256(key),
    scopes,
    allowed: null,
    rate: null,
    createdAt: 0,
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  })

beforeAll(async () => {
  keep('fab_made', ['read'])
  const store = {
    async apiKeys() {
      asked++
      if (storeFails) throw new FabraError('store_unavailable', 'The database is down.')
      return [...kept]
    },
  }
  const configured = [
    { hash: sha256('fab_reader'), scopes: ['read' as const] },
    { hash: sha256('fab_writer'), scopes: ['write' as const] },
    { hash: sha256('fab_owner'), scopes: ['read' as const, 'write' as const, 'admin' as const] },
  ]
  keyring = await createKeyring({ configured, store, onProblem() {} })
  http = await openHttpBench({ features: { score: { kind: 'pushed', type: 'float', refresh: '1m' } } }, keyring, { key: 'fab_reader' })
})
afterAll(async () => {
  keyring.close()
  await http.close()
})

const get = async (headers: Record<string, string>) => (await http.get('/v1/features/score?entity_id=u1', headers)).status

describe('an API key', () => {
  test('is asked for on every route but those that hold no data', async () => {
    const open = ['/health', '/ready', '/docs']
    const document = (await http.get('/openapi.json', { 'x-api-key': 'fab_reader' })).json
    for (const [pattern, methods] of Object.entries(document.paths as Record<string, Record<string, unknown>>)) {
      const path = pattern.replaceAll(/\{\w+\}/g, 'x')
      for (const method of Object.keys(methods)) {
        const answer = await http.send(path, { method: method.toUpperCase() })
        expect([path, method, answer.status]).toEqual([path, method, open.includes(path) ? 200 : 401])
      }
    }
  })

  test('is asked for even where nothing is, so that nobody learns what there is', async () => {
    for (const [method, path] of [
      ['GET', '/nowhere'],
      ['GET', '/'],
      ['PUT', '/v1/features'],
      ['OPTIONS', '/v1/features/score'],
      ['POST', '/health'],
      ['DELETE', '/docs'],
    ] as const) {
      expect([path, (await http.send(path, { method })).status]).toEqual([path, 401])
      const known = (await http.send(path, { method, headers: { 'x-api-key': 'fab_writer' } })).status
      expect([path, known]).toEqual([path, path === '/nowhere' || path === '/' ? 404 : 405])
    }
  })

  test('is taken as Bearer or as X-API-Key', async () => {
    expect(await get({ authorization: 'Bearer fab_reader' })).toBe(200)
    expect(await get({ authorization: 'bearer  fab_reader' })).toBe(200)
    expect(await get({ 'x-api-key': 'fab_reader' })).toBe(200)
  })

  test.each<Record<string, string>>([
    { authorization: 'Bearer fab_reade' },
    { authorization: 'Basic fab_reader' },
    { authorization: 'fab_reader' },
    { authorization: `Bearer ${sha256('fab_reader')}` },
    { 'x-api-key': '' },
    { 'x-api-key': 'FAB_READER' },
  ])('that is wrong is refused (%p)', async (headers) => {
    const answer = await http.get('/v1/features', headers)
    expect(answer.status).toBe(401)
    expect(answer.json.error.code).toBe('unauthorized')
    expect(answer.json.error.hint).toContain('fabra keys create')
    expect(answer.headers.get('www-authenticate')).toContain('Bearer')
  })

  test.each([
    ['fab_reader', 'POST', '/v1/features/score/values', 403],
    ['fab_reader', 'POST', '/v1/features/score/refresh', 403],
    ['fab_reader', 'DELETE', '/v1/entities/User/u1', 403],
    ['fab_writer', 'DELETE', '/v1/entities/User/u1', 403],
    ['fab_writer', 'GET', '/v1/features', 403],
    ['fab_writer', 'POST', '/v1/features', 403],
    ['fab_owner', 'DELETE', '/v1/entities/User/u1', 200],
    ['fab_owner', 'GET', '/v1/features', 200],
  ])('%s: %s %s → %i', async (key, method, path, status) => {
    const answer = await http.send(path, { method, headers: { 'x-api-key': key } })
    expect(answer.status).toBe(status)
    if (status === 403) expect(answer.json.error.code).toBe('forbidden')
  })

  test.each(['/%761/features', '//v1/features', '/V1/features', '/health/../v1/features', '/./v1/features', '/v1%2ffeatures'])(
    '%s is no way around it',
    async (path) => {
      expect(await http.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatch(/^HTTP\/1.1 40[014]/)
    },
  )

  test('made while the server runs works at once, and the store is not asked for every unknown one', async () => {
    keep('fab_later', ['read'])
    expect(await get({ 'x-api-key': 'fab_later' })).toBe(200)
    const before = asked
    const guesses = await Promise.all(Array.from({ length: 50 }, (_, i) => get({ 'x-api-key': `fab_guess${i}` })))
    expect(new Set(guesses)).toEqual(new Set([401]))
    expect(asked - before).toBeLessThanOrEqual(3)
  })

  test('goes on being good while the store is down', async () => {
    storeFails = true
    expect(await get({ 'x-api-key': 'fab_unknown' })).toBe(401)
    expect(await get({ 'x-api-key': 'fab_made' })).toBe(200)
    storeFails = false
  })

  test('that was used is told to the store, at most once a minute for all of them', async () => {
    const noted: (readonly string[])[] = []
    let tick: () => void = () => undefined
    const interval = spyOn(globalThis, 'setInterval').mockImplementation(((work: () => void) => {
      tick = work
      return { unref() {} }
    }) as never)
    const store = { apiKeys: async () => [...kept], useApiKeys: async (ids: readonly string[]) => void noted.push(ids) }
    const own = await createKeyring({ configured: [], store, onProblem() {} })
    interval.mockRestore()
    tick()
    expect(noted).toEqual([])
    for (let i = 0; i < 100; i++) await own.holderOf('fab_made')
    tick()
    await own.holderOf('fab_made')
    tick()
    expect(noted).toEqual([[sha256('fab_made').slice(0, 12)]])
  })

  test('that ends is refused from then on, to the microsecond', async () => {
    let now = 41
    const configured = [{ hash: sha256('fab_short'), scopes: ['read' as const], expiresAt: 42 }]
    const own = await createKeyring({ configured, store: null, onProblem() {}, now: () => now })
    expect(await own.holderOf('fab_short')).toBeDefined()
    now = 42
    expect(await own.holderOf('fab_short')).toBeUndefined()
  })

  test('that was revoked is refused from the next reading on', async () => {
    const [first] = kept
    if (first) kept[0] = { ...first, revokedAt: 1 }
    expect(await get({ 'x-api-key': 'fab_unknown' })).toBe(401)
    expect(await get({ 'x-api-key': 'fab_made' })).toBe(401)
  })
})
