/** Requests that cannot be answered: the right status, one code, a message and a hint, and the server goes on. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { type RunningFabra, startFabra } from '../support/binary.ts'
import { EVENTS, HEAD, type ProjectFolder, projectFolder } from '../support/project-folder.ts'

const FEATURES = `${HEAD}
export const Account = entity('Account', { key: { account_id: 'int' } })
export const Pair = entity('Pair', { key: ['user_id', 'merchant_id'] })
export const visits = feature({ entity: User, refresh: '5m', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const echo = feature({ entity: User, refresh: 0, type: 'string' }, (key) => key)
export const account = feature({ entity: Account, refresh: 0, type: 'json' }, (key) => String(key))
export const pair = feature({ entity: Pair, refresh: '5m', type: 'json' }, (key) => key)
export const ratio = feature({ entity: User, refresh: 0, type: 'float', inputs: { amount: 'float' } }, (key, { inputs }) => inputs.amount)
export const spend = feature({ entity: User, refresh: 0, columns: { total: 'float', average: 'float' } }, () => ({ total: 3, average: 1 }))
export const score = feature({ entity: User, type: 'float', max_staleness: '7d' })
export const basics = featureSet('basics', [visits, echo])
`

let project: ProjectFolder
let server: RunningFabra
beforeAll(async () => {
  project = projectFolder({ 'features.ts': FEATURES, 'events.csv': EVENTS })
  server = await startFabra({ cwd: project.path, file: 'features.ts' })
})
afterAll(async () => {
  await server.stop()
  project[Symbol.dispose]()
})
afterEach(async () => {
  const response = await fetch(`${server.url}/v1/features/visits?entity_id=u1`)
  expect(await response.json()).toMatchObject({ value: 2, status: 'fresh' })
})

async function expectError(response: Response, status: number, code: string, says: string): Promise<void> {
  const body = (await response.json()) as { error: Record<string, string> }
  expect({ status: response.status, code: body.error['code'] }).toEqual({ status, code })
  expect(`${body.error['message']} ${body.error['hint']}`).toContain(says)
  expect(body.error['request_id']).toBeString()
  expect(Object.keys(body)).toEqual(['error'])
}

const gets: [path: string, status: number, code: string, says: string][] = [
  ['/v1/features/visit?entity_id=u1', 404, 'unknown_feature', 'Did you mean "visits"?'],
  ['/v1/features/__proto__?entity_id=u1', 404, 'unknown_feature', '__proto__'],
  ['/v1/features/spend.totl?entity_id=u1', 404, 'unknown_feature', 'Did you mean "spend.total"?'],
  ['/v1/features/visits.a?entity_id=u1', 404, 'unknown_feature', 'single value'],
  ['/v1/entities/Usr/u1', 404, 'unknown_entity', 'Did you mean "User"?'],
  ['/v1/features/visits', 422, 'invalid_key', 'entity_id'],
  ['/v1/features/visits?entity_id=', 422, 'invalid_key', 'user_id'],
  ['/v1/features/visits?entity_id=u1&entity_id=u2', 422, 'invalid_key', 'twice'],
  ['/v1/features/visits?usr_id=u1', 422, 'invalid_key', 'user_id'],
  ['/v1/features/visits?entity_id=u1&merchant_id=m', 422, 'invalid_key', 'merchant_id'],
  ['/v1/features/pair?user_id=u1', 422, 'invalid_key', 'merchant_id'],
  ['/v1/features/pair?entity_id=u1', 422, 'invalid_key', 'merchant_id'],
  ['/v1/features/account?entity_id=abc', 422, 'invalid_key', '"abc" is not an int'],
  ['/v1/features/account?entity_id=1.5', 422, 'invalid_key', 'not an int'],
  ['/v1/features/account?entity_id=99999999999999999999', 422, 'invalid_key', '64 bits'],
  [`/v1/features/echo?entity_id=${'k'.repeat(10_240)}`, 422, 'invalid_key', '10240 bytes'],
  ['/v1/features/echo?entity_id=%00', 422, 'invalid_key', 'NUL'],
  ['/v1/features/visits?entity_id=u1&max_age=soon', 422, 'invalid_input', 'max_age'],
  ['/v1/features/ratio?entity_id=u1', 422, 'invalid_input', 'amount'],
  ['/v1/features/ratio?entity_id=u1&amount=x', 422, 'invalid_input', 'amount'],
  ['/v1/features/ratio?entity_id=u1&amount=NaN', 422, 'invalid_input', 'amount'],
  ['/v1/features/ratio?entity_id=u1&amount=1e400', 422, 'invalid_input', 'is declared as float'],
  ['/v1/features/visits/history?entity_id=u1&from=2026-01-01T00:00:00', 422, 'invalid_time', 'zone'],
  ['/v1/runs?limit=many', 422, 'invalid_input', 'limit'],
  ['/nowhere', 404, 'not_found', '/openapi.json'],
]
describe('GET', () => {
  for (const [path, status, code, says] of gets) {
    test(`${path.slice(0, 70)} is ${status} ${code}`, async () => {
      await expectError(await fetch(`${server.url}${path}`), status, code, says)
    })
  }
})

const row = { user_id: 'u1' }
const posts: [name: string, body: unknown, status: number, code: string, says: string][] = [
  ['nothing', '', 422, 'invalid_body', 'empty'],
  ['no JSON', '{bad', 422, 'invalid_body', 'not JSON'],
  ['a list', [], 422, 'invalid_body', 'not a JSON object'],
  ['null', 'null', 422, 'invalid_body', 'not a JSON object'],
  ['an unknown field', { features: ['visits'], rows: [row], colour: 1 }, 422, 'invalid_body', 'colour'],
  ['no features', { rows: [row] }, 422, 'invalid_body', 'features'],
  ['an empty list of features', { features: [], rows: [row] }, 422, 'invalid_body', 'features'],
  ['features and a feature set', { features: ['visits'], feature_set: 'basics', rows: [row] }, 422, 'invalid_body', 'feature_set'],
  ['rows that are no list', { features: ['visits'], rows: row }, 422, 'invalid_body', 'rows'],
  ['a row that is no object', { features: ['visits'], rows: [row, 5] }, 422, 'invalid_body', 'Row 1'],
  ['a row without its key', { features: ['visits'], rows: [row, {}] }, 422, 'invalid_key', 'Row 1'],
  ['a row with a misspelt key', { features: ['visits'], rows: [{ usr_id: 'u1' }] }, 422, 'invalid_key', 'Did you mean "user_id"?'],
  ['a row with a column too many', { features: ['visits'], rows: [{ ...row, more: 1 }] }, 422, 'invalid_key', 'more'],
  ['a null key', { features: ['visits'], rows: [{ user_id: null }] }, 422, 'invalid_key', 'user_id'],
  ['a key that is an object', { features: ['visits'], rows: [{ user_id: {} }] }, 422, 'invalid_key', 'user_id'],
  ['a fraction for an int key', { features: ['account'], rows: [{ account_id: 1.5 }] }, 422, 'invalid_key', 'account_id'],
  ['an input of the wrong type', { features: ['ratio'], rows: [{ ...row, amount: 'x' }] }, 422, 'invalid_input', 'amount'],
  ['an unknown feature beside a known one', { features: ['visits', 'vists'], rows: [row] }, 404, 'unknown_feature', '"visits"'],
  ['an unknown feature set', { feature_set: 'basic', rows: [row] }, 404, 'unknown_feature_set', 'Did you mean "basics"?'],
  ['a bad max_age', { features: ['visits'], rows: [row], max_age: 5 }, 422, 'invalid_input', 'max_age'],
]
describe('POST /v1/features with', () => {
  for (const [name, body, status, code, says] of posts) {
    test(`${name} is ${status} ${code}`, async () => {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      await expectError(await fetch(`${server.url}/v1/features`, { method: 'POST', body: text }), status, code, says)
    })
  }

  test('more than the largest body is 413 body_too_large', async () => {
    const body = JSON.stringify({ features: ['visits'], rows: [row], filler: 'x'.repeat(9 * 1024 * 1024) })
    await expectError(await fetch(`${server.url}/v1/features`, { method: 'POST', body }), 413, 'body_too_large', '8 MiB')
  })
})

test('a method that a route does not have is 405', async () => {
  await expectError(await fetch(`${server.url}/v1/features/visits`, { method: 'DELETE' }), 405, 'method_not_allowed', 'GET')
})

test('a feature that is not refreshed refuses to be', async () => {
  for (const name of ['echo', 'score', 'ratio']) {
    const response = await fetch(`${server.url}/v1/features/${name}/refresh`, { method: 'POST' })
    await expectError(response, 409, 'not_refreshable', name)
  }
})

const keys = [
  'a:b',
  'a%3Ab',
  '%',
  '%25',
  `"quoted"`,
  `o'brien`,
  '; DROP TABLE events',
  'a b',
  'a+b',
  'é',
  'e\u0301',
  '😀',
  '..',
  '-',
  '{}',
  '\n',
  'k'.repeat(1024),
]
describe('any text is a key, and comes back as it was given:', () => {
  for (const key of keys) {
    test(JSON.stringify(key.slice(0, 30)), async () => {
      const got = await fetch(`${server.url}/v1/features/echo?entity_id=${encodeURIComponent(key)}`)
      expect(await got.json()).toMatchObject({ value: key, entity: { user_id: key } })
      const body = JSON.stringify({ features: ['echo'], rows: [{ user_id: key }] })
      const posted = await fetch(`${server.url}/v1/features`, { method: 'POST', body })
      expect(await posted.json()).toMatchObject({ results: [{ entity: { user_id: key }, values: [key] }] })
    })
  }

  test('and several columns never run into each other', async () => {
    for (const [user, merchant] of [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['a%3Ab', 'c'],
      ['a,b', 'c'],
      ['a', 'b,c'],
    ] as const) {
      const query = new URLSearchParams({ user_id: user, merchant_id: merchant })
      const first = await fetch(`${server.url}/v1/features/pair?${query}`)
      expect(await first.json()).toMatchObject({ value: { user_id: user, merchant_id: merchant }, served_from: 'computed' })
      const second = await fetch(`${server.url}/v1/features/pair?${query}`)
      expect(await second.json()).toMatchObject({ value: { user_id: user, merchant_id: merchant }, served_from: 'online' })
    }
  })

  test('and an integer key is exact beyond 2^53', async () => {
    const response = await fetch(`${server.url}/v1/features/account?entity_id=9007199254740993`)
    expect(await response.text()).toContain('"entity":{"account_id":9007199254740993},"value":"9007199254740993"')
  })
})
