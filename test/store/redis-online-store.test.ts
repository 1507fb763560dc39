import { afterAll, describe, expect, test } from 'bun:test'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { onlineStoreSuite } from '../conformance/online-store-suite.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { askRedis, emptyRedis, startRedis, startRedisCluster, startTlsRedis } from '../support/servers.ts'

/** What docs/redis.md gives the user. */
const ACL = ['~fabra:*', 'resetchannels', '+@read', '+@write', '+@scripting', '+@connection', '-@dangerous', '+info', '+time']

const servers = await Promise.all([startRedis(), startRedisCluster(), startTlsRedis(ACL)])
const [single, cluster, secured] = servers
afterAll(async () => {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
})

const open = async (url: string) => createRedisOnlineStore(await openRedis({ url, ...PATIENT_REDIS }))

onlineStoreSuite('redis', async () => {
  await emptyRedis(single)
  return open(single.url)
})

onlineStoreSuite('redis cluster of three masters', async () => {
  await Promise.all(cluster.nodes.map(emptyRedis))
  return open(cluster.url)
})

onlineStoreSuite('redis behind TLS, as a user that may do little', async () => {
  await emptyRedis(secured.plain)
  return open(secured.url)
})

describe('redis', () => {
  const value = { texts: ['1'], eventAt: 10, availableAt: 10, seq: 1, origin: 'computed', oldestInputAt: null } as const

  test('a cluster keeps an entity key in one slot, and keys in all nodes', async () => {
    await Promise.all(cluster.nodes.map(emptyRedis))
    const store = await open(cluster.url)
    const keys = Array.from({ length: 60 }, (_, i) => `u${i}`)
    await store.write(keys.map((key) => ({ entity: 'User', key, field: 'f@1', value })))
    const sizes = await Promise.all(cluster.nodes.map((node) => askRedis(node, 'DBSIZE')))
    expect(sizes.every((size) => Number(size) > 0)).toBe(true)
    // A node may hold its mark besides, once somebody has looked at it.
    const all = sizes.reduce<number>((sum, size) => sum + Number(size), 0)
    expect(all - 60).toBeOneOf([0, 1, 2, cluster.nodes.length])
    await store.close()
  })

  test('the first address of a cluster may be wrong', async () => {
    const store = await open(`redis+cluster://127.0.0.1:1,127.0.0.1:${cluster.nodes[1]?.port}`)
    await store.write([{ entity: 'User', key: 'u1', field: 'f@1', value }])
    expect(await store.read('User', ['u1'], ['f@1'], undefined)).toEqual([[value]])
    await store.close()
  })

  test.each([
    ['a certificate of an unknown authority', () => `rediss://fabra:se%3Acr%40t@127.0.0.1:${secured.tlsPort}`],
    ['a wrong password', () => secured.url.replace('cr%40t', 'cret')],
    ['an unknown user', () => secured.url.replace('fabra:', 'nobody:')],
  ])('%s is told without the password and the address', async (_what, url) => {
    const problems: string[] = []
    const connection = await openRedis({ url: url(), onProblem: (message, cause) => void problems.push(`${message} ${cause}`) })
    const store = createRedisOnlineStore(connection)
    const error = await Promise.resolve(store.read('User', ['u1'], ['f@1'], undefined)).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'store_unavailable' })
    expect(problems.length).toBeGreaterThan(0)
    expect(connection.status()).not.toBe('ok')
    const shown = `${problems} ${connection.status()} ${Bun.inspect(error)}`
    expect(shown).not.toMatch(/cr@t|cr%40t|cret\b|127\.0\.0\.1|nobody/)
    await store.close()
  })

  test('whoever asks is told what others wrote: what was replaced, and what stands', async () => {
    const store = await open(single.url)
    await emptyRedis(single)
    const write = (eventAt: number, seq: number, after?: number) =>
      store.write([{ entity: 'User', key: 'u1', field: 'f@1', value: { ...value, texts: ['1', '"a"'], eventAt, seq }, after }])
    const none = { refused: [], erasures: [], replacedForeign: [], winner: [] }
    expect(await write(10, 1, 0)).toEqual(none)
    expect(await write(20, 2, 1)).toEqual(none)
    expect(await write(30, 3)).toEqual(none)
    expect(await write(40, 4, 2)).toEqual({ ...none, replacedForeign: [0] })
    expect(await write(35, 5, 4)).toEqual({ ...none, refused: [0] })
    const winner = { index: 0, value: { ...value, texts: ['1', '"a"'], eventAt: 40, seq: 4 } }
    expect(await write(35, 6, 3)).toEqual({ ...none, refused: [0], winner: [winner] })
    await store.write([{ entity: 'User', key: 'u1', field: 'f_0@1', value }])
    expect(await write(35, 7, 0)).toEqual({ ...none, refused: [0], winner: [winner] })
    await store.close()
  })

  test('versions of a feature that nobody writes for a week go when a later one is written', async () => {
    const store = await open(single.url)
    const week = 7 * 86_400_000_000
    const write = (field: string, eventAt: number) => store.write([{ entity: 'User', key: 'old', field, value: { ...value, eventAt } }])
    await write('f@1', 1_000)
    await write('f_2@1', 1_000)
    await write('f@2', 1_000 + week)
    expect(await store.read('User', ['old'], ['f@1'], undefined)).toMatchObject([[{ eventAt: 1_000 }]])
    await store.forget({ entity: 'User', entityKey: 'none', at: 1 })
    await write('f@3', 1_001 + week)
    const kept = await store.read('User', ['old'], ['f@1', 'f_2@1', 'f@2', 'f@3'], undefined)
    expect(kept[0]?.map((one) => one?.eventAt)).toEqual([undefined, 1_000, 1_000 + week, 1_001 + week])
    await store.close()
  })
})
