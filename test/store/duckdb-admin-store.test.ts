import { createDuckdbAdminStore } from '../../src/store/duckdb/admin-store.ts'
import { createDuckdbAuditStore } from '../../src/store/duckdb/audit-store.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { adminStoreSuite } from '../conformance/admin-store-suite.ts'
import { auditStoreSuite } from '../conformance/audit-store-suite.ts'

adminStoreSuite('duckdb', async () => createDuckdbAdminStore(await openDatabase({ file: ':memory:' })))
auditStoreSuite('duckdb', async () => createDuckdbAuditStore(await openDatabase({ file: ':memory:' })))
