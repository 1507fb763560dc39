import { afterAll, beforeAll } from 'bun:test'
import { exactValuesSuite } from '../conformance/exact-values-suite.ts'
import { type ProductionServers, startProduction } from '../support/production.ts'

let servers: ProductionServers
beforeAll(async () => {
  servers = await startProduction()
}, 180_000)
afterAll(() => servers[Symbol.asyncDispose]())

exactValuesSuite('on the laptop', async () => ({}))
exactValuesSuite('with PostgreSQL and Redis', () => servers.fresh())
