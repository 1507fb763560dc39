/** Appended rows that are too old leave, and nothing else does; what leaves is in the archive, once, whatever ends in between. Of both engines. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createArchive } from '../../src/app/archive/archive.ts'
import { createOldHistory } from '../../src/app/old-history.ts'
import { createOldRows } from '../../src/app/old-rows.ts'
import { type TableGrowth, tableGrowth } from '../../src/app/table-growth.ts'
import type { Source } from '../../src/definition/model.ts'
import { silentLogger } from '../../src/observability/logger.ts'
import { createDuckdbArchiveMarks } from '../../src/store/duckdb/archive-marks.ts'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbHistoryRemoval } from '../../src/store/duckdb/history/history-removal.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbSourceFigures } from '../../src/store/duckdb/source-growth.ts'
import { createDuckdbRowsRemoval } from '../../src/store/duckdb/sources/rows-removal.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { createDuckdbFigures } from '../../src/store/duckdb/storage-figures.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import type { ArchiveMarks } from '../../src/store/ports/archive.ts'
import type { HistoryRemoval } from '../../src/store/ports/history-removal.ts'
import type { OfflineStore } from '../../src/store/ports/offline-store.ts'
import type { RowsRemoval } from '../../src/store/ports/rows-removal.ts'
import type { SourceEngine } from '../../src/store/ports/source-engine.ts'
import type { OfflineFigures, SourceFigures } from '../../src/store/ports/storage-figures.ts'
import { createPostgresArchiveMarks } from '../../src/store/postgres/archive-marks.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { createPostgresHistoryRemoval } from '../../src/store/postgres/history/history-removal.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { createPostgresSourceFigures } from '../../src/store/postgres/inspect/source-growth.ts'
import { createPostgresFigures } from '../../src/store/postgres/inspect/storage-figures.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createPostgresRowsRemoval } from '../../src/store/postgres/sources/rows-removal.ts'
import { createPostgresSourceEngine } from '../../src/store/postgres/sources/source-engine.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { movableClock } from '../support/clock.ts'
import { startPostgres } from '../support/servers.ts'
import { feature, source } from '../support/stored-definitions.ts'

// A PostgreSQL cluster is created.
setDefaultTimeout(120_000)

interface Engine {
  readonly sources: SourceEngine
  readonly rows: RowsRemoval
  readonly history: HistoryRemoval
  readonly offline: OfflineStore
  readonly marks: ArchiveMarks
  readonly figures: OfflineFigures
  readonly growth: SourceFigures
  execute(sql: string): Promise<unknown>
  close(): Promise<void>
}

async function duckdb(): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'fabra-rows-'))
  const database = await openDatabase({ file: join(folder, 'fabra.duckdb') })
  return {
    sources: createDuckdbSourceEngine(database),
    rows: createDuckdbRowsRemoval(database, 50),
    history: createDuckdbHistoryRemoval(database, 50),
    offline: createDuckdbOfflineStore(database),
    marks: createDuckdbArchiveMarks(database),
    figures: createDuckdbFigures(database),
    growth: createDuckdbSourceFigures(database),
    execute: (sql) => database.loader.use(ownDeadline(), (session, left) => session.execute(sql, left)),
    async close() {
      await database.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function postgres(): Promise<Engine> {
  const server = await startPostgres()
  const connection = openPostgres({ url: server.url })
  await migrate(connection)
  return {
    sources: createPostgresSourceEngine({ reader: connection, owner: connection, loadFile: null }),
    rows: createPostgresRowsRemoval(connection, 1),
    history: createPostgresHistoryRemoval(connection),
    offline: createPostgresOfflineStore({ postgres: connection, random: Math.random, onProblem: () => undefined }),
    marks: createPostgresArchiveMarks(connection),
    figures: createPostgresFigures(connection),
    growth: createPostgresSourceFigures(connection),
    execute: (sql) => connection.run(sql, [], { timeoutMs: 100_000 }),
    async close() {
      await connection.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

const DAY = 86_400_000_000
const NOW = Date.UTC(2026, 5, 1) * 1_000
const log = silentLogger
const patience = { signal: new AbortController().signal, timeoutMs: 100_000 }

describe.each([
  ['DuckDB', duckdb],
  ['PostgreSQL', postgres],
])('appended rows of %s', (_name, open) => {
  let engine: Engine
  let folder: string
  let reader: Awaited<ReturnType<typeof openDatabase>>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fabra-archive-'))
    engine = await open()
    reader = await openDatabase({ file: ':memory:' })
  })
  afterAll(async () => {
    await engine?.close()
    await reader?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const declared = (name: string, facts: Partial<Source> = {}) =>
    source(name, { timestamp: 'at', columns: { user_id: 'VARCHAR', at: 'TIMESTAMPTZ', n: 'BIGINT', note: 'VARCHAR' }, ...facts })
  const load = (some: readonly Source[]) => engine.sources.load(some.map((one) => ({ source: one, keyTypes: { user_id: 'string' } })))
  const fill = (name: string, daysAgo: readonly number[]) =>
    engine.execute(
      `INSERT INTO ${name} VALUES ${daysAgo.map((days, i) => `('u${i % 3}', to_timestamp(${(NOW - days * DAY) / 1e6}), ${i}, 'it''s "${'x'.repeat(100)}"')`).join(', ')}`,
    )
  const numbers = async (name: string) => {
    const { rows } = await engine.sources.query(`SELECT n FROM ${name} ORDER BY n`, [], patience)
    return rows.map(([n]) => Number(n))
  }
  const archive = () => createArchive({ folder, marks: engine.marks, log })
  const sweep = async (some: readonly Source[], archived = archive()) => {
    const leases = createMemoryLeaseStore(() => 0)
    const clock = movableClock(NOW)
    const sweeper = createOldRows({ removal: engine.rows, archive: archived, leases, sources: () => some, keep: 30 * DAY, clock, log })
    const gone = await sweeper.sweep()
    await sweeper.close()
    return gone
  }
  /** As a source has them, of all files there are. */
  const archived = async (under: string) => {
    const place = declared('archived', { columns: null, file: join(folder, under, '*.parquet') })
    const engineOf = createDuckdbSourceEngine(reader)
    expect(
      await engineOf.load([{ source: { ...place, timestamp: under.startsWith('history') ? 'event_timestamp' : 'at' }, keyTypes: {} }]),
    ).toEqual([])
    const column = under.startsWith('history') ? 'seq' : 'n'
    const { rows } = await engineOf.query(`SELECT ${column} FROM archived ORDER BY 1`, [], patience)
    return rows.map(([n]) => Number(n))
  }

  test('leave when they are older than they are kept, in lots, and are in the archive', async () => {
    const events = declared('events')
    const visits = declared('visits', { id: 'n' })
    expect(await load([events, visits])).toEqual([])
    const days = Array.from({ length: 240 }, (_, i) => i / 4)
    await fill('events', days)
    await fill('visits', [1, 40, 50])
    // Of one id: were the older one gone, the younger would be seen in its place.
    await engine.execute(`INSERT INTO visits SELECT user_id, to_timestamp(${(NOW - 2 * DAY) / 1e6}), n, note FROM visits WHERE n = 2`)
    expect(await sweep([events, visits])).toBe(119 + 1)
    expect(await numbers('events')).toEqual(Array.from({ length: 121 }, (_, i) => i))
    expect(await numbers('visits')).toEqual([0, 2, 2])
    expect(await archived('rows/events')).toEqual(Array.from({ length: 119 }, (_, i) => i + 121))
    expect([...(await engine.rows.keptSince(['events', 'visits', 'other']))]).toEqual([
      ['events', NOW - 30 * DAY],
      ['visits', NOW - 30 * DAY],
    ])
    expect(await sweep([events, visits])).toBe(0)
    expect((await readdir(join(folder, 'rows/events'))).length).toBe(1)
  })

  test('stay in tables that Fabra did not make, and in sources that it reads from files', async () => {
    await engine.execute('CREATE VIEW looked AS SELECT * FROM events')
    await engine.execute('CREATE TABLE theirs (user_id VARCHAR, "at" TIMESTAMPTZ, n BIGINT, note VARCHAR)')
    await fill('theirs', [100, 200])
    const isPostgres = engine.sources.dialect === 'postgres'
    const theirs = [declared('looked'), ...(isPostgres ? [declared('theirs')] : []), declared('filed', { file: '/x.csv' })]
    expect(await sweep(theirs)).toBe(0)
    expect(await numbers('theirs')).toEqual([0, 1])
  })

  test('are in the archive once and nowhere else, wherever the work ends', async () => {
    const clicks = declared('clicks')
    await load([clicks])
    await fill('clicks', [10, 50, 60, 70])
    const whole = archive()
    const ending = new Error('the process ends here')
    // After the part was written, before the transaction has ended.
    const before: typeof whole = {
      ...whole,
      taker:
        (...about) =>
        async (rows) =>
          whole
            .taker(...about)(rows)
            .then(() => Promise.reject(ending)),
    }
    expect(await sweep([clicks], before)).toBe(0)
    expect(await numbers('clicks')).toEqual([0, 1, 2, 3])
    // After the transaction, before there is a file of it.
    const after: typeof whole = { ...whole, join: () => Promise.reject(ending) }
    expect(await sweep([clicks], after)).toBe(3)
    expect(await numbers('clicks')).toEqual([0])
    const parts = join(folder, '.parts/rows/clicks')
    expect((await readdir(parts)).length).toBe(2)
    // Another process, later: the first part's rows did not leave, as its name was never written.
    const long = new Date(Date.now() - 3_600_000)
    for (const name of await readdir(parts)) await utimes(join(parts, name), long, long)
    await archive().joinAll()
    expect(await archived('rows/clicks')).toEqual([1, 2, 3])
    expect(await readdir(parts)).toEqual([])
    // Nothing can be written: nothing leaves.
    await fill('clicks', [80])
    const full = createArchive({ folder: '/dev/null/archive', marks: engine.marks, log })
    expect(await sweep([clicks], full)).toBe(0)
    expect((await numbers('clicks')).length).toBe(2)
  })

  test('and recorded values are archived as an export has them', async () => {
    const kept = feature({ name: 'spend', keep: 30 * DAY })
    const days = Array.from({ length: 60 }, (_, i) => 60 - i)
    await engine.offline.append(
      days.map((ago, i) => {
        const at = NOW - ago * DAY
        return row({
          feature: 'spend',
          fingerprint: 'f1',
          entityKey: 'u1',
          value: i === 3 ? null : `"${i}%"`,
          eventAt: at,
          availableAt: at,
          createdAt: at,
          seq: i + 1,
        })
      }),
    )
    const sweeper = createOldHistory({
      removal: engine.history,
      archive: archive(),
      keyOf: () => [{ name: 'user_id', type: 'string' }],
      leases: createMemoryLeaseStore(() => 0),
      features: () => [kept],
      keep: null,
      clock: movableClock(NOW),
      log,
    })
    const gone = await sweeper.sweep()
    await sweeper.close()
    expect(gone).toBe(30)
    expect(await archived('history/spend')).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
    const { rows } = await createDuckdbSourceEngine(reader).query(
      `SELECT user_id, value, feature, origin, CAST(event_timestamp = available_at AS VARCHAR) FROM archived WHERE seq IN (3, 4) ORDER BY seq`,
      [],
      patience,
    )
    expect(rows).toEqual([
      ['u1', '"2%"', 'spend', 'computed', 'true'],
      ['u1', null, 'spend', 'computed', 'true'],
    ])
  })

  test('are foretold: what a table holds after more days like the last, and what a setting would save', async () => {
    const steady = declared('steady')
    await load([steady])
    const isPostgres = engine.sources.dialect === 'postgres'
    const table = (name: string) => `${isPostgres ? 'generate_series(0, 5999)' : 'range(6000)'} AS ${name}(i)`
    const addDay = (day: number) =>
      engine.execute(
        `INSERT INTO steady SELECT 'u' || i, to_timestamp(${NOW / 1e6} + ${day * 86_400} + i * 14), i, md5('${day} ' || i) || md5('b${day} ' || i) FROM ${table('t')}`,
      )
    const look = async (now: number) => {
      await engine.execute(isPostgres ? 'ANALYZE steady' : 'CHECKPOINT __fabra_store')
      const found = await engine.figures.tables({ now, ages: [], sources: ['steady'] })
      // How far DuckDB compresses what comes differs from row group to row group.
      const tables = found.map((one) => (isPostgres ? one : { ...one, bytes: 100 * (one.rows ?? 0) }))
      const sources = new Map([['steady', steady]])
      const none = { rows_a_day: 0, bytes_a_day: 0, bytes_in_a_year: 0 }
      const settings = [2 * DAY, 30 * DAY]
      const unset = await tableGrowth(tables, sources, now, none, { growth: engine.growth, rowsKeep: null, settings })
      const set = await tableGrowth(tables, sources, now, none, { growth: engine.growth, rowsKeep: 30 * DAY, settings })
      const of = (growth: TableGrowth) => growth.tables.find(({ name }) => name === 'steady')
      return { unset: of(unset), set: of(set), savings: unset.savings }
    }
    for (let day = 0; day < 6; day++) await addDay(day)
    const early = await look(NOW + 6 * DAY)
    for (let day = 6; day < 18; day++) await addDay(day)
    const late = await look(NOW + 18 * DAY)
    const within = (found: number, foretold: number) => expect(Math.abs(found / foretold - 1)).toBeLessThan(0.2)
    expect([early.unset?.rows, early.unset?.rows_a_day]).toEqual([36_000, 6_000])
    within(late.unset?.bytes ?? 0, (early.unset?.bytes ?? 0) + 12 * (early.unset?.bytes_a_day ?? 0))
    within(early.unset?.bytes_in_a_year ?? 0, (late.unset?.bytes ?? 0) * (371 / 18))
    within(early.set?.bytes_in_a_year ?? 0, (late.unset?.bytes ?? 0) * (30 / 18))
    expect(late.savings.map(({ setting }) => setting)).toEqual(['FABRA_ROWS_KEEP=2d', 'FABRA_ROWS_KEEP=30d'])
    within(late.savings[0]?.bytes_now ?? 0, (late.unset?.bytes ?? 0) * (16 / 18))
    expect(late.savings[1]?.bytes_now).toBe(0)
  })
})
