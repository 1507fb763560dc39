import { afterAll, beforeAll } from 'bun:test'
import { trainingSuite } from '../conformance/training-suite.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'

let servers: ProductionServers
beforeAll(async () => {
  servers = await startProduction()
}, 180_000)
afterAll(() => servers[Symbol.asyncDispose]())

trainingSuite('on the laptop', async () => ({}))
trainingSuite('with PostgreSQL and Redis', () => servers.fresh())
