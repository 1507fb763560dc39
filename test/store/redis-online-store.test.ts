import { afterAll, beforeAll } from 'bun:test'
import { openRedis } from '../../src/store/redis/connection.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { onlineStoreSuite } from '../conformance/online-store-suite.ts'
import { emptyRedis, startRedis, type TestServer } from '../support/servers.ts'

let server: TestServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

onlineStoreSuite('redis', async () => {
  await emptyRedis(server)
  return createRedisOnlineStore(await openRedis({ url: server.url }))
})
