/** How a process knows that Redis holds what it should, of every read, and how values come back. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { DoubtedRows } from '../../src/store/ports/doubts.ts'
import type { OnlineStore, StoredRows } from '../../src/store/ports/online-store.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { createRedisOnlineSweep } from '../../src/store/redis/online-sweep.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { slotOf } from '../../src/store/redis/socket/servers.ts'
import { createRedisFigures } from '../../src/store/redis/storage-figures.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { askRedis, emptyRedis, startRedis, startRedisCluster, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(180_000)

const LIMIT_MS = 10_000
const servers = await Promise.all([startRedis(), startRedisCluster()])
const [single, cluster] = servers
afterAll(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
})

const value = { texts: ['1'], eventAt: 10, availableAt: 10, seq: 1, origin: 'pushed', oldestInputAt: null } as const
const KEYS = Array.from({ length: 30 }, (_, i) => `u${i}`)
const FIELDS = ['f@1']
const write = (store: OnlineStore, keys = KEYS) => store.write(keys.map((key) => ({ entity: 'User', key, field: 'f@1', value })))
const open = async (url: string) => createRedisOnlineStore(await openRedis({ url, ...PATIENT_REDIS }))
const restore = (store: OnlineStore, more: () => Promise<unknown> = async () => undefined) =>
  store.restore(async (fields) => {
    await more()
    await write(store)
    for (const field of fields) await store.markFilled(field)
  })
/** Another process may still be about to let go of its claim. */
const restored = (store: OnlineStore) => until('its turn to restore', LIMIT_MS, () => restore(store))
/** What a read for serving comes to: rows, or the rows of a doubt. */
async function read(store: OnlineStore, keys: readonly string[] = KEYS): Promise<{ sure: boolean; rows: StoredRows | undefined }> {
  try {
    return { sure: true, rows: await store.read('User', keys, FIELDS, 'serving') }
  } catch (error) {
    if (error instanceof DoubtedRows) return { sure: false, rows: error.rows }
    throw error
  }
}
const all = KEYS.map(() => [value])

describe.each([
  ['redis', single.url, [single] as readonly TestServer[]],
  ['a redis cluster', cluster.url, cluster.nodes],
] as const)('%s', (_, url, nodes) => {
  async function whole(): Promise<OnlineStore> {
    await Promise.all(nodes.map(emptyRedis))
    const store = await open(url)
    await store.look(FIELDS)
    await restore(store)
    return store
  }

  test('values that are let go leave every server; others, and what is written meanwhile, stay', async () => {
    await Promise.all(nodes.map(emptyRedis))
    const redis = await openRedis({ url, ...PATIENT_REDIS, connectTimeoutMs: 20_000 })
    const store = createRedisOnlineStore(redis)
    const keys = Array.from({ length: 700 }, (_, i) => `u${i}`)
    const computed = { ...value, origin: 'computed' } as const
    await write(store, ['u0'])
    await store.write(keys.map((key) => ({ entity: 'User', key, field: 'g@1', value: computed })))
    const sweep = createRedisOnlineSweep(redis)
    let [removed, place]: [number, string | null] = [0, null]
    do {
      const lot: Awaited<ReturnType<typeof sweep.lot>> = await sweep.lot(place, async (values) => {
        if (values.some(({ key }) => key === 'u7'))
          await store.write([{ entity: 'User', key: 'u7', field: 'g@1', value: { ...computed, eventAt: 20, availableAt: 20 } }])
        return values.filter(({ origin }) => origin === 'computed')
      })
      removed += lot.removed
      place = lot.next
    } while (place !== null)
    expect(removed).toBe(699)
    const left = await store.read('User', keys, ['f@1', 'g@1'], undefined)
    expect(left.flatMap((row, i) => row.flatMap((one, f) => (one === undefined ? [] : [`${keys[i]} ${f}`])))).toEqual(['u0 0', 'u7 1'])
    // With the marks and fences that stay; of all servers together.
    const figures = await createRedisFigures(redis).look()
    expect([(figures.keys ?? 0) >= 2, [...figures.features.keys()].toSorted()]).toEqual([true, ['f', 'g']])
    await store.close()
  })

  test('that nobody has filled is not believed, whatever it holds', async () => {
    await Promise.all(nodes.map(emptyRedis))
    const store = await open(url)
    await write(store)
    await store.look(FIELDS)
    expect(await read(store)).toEqual({ sure: false, rows: undefined })
    expect(store.doubts.has('lost')).toBe(true)
    expect(await store.read('User', KEYS, FIELDS)).toEqual(all)
    expect(await restore(store)).toEqual(['fences', 'f@1'])
    expect(await read(store)).toEqual({ sure: true, rows: all })
    expect(store.doubts.isAny).toBe(false)
    await store.close()
  })

  test('is not taken at its word by a read that was under way when a doubt ended, nor when nobody has told of late what others owe', async () => {
    const store = await whole()
    store.doubts.set('owed', 'lacks something')
    const underWay = read(store)
    store.doubts.set('owed', null)
    expect(await underWay).toEqual({ sure: false, rows: all })
    expect(await read(store)).toEqual({ sure: true, rows: all })
    store.doubts.trustUntil(performance.now() - 1)
    const unreported = (async () => store.read('User', KEYS, FIELDS, 'serving'))()
    await expect(unreported).rejects.toMatchObject({ code: 'store_unavailable', rows: all, isUnreported: true })
    store.doubts.trustUntil(Number.POSITIVE_INFINITY)
    expect(await read(store)).toEqual({ sure: true, rows: all })
    await store.close()
  })

  test('that is emptied is found out by the very next read, of however many keys', async () => {
    const store = await whole()
    for (const keys of [KEYS, Array.from({ length: 600 }, (_, i) => `v${i}`)]) {
      expect(await read(store, keys)).toMatchObject({ sure: true })
      await Promise.all(nodes.map(emptyRedis))
      expect(await read(store, keys)).toEqual({ sure: false, rows: undefined })
      expect(store.doubts.has('lost')).toBe(true)
      await restore(store)
    }
    await store.close()
  })

  test('that is filled by another process is believed by this one, once it has its own fields too', async () => {
    const [one, other] = [await whole(), await open(url)]
    // Nodes of a cluster are connected to when they are first asked: a new connection is in doubt until it has been looked at.
    const believed = await until('it is believed', LIMIT_MS, async () => {
      await other.look(FIELDS)
      const answer = await read(other)
      return answer.sure ? answer : undefined
    })
    expect(believed).toEqual({ sure: true, rows: all })
    await other.look([...FIELDS, 'g@1'])
    expect(other.doubts.has('lost')).toBe(true)
    expect(await restore(other)).toEqual(['g@1'])
    expect(await read(other)).toMatchObject({ sure: true })
    expect(await read(one)).toMatchObject({ sure: true })
    await Promise.all([one.close(), other.close()])
  })

  test('is restored by one process at a time, and not at all when it loses its data meanwhile', async () => {
    const [one, other] = [await whole(), await open(url)]
    await other.look(FIELDS)
    await Promise.all(nodes.map(emptyRedis))
    expect(await restore(one, async () => expect(await restore(other)).toBeUndefined())).toEqual(['fences', 'f@1'])
    await Promise.all(nodes.map(emptyRedis))
    const failed = await restore(one, () => Promise.all(nodes.map(emptyRedis))).catch((error) => error.code)
    expect(failed).toBe('store_unavailable')
    expect(await read(one)).toMatchObject({ sure: false })
    expect(await restore(other)).toEqual(['fences', 'f@1'])
    await one.look()
    for (const store of [one, other]) expect(await read(store)).toEqual({ sure: true, rows: all })
    await Promise.all([one.close(), other.close()])
  })

  test('that refuses a write is known to at once, and its rows count still', async () => {
    const store = await whole()
    const maxmemory = (bytes: string) => Promise.all(nodes.map((node) => askRedis(node, 'CONFIG', 'SET', 'maxmemory', bytes)))
    await maxmemory('1')
    expect(await write(store).catch((error) => error.code)).toBe('store_unavailable')
    expect(store.doubts.why().get('refused')).toContain('OOM')
    expect(await read(store)).toEqual({ sure: false, rows: all })
    await maxmemory('0')
    await store.look()
    expect(await read(store)).toEqual({ sure: true, rows: all })
    await store.close()
  })
})

test('a node of a cluster that is emptied makes the keys of the others no worse than doubted', async () => {
  await Promise.all(cluster.nodes.map(emptyRedis))
  const store = await open(cluster.url)
  await store.look(FIELDS)
  await restore(store)
  await emptyRedis(cluster.nodes[2] as TestServer)
  // The last third of the slots.
  const lost = KEYS.filter((key) => slotOf(`fabra:{User:${key}}`) >= 10_923)
  expect(lost.length).toBeGreaterThan(0)
  expect(await read(store, lost)).toEqual({ sure: false, rows: undefined })
  await store.close()
})

test.each([
  ['may ask which server it is', []],
  ['may not ask which server it is', ['-info']],
])('a user who %s: an older snapshot is not believed, and a connection that was lost is again', async (_, rights) => {
  await using server = await startRedis({ args: ['--user', 'fabra', 'on', '>secret', '~*', '+@all', ...rights] })
  const [store, other] = [await open(server.url.replace('//', '//fabra:secret@')), await open(server.url.replace('//', '//fabra:secret@'))]
  await store.look(FIELDS)
  await restored(store)
  await other.look(FIELDS)
  if (other.doubts.has('lost')) await restored(other)
  await store.look()
  for (const one of [store, other]) expect(await read(one)).toEqual({ sure: true, rows: all })
  await until('nobody to restore', LIMIT_MS, async () => Number(await askRedis(server, 'EXISTS', 'fabra:restorer')) === 0 || undefined)
  await askRedis(server, 'SAVE')
  await server.kill()
  await server.start()
  const looks = (one: OnlineStore) =>
    one.look().then(
      () => true as const,
      () => undefined,
    )
  const back = async () => {
    for (const one of [store, other]) await until('redis', LIMIT_MS, () => looks(one))
  }
  await back()
  expect(await read(store)).toEqual({ sure: false, rows: undefined })
  expect(await restore(store)).toEqual(['fences', 'f@1'])
  await other.look()
  for (const one of [store, other]) expect(await read(one)).toEqual({ sure: true, rows: all })
  await askRedis(server, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await back()
  if (rights.length > 0) await restored(store)
  expect(await read(store)).toEqual({ sure: true, rows: all })
  await Promise.all([store.close(), other.close()])
})

test('a look that outlives its server says nothing of the one that comes after it', async () => {
  await using server = await startRedis()
  const opening = { url: server.url, ...PATIENT_REDIS, connectTimeoutMs: 20_000 }
  const filler = createRedisOnlineStore(await openRedis(opening))
  await filler.look(FIELDS)
  await restored(filler)
  const redis = await openRedis(opening)
  const restart = async () => {
    const before = redis.places()[0]?.server
    await askRedis(server, 'SAVE')
    await server.kill()
    await server.start()
    await until('both connections to lead to it', LIMIT_MS, async () => {
      const now = redis.places()[0]?.server
      return (now !== before && now !== undefined && redis.writesTo() === now) || undefined
    })
  }
  let restarting: Promise<void> | undefined
  const store = createRedisOnlineStore({
    ...redis,
    // Between the marks and whether all is there that is expected.
    async send(command, ...args) {
      if (command !== 'GET') return redis.send(command, ...args)
      restarting ??= restart()
      await restarting
      return redis.send(command, ...args)
    },
  })
  await store.look(FIELDS).catch(() => undefined)
  expect(restarting).toBeDefined()
  expect(store.doubts.has('lost')).toBe(true)
  expect(await read(store)).toEqual({ sure: false, rows: undefined })
  await Promise.all([filler.close(), store.close()])
})

test('slots are those of the cluster', async () => {
  for (const key of ['fabra:{User:u1}', 'a{b}c{d}', '{}x', 'plain', '{ü}', 'fabra:{User:a}b}'])
    expect(slotOf(key)).toBe(Number(await askRedis(cluster.nodes[0] as TestServer, 'CLUSTER', 'KEYSLOT', key)))
})
