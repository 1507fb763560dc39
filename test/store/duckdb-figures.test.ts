/** What history in a file is told to take. */
import { expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { CATALOG } from '../../src/store/duckdb/sql.ts'
import { createDuckdbFigures } from '../../src/store/duckdb/storage-figures.ts'
import { temporaryFolder } from '../support/binary.ts'

const BLOCK_BYTES = 262_144

test('history takes what its blocks take, and rows that are in no block yet what they will take there', async () => {
  const folder = temporaryFolder()
  const database = await openDatabase({ file: join(folder, 'fabra.duckdb') })
  const execute = (text: string) => database.history.use(ownDeadline(), (session) => session.execute(text, ownDeadline()))
  const write = (from: number, count: number) =>
    execute(`INSERT INTO fabra.feature_history (feature, fingerprint, entity_key, value, event_timestamp, available_at, created_at, origin, seq)
      SELECT 'f', 'v', 'user_' || (i % 200), (i % 7)::VARCHAR, t, t, t, 'computed', i
      FROM (SELECT i, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i // 200) AS t FROM range(${from}, ${from + count}) AS r(i))`)
  const look = () => createDuckdbFigures(database).recorded({ now: 0, ages: [], sources: [] })
  await write(0, 150_000)
  await execute(`CHECKPOINT ${CATALOG}`)
  const packed = await look()
  await write(150_000, 75_000)
  const more = await look()
  expect([packed.features[0]?.rows, more.features[0]?.rows]).toEqual([150_000, 225_000])
  // A row's texts and times are some 34 bytes, unpacked.
  expect([packed.bytes % BLOCK_BYTES, packed.bytes < 150_000 * 20, more.bytes]).toEqual([0, true, 1.5 * packed.bytes])
  await database.close()
  rmSync(folder, { recursive: true, force: true })
})
