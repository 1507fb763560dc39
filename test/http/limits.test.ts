/** How much a server takes on: slow senders, keys with a limit, more than it can do. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { createDoor } from '../../src/http/door.ts'
import { logFailure } from '../../src/http/failure-log.ts'
import { Shedder } from '../../src/http/shedder.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { createRateLimits } from '../../src/store/redis/rate-limits.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { type ListeningApp, listeningApp } from '../support/listening-app.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { startRedis } from '../support/servers.ts'
import { until } from '../support/until.ts'

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex')
const FEATURES = `import { entity, feature } from 'fabra'
export const User = entity('User', { key: 'user_id' })
export const score = feature({ entity: User, type: 'float' })
`
let fabra: ListeningApp
beforeAll(async () => {
  const keys = [`${hashOf('fab_all')}:read+write`, `${hashOf('fab_few')}:read;rate=2`]
  fabra = await listeningApp({ 'features.ts': FEATURES }, { FABRA_API_KEYS: keys.join(',') })
})
afterAll(() => fabra[Symbol.asyncDispose]())

/** All that comes back until the server closes, of a request whose body comes a byte at a time and never ends. */
function sendSlowly(head: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(fabra.server.port, '127.0.0.1', () => socket.write(head))
    const drip = setInterval(() => socket.write(' '), 500)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearInterval(drip)
      resolve(text)
    })
  })
}

test('a body that comes a byte at a time is answered with 408, headers that do not at all, and the connection is closed', async () => {
  const head = (path: string, more: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nX-API-Key: fab_all\r\n${more}\r\n\r\n{`
  const answers = await Promise.all([
    sendSlowly(head('/v1/features', 'Content-Length: 900')),
    sendSlowly(head('/v1/features/score/values', 'Content-Length: 900')),
    sendSlowly(head('/v1/training-sets?features=score', 'Content-Length: 900')),
    sendSlowly(`${head('/v1/features', 'Transfer-Encoding: chunked').slice(0, -1)}400\r\n{"fea`),
    // Of headers nobody knows yet what they ask for.
    sendSlowly('GET /health HTTP/1.1\r\nHost: a\r\nX-Slow:').then((text) => expect(text).not.toContain(' 200 ')),
  ])
  for (const answer of answers.slice(0, 4)) {
    expect(answer).toStartWith('HTTP/1.1 408 ')
    expect(answer).toContain('"code":"body_too_slow"')
  }
  expect((await fabra.ask('/v1/features/score?entity_id=u1', { headers: { 'x-api-key': 'fab_all' } })).status).toBe(200)
}, 120_000)

test('a flood of failures is told in some lines, and how many more there were', () => {
  const lines: unknown[] = []
  const log = { ...silentLogger, warn: (_: string, fields?: object) => void lines.push(fields) }
  for (let i = 0; i < 1_000; i++) logFailure(log, 'overloaded', 'Too much.', () => ({ i }), 5_000 + i / 10)
  logFailure(log, 'feature_timeout', 'Too slow.', () => ({ code: 'another' }), 5_200)
  logFailure(log, 'overloaded', 'Too much.', () => ({ i: 'later' }), 6_001)
  expect(lines).toHaveLength(22)
  expect(lines.slice(-2)).toEqual([{ code: 'another' }, { i: 'later', further: 980 }])
})

describe('a key with a limit', () => {
  const ask = (key: string) => fabra.ask('/v1/features/score?entity_id=u1', { headers: { 'x-api-key': key } })

  test('is answered with 429 and when to come again, and others are not', async () => {
    // Seconds begin when they like: of so many at once, two are let in for each second that it takes.
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask('fab_few')))
    const refused = answers.filter(({ status }) => status === 429)
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused[0]?.headers.get('retry-after')).toBe('1')
    expect(await refused[0]?.text()).toContain('"code":"too_many_requests"')
    expect((await Promise.all(Array.from({ length: 40 }, () => ask('fab_all')))).map(({ status }) => status)).not.toContain(429)
    await until('the next second', 60_000, async () => ((await ask('fab_few')).status === 200 ? true : undefined))
  }, 90_000)

  test('shares it among all processes with one Redis, and has one of this process while Redis is away', async () => {
    const redis = await startRedis()
    const [first, second] = await Promise.all([
      openRedis({ url: redis.url, ...PATIENT_REDIS }),
      openRedis({ url: redis.url, ...PATIENT_REDIS }),
    ])
    try {
      const [here, there] = [createRateLimits(first), createRateLimits(second)]
      // The whole bucket at once, so that no second has to be waited for or hit.
      const granted = async (limits: typeof here, key: string, count: number) =>
        (await Promise.all(Array.from({ length: count }, () => limits.take(key, 1_000_000)))).filter((waitMs) => waitMs === 0).length
      let tries = 0
      const counted = await until('a second that holds all', 60_000, async () => {
        const key = `k${tries++}`
        expect([await granted(here, key, 5), await granted(there, key, 3)]).toEqual([5, 3])
        const count = String(await first.send('GET', `fabra:rate:${key}`))
        return count === '8' ? count : undefined
      })
      expect(counted).toBe('8')
      await redis.stop()
      const waits = await Promise.all(Array.from({ length: 20 }, () => here.take('other', 1)))
      expect(waits.filter((waitMs) => waitMs === 0).length).toBeGreaterThanOrEqual(1)
      expect(waits.some((waitMs) => waitMs > 0)).toBe(true)
    } finally {
      await Promise.all([first.close(), second.close()])
      await redis[Symbol.asyncDispose]()
    }
  })
})

describe('more than can be done in time', () => {
  const busy = (shedder: Shedder, lateMs: number, ticks: number, requests = 200) => {
    for (let i = 0; i < ticks; i++) {
      for (let r = 0; r < requests; r++) shedder.admits()
      shedder.tick(lateMs)
    }
  }

  test('is turned away while the event loop stays late, more and more, and let in again when it is on time', () => {
    const shedder = new Shedder(() => 0.5)
    busy(shedder, 150, 20)
    expect(shedder.refused).toBe(0)
    busy(shedder, 400, 2)
    expect(shedder.refused).toBe(0)
    busy(shedder, 400, 1)
    expect(shedder.refused).toBeGreaterThan(0)
    const first = shedder.refused
    busy(shedder, 400, 20)
    expect(shedder.refused).toBeGreaterThan(first)
    expect(shedder.refused).toBeLessThan(1)
    expect(shedder.admits()).toBe(false)
    // Two seconds of ticks.
    busy(shedder, 0, 20)
    expect(shedder.refused).toBe(0)
    expect(shedder.admits()).toBe(true)
  })

  test('is not what a pause is, nor a late loop that nobody asks anything of', () => {
    const shedder = new Shedder(() => 0)
    for (let i = 0; i < 10; i++) {
      busy(shedder, 900, 1)
      busy(shedder, 0, 1)
    }
    busy(shedder, 900, 20, 3)
    expect(shedder.refused).toBe(0)
  })

  test('is a 503 that says when to come again, and not for probes', async () => {
    const door = createDoor({
      keyring: null,
      rateLimits: null,
      shedder: { admits: () => false },
      hosts: null,
      log: silentLogger,
      observer: null,
    })
    const route = { method: 'GET' as const, scope: 'open' as const, answer: () => new Response('let in') }
    const refused = await door(route)(new Request('http://a/v1/features'), {}, null)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await refused.text()).toContain('"code":"overloaded"')
    expect((await door({ ...route, anyHost: true })(new Request('http://a/health'), {}, null)).status).toBe(200)
  })
})
