/**
 * Requests that are sent before the answer to the one before is there. Bun answers them in order as long as each is answered at once; behind one
 * that waits (for a store, for a computation) it closes the connection. It must never be a mixture.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type ListeningApp, listeningApp } from '../support/listening-app.ts'
import { rawRequest } from '../support/raw-http.ts'

const FEATURES = `import { entity, feature, source } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const events = source('events', { timestamp: 'at', file: './events.csv' })
export const visits = feature({ entity: User, refresh: '1h', type: 'int', sql: 'SELECT COUNT(*) FROM events WHERE user_id = $user_id' })
export const slow = feature({ entity: User, refresh: 0, type: 'int' }, async () => {
  await new Promise((resolve) => setTimeout(resolve, 50))
  return 1
})
export const score = feature({ entity: User, type: 'float' })
`
let fabra: ListeningApp
beforeAll(async () => {
  fabra = await listeningApp({ 'features.ts': FEATURES, 'events.csv': 'user_id,at\nu1,2026-01-01T00:00:00Z\n' })
  const rows = Array.from({ length: 100 }, (_, i) => ({ user_id: `u${i}` }))
  await (await fabra.ask('/v1/features', { method: 'POST', body: JSON.stringify({ features: ['visits'], rows }) })).text()
})
afterAll(() => fabra[Symbol.asyncDispose]())

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
const post = (path: string, body: string) => `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const read = (i: number) => get(`/v1/features/visits?entity_id=u${i}`)
const usersIn = (text: string) => [...text.matchAll(/"user_id":"u(\d+)"/g)].map(([, i]) => Number(i))

describe('feature requests in one packet', () => {
  test('are answered, each, in their order', async () => {
    const order = Array.from({ length: 100 }, (_, i) => (i * 37) % 100)
    const { statuses, text } = await rawRequest(fabra.server.port, order.map(read).join(''), { answers: 100 })
    expect(statuses).toEqual(order.map(() => 200))
    expect(usersIn(text)).toEqual(order)
  })

  test('of several kinds, with bodies and with errors among them', async () => {
    const body = '{"features":["visits"],"rows":[{"user_id":"u7"}]}'
    const requests: [request: string, status: number][] = [
      [read(1), 200],
      [get('/v1/features/nothing?entity_id=u1'), 404],
      [post('/v1/features', body), 200],
      [get('/nowhere'), 404],
      [get('/v1/features/visits?wrong=u1'), 422],
      [get('/v1/features'), 200],
      [post('/v1/features', '{bad'), 422],
      [get('/health'), 200],
      [get('/ready'), 200],
      [get('/v1/features/visits?entity_id=u2', 'Origin: https://evil.example\r\n'), 200],
      ['GET /v1/features HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
      [read(3), 200],
    ]
    const bytes = requests.map(([request]) => request).join('')
    const { statuses, text } = await rawRequest(fabra.server.port, bytes, { answers: requests.length })
    expect(statuses).toEqual(requests.map(([, status]) => status))
    expect(usersIn(text)).toEqual([1, 7, 2, 3])
  })
})

test('behind one that waits nothing is half done: what is answered is whole and in order, and nothing behind it runs unanswered', async () => {
  const push = post('/v1/features/score/values', '{"rows":[{"user_id":"behind","value":1}]}')
  const bytes = `${read(1)}${get('/v1/features/slow?entity_id=u2')}${push}${read(3)}`
  const { statuses, text } = await rawRequest(fabra.server.port, bytes, { answers: 4 })
  expect(statuses).toEqual([200, 200, 200, 200].slice(0, statuses.length))
  expect(usersIn(text)).toEqual([1, 2, 3].slice(0, usersIn(text).length))
  const served = (await (await fabra.ask('/v1/features/score?entity_id=behind')).json()) as { status: string }
  expect(served.status).toBe(statuses.length > 2 ? 'fresh' : 'missing')
})
