import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { connect, createServer, type Socket } from 'node:net'
import type { OnlineStore } from '../../src/store/ports/online-store.ts'
import { bucketOf, recordBody, recordHead } from '../../src/store/redis/format/record.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import type { RedisConnection } from '../../src/store/redis/redis.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { freePort } from '../support/ports.ts'
import { askRedis, startRedis, startRedisCluster, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const LIMIT_MS = 5_000
const value = { texts: ['1'], eventAt: 10, availableAt: 10, seq: 1, origin: 'computed', oldestInputAt: null } as const
const write = (store: OnlineStore, key = 'u1') => store.write([{ entity: 'User', key, field: 'f@1', value }])
const read = async (store: OnlineStore, key = 'u1') => (await store.read('User', [key], ['f@1'], undefined))[0]?.[0]
/** What a call came to: a value, or an error's code. */
const outcome = (call: Promise<unknown>) =>
  call.then(
    (result) => result,
    (error) => (error.code as string) ?? error,
  )
const worksAgain = (store: OnlineStore) =>
  until('Redis to be usable', LIMIT_MS, () => outcome(write(store)).then((result) => (typeof result === 'string' ? undefined : true)))

interface Path extends AsyncDisposable {
  readonly url: string
  /** Connections that are open lose what goes over them, without a word. */
  swallow(): void
  /** Connections that are open end. */
  cut(): void
  /** Answers from Redis wait until they are let go. */
  hold(): void
  letGo(): void
  /** Asked so far. */
  hmgets(): number
  /** To whoever asked for values. */
  insert(bytes: string): void
  /** Made so far. */
  connections(): number
}

/** A way to Redis through this process. */
async function pathTo(server: TestServer | (() => TestServer)): Promise<Path> {
  const open = new Set<{ readonly client: Socket; isSwallowed: boolean; isReader: boolean }>()
  let held: (() => void)[] | undefined
  let asked = ''
  const listener = createServer((client) => {
    const connection = { client, isSwallowed: false, isReader: false }
    open.add(connection)
    const redis = connect((typeof server === 'function' ? server() : server).port, '127.0.0.1')
    client.on('data', (bytes) => {
      const text = bytes.toString()
      asked += text
      connection.isReader ||= text.includes('hmget')
      if (!connection.isSwallowed) redis.write(bytes)
    })
    redis.on('data', (bytes) => {
      const pass = () => void client.write(bytes)
      if (held) held.push(pass)
      else if (!connection.isSwallowed) pass()
    })
    const end = () => {
      client.destroy()
      redis.destroy()
    }
    for (const socket of [client, redis]) socket.on('close', end).on('error', end)
  })
  const port = await freePort()
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve))
  return {
    url: `redis://127.0.0.1:${port}`,
    swallow() {
      for (const connection of open) connection.isSwallowed = true
    },
    cut() {
      for (const { client } of open) client.destroy()
      open.clear()
    },
    hold() {
      held = []
    },
    letGo() {
      for (const pass of held ?? []) pass()
      held = undefined
    },
    hmgets: () => asked.split('hmget').length - 1,
    connections: () => open.size,
    insert(bytes) {
      for (const { client, isReader } of open) if (isReader) client.write(bytes)
    },
    async [Symbol.asyncDispose]() {
      for (const { client } of open) client.destroy()
      listener.close()
    },
  }
}

describe('while redis', () => {
  let server: TestServer
  let connection: RedisConnection
  let store: OnlineStore
  const problems: string[] = []
  beforeEach(async () => {
    problems.length = 0
    server = await startRedis()
    const onProblem = (message: string, cause: unknown) => void problems.push(`${message} ${cause ?? ''}`.trim())
    // As long as a write has: a busy machine may take half a second.
    connection = await openRedis({ url: server.url, readTimeoutMs: 2_000, onProblem })
    store = createRedisOnlineStore(connection)
    await write(store)
  })
  afterEach(async () => {
    await store.close()
    await server[Symbol.asyncDispose]()
  })

  test('is stalled, every call has an answer, and calls succeed as soon as it goes on', async () => {
    const pid = server.pid() ?? 0
    process.kill(pid, 'SIGSTOP')
    try {
      for (let round = 0; round < 4; round++) {
        const calls = [read(store), read(store, 'u2'), write(store), store.forget({ entity: 'User', entityKey: 'u3', at: 1 })]
        expect(await Promise.all(calls.map(outcome))).toEqual(calls.map(() => 'store_unavailable'))
      }
      expect(connection.status()).toBe('Redis does not answer in time.')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await worksAgain(store)
    expect(await until('reads', LIMIT_MS, () => read(store).catch(() => undefined))).toEqual(value)
    await until('the good news', LIMIT_MS, async () => (connection.status() === 'ok' ? true : undefined))
    expect(problems).toEqual(['Redis cannot be reached; trying again. Error: Redis does not answer in time.', 'Redis is back.'])
  })

  test('is stalled, the first read waits for its deadline, and after it nothing waits', async () => {
    const patient = createRedisOnlineStore(await openRedis({ url: server.url, writeTimeoutMs: 3_600_000 }))
    process.kill(server.pid() ?? 0, 'SIGSTOP')
    try {
      expect(await outcome(read(patient))).toBe('store_unavailable')
      // This would take an hour.
      expect(await outcome(write(patient))).toBe('store_unavailable')
    } finally {
      process.kill(server.pid() ?? 0, 'SIGCONT')
    }
    await worksAgain(patient)
    await patient.close()
  })

  test('is killed under way, every call has an answer, and it is usable again when it is back, empty and without scripts', async () => {
    const calls = Array.from({ length: 2_000 }, (_, i) => (i % 2 === 0 ? read(store) : write(store, `k${i}`)))
    await Promise.all([...calls.map(outcome), server.kill()])
    expect(await Promise.all([read(store), write(store)].map(outcome))).toEqual(['store_unavailable', 'store_unavailable'])
    expect(connection.status()).not.toBe('ok')
    await server.start()
    await worksAgain(store)
    expect(await until('reads', LIMIT_MS, () => read(store).catch(() => undefined))).toEqual(value)
    expect(await read(store, 'k1')).toBeUndefined()
    expect(problems.map((problem) => problem.split(/[;.]/)[0])).toEqual(['Redis cannot be reached', 'Redis is back'])
  })

  test('ends the connection, reads that wait for their turn fail with those under way', async () => {
    await using path = await pathTo(server)
    // None of them is let down by its deadline.
    const patient = createRedisOnlineStore(await openRedis({ url: path.url, readTimeoutMs: 3_600_000 }))
    path.hold()
    const calls = Array.from({ length: 1_500 }, (_, i) => outcome(read(patient, `k${i}`)))
    await until('the first to be asked', LIMIT_MS, async () => (path.hmgets() > 0 ? true : undefined))
    path.cut()
    expect([...new Set(await Promise.all(calls))]).toEqual(['store_unavailable'])
    path.letGo()
    expect(await until('reads', LIMIT_MS, () => read(patient).catch(() => undefined))).toEqual(value)
    await patient.close()
  })

  test('has no memory left, reads go on and writes say why they do not', async () => {
    await askRedis(server, 'CONFIG', 'SET', 'maxmemory', '1')
    const error = await write(store, 'u9').catch((reason) => reason)
    expect(error).toMatchObject({ code: 'store_unavailable', hint: expect.stringContaining('maxmemory') })
    expect(await read(store)).toEqual(value)
    await askRedis(server, 'CONFIG', 'SET', 'maxmemory', '0')
    await write(store, 'u9')
    expect(connection.status()).toBe('ok')
  })

  test('lost its scripts, writes go on', async () => {
    await askRedis(server, 'SCRIPT', 'FLUSH')
    expect(await Promise.all(Array.from({ length: 20 }, (_, i) => write(store, `n${i}`)))).toHaveLength(20)
    expect(await read(store, 'n19')).toEqual(value)
  })

  test('is a replica, writes are refused and reads go on', async () => {
    await askRedis(server, 'REPLICAOF', '127.0.0.1', String(await freePort()))
    expect(await outcome(write(store, 'u9'))).toBe('store_unavailable')
    expect(await until('reads', LIMIT_MS, () => read(store).catch(() => undefined))).toEqual(value)
    await askRedis(server, 'REPLICAOF', 'NO', 'ONE')
    await worksAgain(store)
  })

  test('is a replica, and its address leads to the new master, writes go there though the connection to the old one lives on', async () => {
    await using other = await startRedis()
    let master = server
    await using path = await pathTo(() => master)
    const own = createRedisOnlineStore(await openRedis({ url: path.url }))
    try {
      await write(own)
      master = other
      await askRedis(server, 'REPLICAOF', '127.0.0.1', String(other.port))
      const keysThere = () => write(own, 'u9').then(() => askRedis(other, 'KEYS', '*u9*'))
      expect(await until('a write at the new master', 30_000, () => keysThere().catch(() => undefined))).toHaveLength(1)
    } finally {
      await own.close()
    }
  })

  test('is asked for more than this process can take, every call has an answer, and redis is not blamed', async () => {
    const keys = Array.from({ length: 200 }, (_, i) => `u${i}`)
    const fields = Array.from({ length: 50 }, (_, i) => `f${i}@1`)
    await store.write(keys.flatMap((key) => fields.map((field) => ({ entity: 'User', key, field, value }))))
    const calls = Array.from({ length: 300 }, async () => store.read('User', keys, fields, undefined))
    const outcomes = await Promise.all(calls.map(outcome))
    expect(outcomes.every((one) => one === 'overloaded' || (one as unknown[]).length === 200)).toBe(true)
    expect(connection.status()).toBe('ok')
    expect(problems).toEqual([])
    expect(await read(store)).toEqual(value)
  })

  test('refuses PING to its user, reads and writes work, and work again after it was stalled', async () => {
    await askRedis(server, 'ACL', 'SETUSER', 'default', '-ping')
    const own = createRedisOnlineStore(await openRedis({ url: server.url }))
    expect(await read(own)).toEqual(value)
    const pid = server.pid() ?? 0
    process.kill(pid, 'SIGSTOP')
    // For less than the time after which a silent socket is given up: then a new one would be there, whatever becomes of PING.
    const stalled = await outcome(read(own))
    process.kill(pid, 'SIGCONT')
    expect(stalled).toBe('store_unavailable')
    await worksAgain(own)
    expect(await until('reads', LIMIT_MS, () => read(own).catch(() => undefined))).toEqual(value)
    await own.close()
  })

  test('is far away, a read does not wait for the answer to another', async () => {
    await using path = await pathTo(server)
    const own = createRedisOnlineStore(await openRedis({ url: path.url, readTimeoutMs: LIMIT_MS }))
    const keys = Array.from({ length: 20 }, (_, i) => `far${i}`)
    await own.write(keys.map((key) => ({ entity: 'User', key, field: 'f@1', value })))
    path.hold()
    const reads: Promise<unknown>[] = []
    for (const key of keys) {
      reads.push(read(own, key))
      // Sent by now, if it is to be: the next one comes less than a moment after it.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    await until('all to be asked', LIMIT_MS, async () => (path.hmgets() === keys.length ? true : undefined))
    path.letGo()
    expect(await Promise.all(reads)).toEqual(keys.map(() => value))
    await own.close()
  })

  test('is no more at the other end of a connection that nobody closed, a new one is made', async () => {
    await using path = await pathTo(server)
    const own = createRedisOnlineStore(await openRedis({ url: path.url }))
    expect(await read(own)).toEqual(value)
    path.swallow()
    expect(await outcome(read(own))).toBe('store_unavailable')
    const asked = path.hmgets()
    expect(await outcome(read(own))).toBe('store_unavailable')
    expect(path.hmgets()).toBe(asked)
    expect(await until('reads', LIMIT_MS, () => read(own).catch(() => undefined))).toEqual(value)
    await worksAgain(own)
    await own.close()
  })

  test('answers what nobody asked, the reads under way fail at once and a new connection is made', async () => {
    await using path = await pathTo(server)
    const own = createRedisOnlineStore(await openRedis({ url: path.url, readTimeoutMs: 3_600_000 }))
    expect(await read(own)).toEqual(value)
    path.hold()
    const underWay = outcome(read(own))
    path.insert(':1\r\n')
    // With its deadline it would take an hour.
    expect(await underWay).toBe('store_unavailable')
    path.letGo()
    expect(await until('reads', LIMIT_MS, () => read(own).catch(() => undefined))).toEqual(value)
    const made = path.connections()
    path.insert('+PONG\r\n')
    await until('a new connection', LIMIT_MS, async () => (path.connections() > made ? true : undefined))
    expect(await until('reads', LIMIT_MS, () => read(own).catch(() => undefined))).toEqual(value)
    await own.close()
  })

  test('closed by us, calls are refused', async () => {
    await store.close()
    expect(await outcome(read(store))).toBe('store_unavailable')
  })
})

describe('a database that redis does not let us select', () => {
  const values = (server: TestServer) => askRedis(server, 'KEYS', '*')

  test.each([
    ['is not there', ['--databases', '2'], '/7', (server: TestServer) => server.url],
    [
      'is forbidden to the user',
      ['--user', 'fabra', 'on', '>secret', '~*', '+@all', '-select'],
      '/1',
      (server: TestServer) => server.url.replace('//', '//fabra:secret@'),
    ],
  ])('%s: the start is refused, and database 0 stays empty', async (_, args, database, url) => {
    await using server = await startRedis({ args })
    const error = await openRedis({ url: `${url(server)}${database}` }).catch((reason) => reason)
    expect(error.code).toBe('invalid_config')
    expect(error.message).toContain(`database ${database.slice(1)} of Redis cannot be selected`)
    expect(error.message).not.toContain('secret')
    expect(await values(server)).toEqual([])
  })

  test('is gone after a restart: nothing is read from database 0 or written there, and it works again when it is there', async () => {
    await using few = await startRedis({ args: ['--databases', '2'] })
    await using many = await startRedis()
    await askRedis(few, 'HSET', 'fabra:{User:u1}', bucketOf('f@1'), `${recordHead('f@1')}${recordBody(value)}`)
    let target = many
    await using path = await pathTo(() => target)
    const connection = await openRedis({ url: `${path.url}/7` })
    const store = createRedisOnlineStore(connection)
    expect(await read(store)).toBeUndefined()
    await write(store, 'u2')
    target = few
    path.cut()
    const outcomes: unknown[] = []
    await until('the problem', LIMIT_MS, async () => {
      outcomes.push(...(await Promise.all([outcome(read(store)), outcome(write(store, 'u3'))])))
      return connection.status().includes('database 7') ? true : undefined
    })
    for (let round = 0; round < 5; round++) outcomes.push(...(await Promise.all([outcome(read(store)), outcome(write(store, 'u3'))])))
    expect([...new Set(outcomes)]).toEqual(['store_unavailable'])
    expect(await values(few)).toEqual(['fabra:{User:u1}'])
    target = many
    path.cut()
    expect(await until('reads', LIMIT_MS, () => read(store, 'u2').catch(() => undefined))).toEqual(value)
    await worksAgain(store)
    await store.close()
  })
})

test('without redis at the start the store opens all the same, and works when redis comes', async () => {
  await using server = await startRedis()
  await server.kill()
  const connection = await openRedis({ url: server.url })
  const store = createRedisOnlineStore(connection)
  expect(connection.status()).toBe('Nothing listens at its address.')
  expect(await outcome(read(store))).toBe('store_unavailable')
  await server.start()
  await worksAgain(store)
  await until('the status', LIMIT_MS, async () => (connection.status() === 'ok' ? true : undefined))
  await store.close()
})

test('a node of a cluster that stalls or dies costs its own keys an error, and they are back when it is', async () => {
  await using cluster = await startRedisCluster()
  const store = createRedisOnlineStore(await openRedis({ url: cluster.url }))
  const keys = Array.from({ length: 30 }, (_, i) => `u${i}`)
  await Promise.all(keys.map((key) => write(store, key)))
  const [, node] = cluster.nodes
  process.kill(node?.pid() ?? 0, 'SIGSTOP')
  const outcomes = await Promise.all(keys.map((key) => outcome(read(store, key))))
  process.kill(node?.pid() ?? 0, 'SIGCONT')
  expect(outcomes).toContain('store_unavailable')
  await until('all keys', LIMIT_MS, async () => {
    const found = await Promise.all(keys.map((key) => outcome(read(store, key))))
    return found.every((one) => typeof one === 'object') ? true : undefined
  })
  await node?.kill()
  const after = await Promise.all(keys.map((key) => outcome(read(store, key))))
  expect(after).toContain('store_unavailable')
  await node?.start()
  await until('writes to all keys', 2 * LIMIT_MS, async () => {
    const written = await Promise.all(keys.map((key) => outcome(write(store, key))))
    return written.every((one) => typeof one === 'object') ? true : undefined
  })
  await store.close()
})
