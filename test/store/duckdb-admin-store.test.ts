import { createDuckdbAdminStore } from '../../src/store/duckdb/admin-store.ts'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { adminStoreSuite } from '../conformance/admin-store-suite.ts'

adminStoreSuite('duckdb', async () => createDuckdbAdminStore(await openDatabase({ file: ':memory:' })))
