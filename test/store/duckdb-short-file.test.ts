import { expect, test } from 'bun:test'
import { copyFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { HEAD_BYTES, readHead } from '../../src/store/duckdb/damage/file-head.ts'
import { mayLackRows, unreadableTables } from '../../src/store/duckdb/damage/unreadable-tables.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { CATALOG } from '../../src/store/duckdb/sql.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { temporaryFolder } from '../support/binary.ts'

const BLOCK = 262_144
/** Rows whose values do not compress; each hundredth does not fit into a block's dictionary and lies in blocks of its own. */
const ROWS = 2_500

test('a file that is shorter than its head says lacks rows only where a block of rows is gone, which is told without reading them', async () => {
  const dir = temporaryFolder()
  try {
    const file = join(dir, 'fabra.duckdb')
    const database = await openDatabase({ file })
    const store = createDuckdbOfflineStore(database)
    const value = (size: number) => JSON.stringify(Buffer.from(crypto.getRandomValues(new Uint8Array(size))).toString('hex'))
    await store.append(
      Array.from({ length: ROWS }, (_, i) => row({ seq: i + 1, entityKey: `u${i + 1}`, value: value(i % 100 === 0 ? 20_000 : 300) })),
    )
    await store.close()
    const blocks = Math.floor((statSync(file).size - HEAD_BYTES) / BLOCK)
    expect(blocks).toBeGreaterThan(8)
    let whole = 0
    let lacking = 0
    for (let left = blocks; left >= 0; left--) {
      const cut = join(dir, `cut-${left}`)
      copyFileSync(file, cut)
      truncateSync(cut, HEAD_BYTES + left * BLOCK)
      const head = readHead(cut)
      expect(head?.blocks).toBe(left)
      const found = await lookInto(cut, left)
      // Where the engine does not open it, the engine says so.
      if (found === null) continue
      if (found.unreadable) expect([left, found.mayLack]).toEqual([left, true])
      if (found.mayLack) lacking++
      else whole++
      rmSync(cut)
    }
    expect(whole).toBeGreaterThan(0)
    expect(lacking).toBeGreaterThan(0)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

async function lookInto(file: string, blocks: number): Promise<{ readonly mayLack: boolean; readonly unreadable: boolean } | null> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  try {
    await connection.run(`ATTACH '${file}' AS ${CATALOG} (READ_ONLY)`)
    const mayLack = await mayLackRows(connection, CATALOG, blocks)
    return { mayLack, unreadable: (await unreadableTables(connection, CATALOG)).length > 0 }
  } catch {
    return null
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}
