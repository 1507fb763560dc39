import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { redisProblem } from '../../src/config/store-urls.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { parseRedisUrl } from '../../src/store/redis/socket/url.ts'
import { temporaryFolder } from '../support/binary.ts'
import { MASTER, startSentinels, type TestSentinels } from '../support/sentinel.ts'
import { askRedis, startRedis, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

// A fail-over takes some seconds.
setDefaultTimeout(90_000)

const value = { texts: ['1'], eventAt: 10, availableAt: 10, seq: 1, origin: 'computed', oldestInputAt: null } as const
const row = (key: string, eventAt = 10) => ({ entity: 'User', key, field: 'f@1', value: { ...value, eventAt } })

async function open(url: string) {
  const problems: string[] = []
  const connection = await openRedis({ url, onProblem: (message, cause) => problems.push(`${message} ${Bun.inspect(cause)}`) })
  const store = createRedisOnlineStore(connection)
  return { connection, store, problems, [Symbol.asyncDispose]: () => store.close() }
}

describe('a Redis behind a Unix socket', () => {
  let folder: string
  let server: TestServer
  let socket: string
  beforeAll(async () => {
    folder = temporaryFolder()
    socket = join(folder, 'redis 1.sock')
    server = await startRedis({
      args: ['--unixsocket', socket, '--unixsocketperm', '700', '--user', 'fabra', 'on', '>se:cr@t', '~*', '+@all'],
    })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  test.each([
    ['its first database', (path: string) => `redis+unix://${path}`, '0'],
    ['another one', (path: string) => `redis+unix://${path}?db=3`, '3'],
    ['another one, as a user', (path: string) => `redis+unix://fabra:se%3Acr%40t@${path}?db=4`, '4'],
  ])('is written and read: %s', async (_, url, db) => {
    await askRedis(server, 'FLUSHALL')
    await using on = await open(url(encodeURI(socket)))
    await on.store.write([row('u1')])
    expect(await on.store.read('User', ['u1', 'u2'], ['f@1'], undefined)).toEqual([[value], [undefined]])
    expect(on.connection.status()).toBe('ok')
    expect(String(await askRedis(server, 'INFO', 'keyspace'))).toContain(`db${db}:keys=1`)
  })

  test('is waited for when it is not there yet, and comes back by itself', async () => {
    await server.stop()
    await using on = await open(`redis+unix://${encodeURI(socket)}`)
    expect(on.connection.status()).toBe('There is no socket at its path.')
    await expect(Promise.resolve(on.store.read('User', ['u1'], ['f@1'], undefined))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(on.problems.join()).not.toContain(folder)
    await server.start()
    await until('Redis to be back', 10_000, async () => (on.connection.status() === 'ok' ? true : undefined))
    await on.store.write([row('u1')])
    expect(await on.store.read('User', ['u1'], ['f@1'], undefined)).toEqual([[value]])
  })
})

describe.each([
  ['open', undefined, undefined],
  ['with passwords', 'secret', 'other'],
])('a Redis that sentinels know, %s', (_, password, sentinelPassword) => {
  let on: TestSentinels
  beforeAll(async () => {
    on = await startSentinels({ ...(password ? { password } : {}), ...(sentinelPassword ? { sentinelPassword } : {}) })
  })
  afterAll(() => on[Symbol.asyncDispose]())

  const url = (database = '') => {
    const hosts = ['127.0.0.1:1', ...on.ports.map((port) => `127.0.0.1:${port}`)].join(',')
    return `redis+sentinel://${password ? `:${password}@` : ''}${hosts}/${MASTER}${database}${sentinelPassword ? `?sentinel_password=${sentinelPassword}` : ''}`
  }
  const ask = (server: { readonly port: number }, command: string, ...args: string[]) =>
    askRedis({ port: server.port, ...(password ? { password } : {}) }, command, ...args)

  test('is found through whichever sentinel answers, and followed when another takes its place', async () => {
    await using opened = await open(url('/2'))
    const { store, connection } = opened
    await store.write([row('u1')])
    expect(await store.read('User', ['u1'], ['f@1'], undefined)).toEqual([[value]])
    expect(String(await ask(on.master, 'INFO', 'keyspace'))).toContain('db2:keys=1')
    await until('the replica to have it', 10_000, async () =>
      String(await ask(on.replica, 'INFO', 'keyspace')).includes('db2:keys=1') ? true : undefined,
    )
    await on.master.kill()
    await expect(Promise.resolve(store.read('User', ['u1'], ['f@1'], undefined))).rejects.toMatchObject({ code: 'store_unavailable' })
    await until('the other to be master', 60_000, async () => ((await on.masterPort()) === on.replica.port ? true : undefined))
    await until('writes to be taken', 15_000, async () => {
      const written = await store.write([row('u2', 20)]).catch(() => undefined)
      return written && connection.status() === 'ok' ? true : undefined
    })
    const found = await store.read('User', ['u1', 'u2'], ['f@1'], undefined)
    expect(found.map(([one]) => one?.eventAt)).toEqual([10, 20])
    // Both values, and the mark where a look has come in between.
    expect(String(await ask(on.replica, 'INFO', 'keyspace'))).toMatch(/db2:keys=[23],/)
    expect(opened.problems.join()).not.toMatch(/127\.0\.0\.1|secret|other/)
  })

  test('by another name is not there, which says neither address nor password', async () => {
    await using opened = await open(url().replace(`/${MASTER}`, '/nobody'))
    expect(opened.connection.status()).toBe('No sentinel knows a master of that name, or none can be reached.')
    await expect(Promise.resolve(opened.store.read('User', ['u1'], ['f@1'], undefined))).rejects.toMatchObject({
      code: 'store_unavailable',
    })
    expect(`${opened.problems} ${opened.connection.status()}`).not.toMatch(/127\.0\.0\.1|secret|other/)
  })
})

describe('addresses of Redis', () => {
  test.each([
    ['redis+unix:///run/redis.sock', { nodes: [], socket: '/run/redis.sock', db: 0 }],
    ['redis+unix:///run/a%20b.sock?db=12', { socket: '/run/a b.sock', db: 12 }],
    ['redis+unix://:pw@/run/redis.sock', { socket: '/run/redis.sock', password: 'pw' }],
    [
      'redis+sentinel://a:1,b/main',
      {
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 26_379 },
        ],
        db: 0,
        sentinel: { master: 'main' },
      },
    ],
    ['redis+sentinel://u:p@[::1]:5/main/7', { nodes: [{ host: '::1', port: 5 }], db: 7, username: 'u', password: 'p' }],
    [
      'redis+sentinel://a/main?db=7&sentinel_user=s&sentinel_password=t',
      { db: 7, sentinel: { master: 'main', username: 's', password: 't' } },
    ],
    ['rediss+sentinel://a/main', { tls: { ca: undefined } }],
  ])('%s is understood', (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject(expected)
    expect(redisProblem(url)).toBeNull()
  })

  test.each([
    ['redis+unix://run/redis.sock', 'three slashes'],
    ['redis+unix:///', 'three slashes'],
    ['redis+unix:///run/redis.sock?db=x', 'the database in it is not a number'],
    ['redis+unix:///run/redis.sock?database=1', '"database" is not a parameter; there is only "db"'],
    ['rediss+unix:///run/redis.sock', 'a Unix socket has no TLS'],
    ['redis+sentinel://a:1', 'a master by its name'],
    ['redis+sentinel://a:1/', 'a master by its name'],
    ['redis+sentinel://a:1/main/1/2', 'a master by its name'],
    ['redis+sentinel://a:1/main/x', 'the database in it is not a number'],
    ['redis+sentinel://a:1/main/1?db=2', 'named twice'],
    ['redis+sentinel://a:x/main', 'a host or port in it cannot be read'],
    ['redis+sentinel:///main', 'it is not a Redis address'],
    ['redis://a,b', 'redis+cluster:// or redis+sentinel://'],
    ['redis://a?db=1', '"db" is not a parameter'],
    ['redis+sentinels://a/main', 'it is not a Redis address'],
  ])('%s is refused in words', (url, words) => {
    expect(() => parseRedisUrl(url)).toThrow(words)
  })
})
