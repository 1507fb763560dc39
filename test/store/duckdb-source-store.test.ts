import { openDatabase } from '../../src/store/duckdb/database.ts'
import { createDuckdbSourceStore } from '../../src/store/duckdb/source-store.ts'
import { sourceStoreSuite } from '../conformance/source-store-suite.ts'

sourceStoreSuite('duckdb', async () => createDuckdbSourceStore(await openDatabase({ file: ':memory:' })))
