/** A process that is killed while a month of history leaves: each of its rows is in history or in the archive, and in one of them alone. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import type { Postgres } from '../../src/store/postgres/connection/postgres.ts'
import { createPostgresOfflineStore } from '../../src/store/postgres/history/offline-store.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { sweepMonths } from '../support/leaving-worker.ts'
import { startPostgres } from '../support/servers.ts'
import { source } from '../support/stored-definitions.ts'

setDefaultTimeout(120_000)

const DAY = 86_400_000_000
const BASE = Date.UTC(2026, 0, 1) * 1_000
const [KEYS, VALUES] = [60, 24]

let server: Awaited<ReturnType<typeof startPostgres>>
let postgres: Postgres
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fabra-leaving-'))
  // Nothing else is at the tables.
  server = await startPostgres({ settings: ['autovacuum=off'] })
  postgres = openPostgres({ url: server.url })
  await migrate(postgres)
})
afterAll(async () => {
  await postgres?.close()
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const WHEN = [
  ['the month is noted', 'SET (autovacuum_enabled'],
  ['what is late would be noted', 'INSERT INTO fabra.history_packed_2026_01_next'],
  ['what stays is copied', 'ANALYZE'],
  ['history is locked', 'DETACH PARTITION'],
  ['rows are on their way into the archive', 'UPDATE fabra.history_leaving SET page'],
  ['all of them are', 'DROP TABLE IF EXISTS fabra.history_packed_2026_01_out'],
] as const

test.each(WHEN.map(([when, statement], i) => [when, statement, `killed_${i}`] as const))(
  'killed when %s',
  async (_when, statement, name) => {
    const offline = createPostgresOfflineStore({ postgres, random: Math.random, onProblem: () => undefined })
    // More than a lot of pages. The newest of each key is there for good.
    const recorded = Array.from({ length: KEYS * VALUES }, (_, n) => {
      const at = BASE + (n % VALUES) * DAY
      const entityKey = `u${Math.floor(n / VALUES)}`
      return row({ feature: name, entityKey, value: `"${'x'.repeat(1_000)}"`, eventAt: at, availableAt: at, createdAt: at, seq: n + 1 })
    })
    await offline.append(recorded, { timeoutMs: 100_000 })
    const worker = join(import.meta.dir, '../support/leaving-worker.ts')
    const child = Bun.spawn([process.execPath, worker, server.url, folder, name, statement], { stdout: 'ignore', stderr: 'inherit' })
    await child.exited
    expect(child.signalCode).toBe('SIGKILL')
    // What was written as archived and did not leave is told by its age.
    const parts = join(folder, '.parts/history', name)
    const long = new Date(Date.now() - 3_600_000)
    for (const part of await readdir(parts).catch(() => [])) await utimes(join(parts, part), long, long)

    await sweepMonths(postgres, folder, name)
    const seqs = await postgres.run('SELECT seq FROM fabra.feature_history WHERE feature = $1 ORDER BY seq', [name], { timeoutMs: 60_000 })
    expect(seqs.rows.map(([seq]) => Number(seq))).toEqual(Array.from({ length: KEYS }, (_, key) => (key + 1) * VALUES))
    const database = await openDatabase({ file: ':memory:' })
    const kept = source('kept', { timestamp: 'event_timestamp', file: join(folder, 'history', name, '*.parquet') })
    expect(await createDuckdbSourceEngine(database).load([{ source: kept, keyTypes: {} }])).toEqual([])
    const archived = await database.loader.use(ownDeadline(100_000), async (session, left) =>
      (await session.read('SELECT seq FROM kept ORDER BY seq', [], left)).rows.map(([seq]) => Number(seq)),
    )
    await database.close()
    expect(archived).toEqual(recorded.flatMap(({ seq }) => (seq % VALUES === 0 ? [] : [seq])))
    const text =
      "SELECT relname FROM pg_class WHERE relname ~ 'history_packed_2026_01_(next|out|stay|late)$' UNION ALL SELECT month FROM fabra.history_leaving"
    expect((await postgres.run(text, [], { timeoutMs: 60_000 })).rows).toEqual([])
  },
)
