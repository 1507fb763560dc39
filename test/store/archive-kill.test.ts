/** A process that is killed while rows leave: each of them is in its table or in the archive, and in one of them alone. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { CLICKS, DAY, NOW } from '../support/archived-clicks.ts'

setDefaultTimeout(120_000)

test.each(['taken', 'left'])('killed when a lot is %s, rows are where they were or in the archive, and never in both', async (place) => {
  const folder = await mkdtemp(join(tmpdir(), 'fabra-killed-'))
  const [file, archive] = [join(folder, 'data/fabra.duckdb'), join(folder, 'archive')]
  const work = async <T>(use: (database: Awaited<ReturnType<typeof openDatabase>>) => Promise<T>) => {
    const database = await openDatabase({ file })
    return use(database).finally(() => database.close())
  }
  const numbers = (sql: string) =>
    work((database) =>
      database.loader.use(ownDeadline(100_000), async (session, left) => (await session.read(sql, [], left)).rows.map(([n]) => Number(n))),
    )
  const run = async (where: string) => {
    const worker = join(import.meta.dir, '../support/archive-worker.ts')
    const child = Bun.spawn([process.execPath, worker, file, archive, where], { stdout: 'ignore', stderr: 'inherit' })
    await child.exited
    return child.signalCode
  }
  try {
    await work(async (database) => {
      expect(await createDuckdbSourceEngine(database).load([{ source: CLICKS, keyTypes: {} }])).toEqual([])
      const rows = [10, 40, 50, 60, 70, 80].map((days, i) => `('u1', to_timestamp(${(NOW - days * DAY) / 1e6}), ${i})`)
      await database.loader.use(ownDeadline(100_000), (session, left) =>
        session.execute(`INSERT INTO clicks VALUES ${rows.join(', ')}`, left),
      )
    })
    expect(await run(place)).toBe('SIGKILL')
    const still = await numbers('SELECT n FROM clicks ORDER BY n')
    expect(still.length).toBe(place === 'taken' ? 4 : 1)
    const parts = join(archive, '.parts/rows/clicks')
    expect((await readdir(parts)).length).toBe(place === 'taken' ? 2 : 3)
    const long = new Date(Date.now() - 3_600_000)
    for (const name of await readdir(parts)) await utimes(join(parts, name), long, long)
    expect(await run('nowhere')).toBeNull()
    expect(await numbers('SELECT n FROM clicks ORDER BY n')).toEqual([0])
    expect(await readdir(parts)).toEqual([])
    const kept = { ...CLICKS, name: 'kept', columns: null, file: join(archive, 'rows/clicks/*.parquet') }
    await work(async (database) => {
      expect(await createDuckdbSourceEngine(database).load([{ source: kept, keyTypes: {} }])).toEqual([])
    })
    expect(await numbers('SELECT n FROM kept ORDER BY n')).toEqual([1, 2, 3, 4, 5])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
