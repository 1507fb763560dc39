import { expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { offlineStoreSuite, row } from '../conformance/offline-store-suite.ts'

offlineStoreSuite('duckdb', async () => createDuckdbOfflineStore(await openDatabase({ file: ':memory:' })))

test('history appended before a restart is there after it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'fabra-test-'))
  try {
    const first = createDuckdbOfflineStore(await openDatabase({ file: join(dir, 'fabra.duckdb') }))
    await first.append([row({ seq: 7 })])
    await first.close()
    const second = createDuckdbOfflineStore(await openDatabase({ file: join(dir, 'fabra.duckdb') }))
    expect(await second.lastSeq()).toBe(7)
    expect(await second.latestOf('spend', 'f1', ['u1'])).toEqual([row({ seq: 7 })])
    await second.close()
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
