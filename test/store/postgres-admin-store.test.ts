import { afterAll, beforeAll, setDefaultTimeout } from 'bun:test'
import { createPostgresAdminStore } from '../../src/store/postgres/admin-store.ts'
import { createPostgresAuditStore } from '../../src/store/postgres/audit-store.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { adminStoreSuite } from '../conformance/admin-store-suite.ts'
import { auditStoreSuite } from '../conformance/audit-store-suite.ts'
import { startPgBouncer, startPostgres, type TestServer } from '../support/servers.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(180_000)

let server: TestServer
let bouncer: TestServer
let postgres: Postgres
beforeAll(async () => {
  server = await startPostgres()
  bouncer = await startPgBouncer(server)
  postgres = openPostgres({ url: bouncer.url })
  await migrate(postgres)
})
afterAll(async () => {
  await postgres.close()
  await bouncer[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

adminStoreSuite('postgres', async () => {
  await postgres.run('TRUNCATE fabra.api_keys, fabra.runs', [], { timeoutMs: 10_000 })
  return createPostgresAdminStore(postgres)
})

auditStoreSuite('postgres', async () => {
  await postgres.run('TRUNCATE fabra.audit', [], { timeoutMs: 10_000 })
  return createPostgresAuditStore(postgres)
})
