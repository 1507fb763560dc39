import { createMemoryOnlineStore } from '../../src/store/memory/online-store.ts'
import { onlineStoreSuite } from '../conformance/online-store-suite.ts'

onlineStoreSuite('memory', async () => createMemoryOnlineStore())
