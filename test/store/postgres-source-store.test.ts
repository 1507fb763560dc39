import { afterAll, beforeAll } from 'bun:test'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresSourceEngine } from '../../src/store/postgres/sources/source-engine.ts'
import { sourceStoreSuite } from '../conformance/source-store-suite.ts'
import { startPostgres, type TestServer } from '../support/servers.ts'

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
}, 180_000)
afterAll(() => server[Symbol.asyncDispose]())

sourceStoreSuite('postgres', async () => {
  const postgres = openPostgres({ url: server.url })
  return createPostgresSourceEngine({ reader: postgres, owner: postgres, loadFile: null })
})
