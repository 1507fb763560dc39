/** What leaves into a bucket, on a real server of S3: it is there once, whatever ends in between, and nothing leaves that is not there. Of both engines. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { S3Client } from 'bun'
import type { Archive } from '../../src/app/archive/archive.ts'
import { type Bucket, openBucket } from '../../src/app/archive/bucket.ts'
import { createBucketArchive } from '../../src/app/archive/bucket-archive.ts'
import { openArchive } from '../../src/app/archive/open-archive.ts'
import { createOldRows } from '../../src/app/old-rows.ts'
import { silentLogger as log } from '../../src/observability/logger.ts'
import { createDuckdbArchiveMarks } from '../../src/store/duckdb/archive-marks.ts'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbRowsRemoval } from '../../src/store/duckdb/sources/rows-removal.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { createMemoryLeaseStore } from '../../src/store/memory/lease-store.ts'
import type { ArchiveMarks } from '../../src/store/ports/archive.ts'
import type { RowsRemoval } from '../../src/store/ports/rows-removal.ts'
import type { SourceEngine } from '../../src/store/ports/source-engine.ts'
import { createPostgresArchiveMarks } from '../../src/store/postgres/archive-marks.ts'
import { openPostgres } from '../../src/store/postgres/connection/connection.ts'
import { migrate } from '../../src/store/postgres/schema/migrate.ts'
import { createPostgresRowsRemoval } from '../../src/store/postgres/sources/rows-removal.ts'
import { createPostgresSourceEngine } from '../../src/store/postgres/sources/source-engine.ts'
import { CLICKS, DAY, KEEP, NOW } from '../support/archived-clicks.ts'
import { movableClock } from '../support/clock.ts'
import { type ObjectStore, startObjectStore } from '../support/object-store.ts'
import { startPostgres } from '../support/servers.ts'

setDefaultTimeout(120_000)

interface Engine {
  readonly sources: SourceEngine
  readonly rows: RowsRemoval
  readonly marks: ArchiveMarks
  execute(sql: string): Promise<unknown>
  close(): Promise<void>
}

async function duckdb(): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'fabra-rows-'))
  const database = await openDatabase({ file: join(folder, 'fabra.duckdb') })
  return {
    sources: createDuckdbSourceEngine(database),
    rows: createDuckdbRowsRemoval(database, 2),
    marks: createDuckdbArchiveMarks(database),
    execute: (sql) => database.loader.use(ownDeadline(100_000), (session, left) => session.execute(sql, left)),
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
    marks: createPostgresArchiveMarks(connection),
    execute: (sql) => connection.run(sql, [], { timeoutMs: 100_000 }),
    async close() {
      await connection.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

const CLICKS_OF = { kind: 'rows', name: 'clicks' } as const
const patience = { signal: new AbortController().signal, timeoutMs: 100_000 }
const ending = new Error('the process ends here')

let store: ObjectStore
beforeAll(async () => {
  store = await startObjectStore()
})
afterAll(() => store?.[Symbol.asyncDispose]())

describe.each([
  ['duckdb', duckdb],
  ['postgres', postgres],
])('of %s', (name, open) => {
  let engine: Engine
  let raw: S3Client
  let bucket: Bucket
  beforeAll(async () => {
    engine = await open()
    raw = await store.makeBucket(name)
    bucket = openBucket(`s3://${name}/archive`, store.settings())
    expect(await engine.sources.load([{ source: CLICKS, keyTypes: {} }])).toEqual([])
  })
  afterAll(() => engine?.close())

  const fill = (daysAgo: readonly number[]) =>
    engine.execute(
      `INSERT INTO clicks VALUES ${daysAgo.map((days) => `('u1', to_timestamp(${(NOW - days * DAY) / 1e6}), ${days})`).join(', ')}`,
    )
  const numbers = async () => (await engine.sources.query('SELECT n FROM clicks ORDER BY n', [], patience)).rows.map(([n]) => Number(n))
  const archiveOf = (some: Partial<Bucket> = {}) => createBucketArchive({ bucket: { ...bucket, ...some }, marks: engine.marks, log })
  const sweep = async (archive: Archive) => {
    const [leases, clock] = [createMemoryLeaseStore(() => 0), movableClock(NOW)]
    const sweeper = createOldRows({ removal: engine.rows, archive, leases, sources: () => [CLICKS], keep: KEEP, clock, log })
    return sweeper.sweep().finally(() => sweeper.close())
  }
  const keys = async (under: string) => ((await raw.list({ prefix: `archive/${under}` })).contents ?? []).map(({ key }) => key)
  /** As a source has them, of all files there are. */
  const archived = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fabra-archived-'))
    const reader = await openDatabase({ file: ':memory:' })
    try {
      for (const key of await keys('rows/')) await Bun.write(join(folder, key), await raw.file(key).arrayBuffer())
      const sources = createDuckdbSourceEngine(reader)
      const kept = { ...CLICKS, name: 'kept', columns: null, file: join(folder, 'archive/rows/clicks/*.parquet') }
      expect(await sources.load([{ source: kept, keyTypes: {} }])).toEqual([])
      return (await sources.query('SELECT n FROM kept ORDER BY n', [], patience)).rows.map(([n]) => Number(n))
    } finally {
      await reader.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
  const tidied = async (expected: readonly number[]) => {
    expect(await archived()).toEqual([...expected])
    expect(await keys('.parts/')).toEqual([])
  }

  test('is there under the name that it has in a folder, and gone where it was', async () => {
    await fill([10, 40, 41, 42])
    expect(await sweep(openArchive(`s3://${name}/archive/`, { objectStore: store.settings(), marks: engine.marks, log }))).toBe(3)
    expect(await numbers()).toEqual([10])
    expect(await keys('rows/')).toEqual([expect.stringMatching(/^archive\/rows\/clicks\/\d{8}T\d{6}Z-[0-9a-f]{8}\.parquet$/)])
    await tidied([40, 41, 42])
  })

  test('is there once, wherever the work ends, and whoever goes on with it', async () => {
    // Before the transaction has ended: the part is one of rows that stayed.
    await fill([50, 51, 52])
    const whole = archiveOf()
    const torn: Archive = {
      ...whole,
      taker:
        (...about) =>
        (rows) =>
          whole
            .taker(...about)(rows)
            .then(() => Promise.reject(ending)),
    }
    expect(await sweep(torn)).toBe(0)
    expect(await numbers()).toEqual([10, 50, 51, 52])
    // After it, before there is a file.
    expect(await sweep({ ...whole, join: async (_, when) => (when === 'many' ? undefined : Promise.reject(ending)) })).toBe(3)
    expect(await numbers()).toEqual([10])
    // A file was named for the rows, and they did not come there; then it did, and its parts stayed.
    await expect(archiveOf({ upload: () => Promise.reject(ending) }).join(CLICKS_OF)).rejects.toThrow(ending)
    await expect(archiveOf({ remove: () => Promise.reject(ending) }).join(CLICKS_OF)).rejects.toThrow(ending)
    expect(await archived()).toEqual([40, 41, 42, 50, 51, 52])
    // All that is left are parts without a mark: too young to be told from those of a transaction under way, and gone when they are old.
    await archiveOf().joinAll()
    expect((await keys('.parts/rows/clicks/')).length).toBeGreaterThan(1)
    const old = async (prefix: string) => (await bucket.list(prefix)).map((one) => ({ ...one, ageMs: 4_000_000 }))
    await archiveOf({ list: old }).joinAll()
    await tidied([40, 41, 42, 50, 51, 52])
  })

  test('is there once when many put it together at once, more of it coming all the while', async () => {
    await fill([60, 61, 62])
    await sweep({ ...archiveOf(), join: async () => undefined })
    // One has looked before the last part came; the other names a file for all, and ends: the one writes that file, of all its parts.
    const seen = await bucket.list('.parts/rows/clicks/')
    await fill([63, 64])
    await sweep({ ...archiveOf(), join: async () => undefined })
    const early = archiveOf({ list: async () => seen })
    await expect(archiveOf({ upload: () => Promise.reject(ending) }).join(CLICKS_OF)).rejects.toThrow(ending)
    await early.join(CLICKS_OF)
    expect(await archived()).toEqual([40, 41, 42, 50, 51, 52, 60, 61, 62, 63, 64])
    await fill([65, 66])
    await sweep({ ...archiveOf(), join: async () => undefined })
    await Promise.allSettled([archiveOf().joinAll(), early.join(CLICKS_OF), archiveOf().join(CLICKS_OF), early.join(CLICKS_OF)])
    await archiveOf().joinAll()
    await archiveOf({ list: async (prefix) => (await bucket.list(prefix)).map((one) => ({ ...one, ageMs: 4_000_000 })) }).joinAll()
    await tidied([40, 41, 42, 50, 51, 52, 60, 61, 62, 63, 64, 65, 66])
  })

  test('does not leave where the bucket cannot be had', async () => {
    await fill([70])
    const nowhere = openArchive('s3://nobody-made-it', { objectStore: store.settings(), marks: engine.marks, log })
    const away = openArchive(`s3://${name}`, { objectStore: store.settings({ endpoint: 'http://127.0.0.1:1' }), marks: engine.marks, log })
    for (const archive of [nowhere, away]) expect(await sweep(archive)).toBe(0)
    expect(await numbers()).toEqual([10, 70])
  })
})
