import { afterAll, expect, test } from 'bun:test'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import { createRedisLeaseStore } from '../../src/store/redis/lease-store.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import { leaseStoreSuite } from '../conformance/lease-store-suite.ts'
import { PATIENT_REDIS } from '../support/patience.ts'
import { emptyRedis, startRedis, startRedisCluster } from '../support/servers.ts'

const servers = await Promise.all([startRedis(), startRedisCluster()])
const [single, cluster] = servers
const connections = await Promise.all(servers.map(({ url }) => openRedis({ url, ...PATIENT_REDIS })))
afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()))
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
})
const leasesOf = (connection: (typeof connections)[number] | undefined) => {
  if (!connection) throw new Error('There is no connection.')
  return createRedisLeaseStore(connection)
}
const waits = async () => undefined

let nowMs = 0
leaseStoreSuite(
  'memory',
  async () => createMemoryLeaseStore(() => nowMs),
  async (ms) => {
    nowMs += ms
  },
)

leaseStoreSuite(
  'redis',
  async () => {
    await emptyRedis(single)
    return leasesOf(connections[0])
  },
  waits,
)

leaseStoreSuite(
  'redis cluster',
  async () => {
    await Promise.all(cluster.nodes.map(emptyRedis))
    return leasesOf(connections[1])
  },
  waits,
)

test('tokens rise even over a redis that lost its data', async () => {
  await emptyRedis(single)
  const leases = leasesOf(connections[0])
  const before = await leases.acquire('lost', 60_000)
  expect(before).toBeNumber()
  await emptyRedis(single)
  expect(await leases.acquire('lost', 60_000)).toBeGreaterThan(before ?? 0)
})
