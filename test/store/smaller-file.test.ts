/** The data file after most of its rows have left: as small as what is in it, while values are read and come in. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSmallerFile } from '../../src/app/smaller-file.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbHistoryRemoval } from '../../src/store/duckdb/history/history-removal.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbShrinking } from '../../src/store/duckdb/history/shrinking.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { source } from '../support/stored-definitions.ts'

setDefaultTimeout(120_000)

const MIB = 1_048_576
const HOUR = 3_600_000_000
const BASE = Date.UTC(2026, 0, 1) * 1_000
const ROWS = 36_000

test('a file becomes as small as what is left in it, while values are read and come in, and holds the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fabra-smaller-'))
  const file = join(folder, 'fabra.duckdb')
  const database = await openDatabase({ file })
  const offline = createDuckdbOfflineStore(database)
  const size = async () => (await stat(file)).size / MIB
  const checkpoint = () => database.history.use(ownDeadline(100_000), (session, left) => session.execute('CHECKPOINT __fabra_store', left))
  try {
    await database.history.use(ownDeadline(100_000), (session, left) =>
      session.execute(
        `INSERT INTO fabra.feature_history SELECT 'spend', 'f1', 'u' || (i % 100), '"' || repeat(md5(i::VARCHAR), 20) || '"',
          to_timestamp(${BASE / 1e6} + i), to_timestamp(${BASE / 1e6} + i), to_timestamp(${BASE / 1e6} + i), i, 'computed' FROM range(${ROWS}) AS t(i)`,
        left,
      ),
    )
    await database.loader.use(ownDeadline(100_000), (session, left) =>
      session.execute(`CREATE TABLE events AS SELECT i AS n, md5(i::VARCHAR) || md5('b' || i) AS text FROM range(${ROWS}) AS t(i)`, left),
    )
    await checkpoint()
    const full = await size()
    await database.loader.use(ownDeadline(100_000), (session, left) => session.execute('DELETE FROM events WHERE n < 14_000', left))
    const removal = createDuckdbHistoryRemoval(database)
    const rule = { feature: 'spend', before: BASE + (ROWS - 5_000) * 1_000_000, origins: ['computed'] as const }
    while ((await removal.removeLot(rule, { after: null })).next);
    await checkpoint()
    const before = await size()
    // What the engine does by itself: the room is free, and the file as long as it was.
    expect(before).toBeGreaterThan(full * 0.9)
    const latest = async () => (await offline.latestOf('spend', 'f1', ['u0', 'u42', 'u99'])).map((one) => one?.seq)
    const seen = await latest()

    const events = source('events', { timestamp: 'made_at', columns: { n: 'BIGINT' } })
    const sweeper = createSmallerFile({
      sources: () => [events],
      shrinking: createDuckdbShrinking(database, file, 4),
      leases: createMemoryLeaseStore(() => 0),
      log: silentLogger,
    })
    let isOver = false
    const sweeping = sweeper.sweep().finally(() => {
      isOver = true
    })
    let pushed = 0
    while (!isOver) {
      pushed++
      const at = BASE + pushed * HOUR
      await offline.append([
        row({
          feature: 'clicks',
          entityKey: 'u1',
          value: `${pushed}`,
          eventAt: at,
          availableAt: at,
          createdAt: at,
          seq: pushed,
          origin: 'pushed',
        }),
      ])
      if (pushed % 8 === 1) expect(await latest()).toEqual(seen)
    }
    const freed = await sweeping
    await sweeper.close()
    expect(freed).toBeGreaterThan(0)
    // A fifth is left of it. How far the engine compresses that is its own choice each time.
    expect(await size()).toBeLessThan(full * 0.6)
    const [count] = await database.readers.use(ownDeadline(100_000), async (session, left) => {
      const { rows } = await session.read(
        `SELECT count(*), count(DISTINCT seq), sum(seq) FROM fabra.feature_history WHERE feature = 'spend'`,
        [],
        left,
      )
      return rows.map((one) => one.map(Number))
    })
    const [events_] = await database.readers.use(ownDeadline(100_000), async (session, left) => {
      const { rows } = await session.read('SELECT count(*), count(DISTINCT n), min(n) FROM events', [], left)
      return rows.map((one) => one.map(Number))
    })
    expect(events_).toEqual([ROWS - 14_000, ROWS - 14_000, 14_000])
    // All since the time, and the newest of each other key before it.
    const kept = Array.from({ length: ROWS }, (_, i) => i).filter((i) => i >= ROWS - 5_099)
    expect(count).toEqual([kept.length, kept.length, kept.reduce((sum, i) => sum + i, 0)])
    expect(await offline.latestOf('clicks', 'f1', ['u1']).then(([one]) => one?.value)).toBe(`${pushed}`)
  } finally {
    await offline.close()
    await database.close()
  }
  const again = await openDatabase({ file })
  await again.close()
  await rm(folder, { recursive: true, force: true })
})
