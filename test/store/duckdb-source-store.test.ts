import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { sourceStoreSuite } from '../conformance/source-store-suite.ts'

sourceStoreSuite('duckdb', async () => createDuckdbSourceEngine(await openDatabase({ file: ':memory:' })))
