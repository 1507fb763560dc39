import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FabraError } from '../../src/errors.ts'
import { openDatabase, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { createDuckdbSourceEngine } from '../../src/store/duckdb/sources/source-engine.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { soon } from '../conformance/source-store-suite.ts'
import { startWriter } from '../support/data-files.ts'
import { source } from '../support/stored-definitions.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'fabra-test-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function failure(promise: Promise<unknown>): Promise<FabraError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  if (error instanceof FabraError) return error
  throw error
}

test('a folder that another process holds is refused, naming the process; after a kill -9 its rows are there', async () => {
  const file = join(dir, 'data', 'fabra.duckdb')
  await using writer = startWriter(file, 42)
  await writer.said('done')
  const error = await failure(openDatabase({ file }))
  expect(error.code).toBe('data_dir_locked')
  expect(error.message).toContain(join(dir, 'data'))
  expect(error.message).toContain(`process ${writer.pid}`)
  expect(error.hint).toContain('FABRA_DATA_DIR')

  await writer.kill()
  const store = createDuckdbOfflineStore(await openDatabase({ file }))
  expect(await store.lastSeq()).toBe(42)
  await store.close()
})

test('the data folder and its file are the owner’s alone', async () => {
  const file = join(dir, 'data', 'fabra.duckdb')
  const database = await openDatabase({ file })
  expect((await stat(join(dir, 'data'))).mode & 0o777).toBe(0o700)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  await database.close()
  await database.close()
  expect((await readdir(join(dir, 'data'))).sort()).toEqual(['fabra.duckdb', 'fabra.duckdb.mark'])
  expect((await stat(`${file}.mark`)).mode & 0o777).toBe(0o600)
})

test.each(['main.db', 'fabra.db', 'temp.db', 'it’s "odd".duckdb'])('the file may be called %p', async (name) => {
  const database = await openDatabase({ file: join(dir, name) })
  const store = createDuckdbSourceEngine(database)
  await store.load([{ source: source('events', { columns: { id: 'VARCHAR' } }), keyTypes: {} }])
  expect((await store.query('SELECT COUNT(*) FROM main."events"', [], soon())).rows).toEqual([[0]])
  expect(await createDuckdbOfflineStore(database).lastSeq()).toBe(0)
  await store.close()
})

test('users’ SQL reads no file, writes none, and changes no setting', async () => {
  const secret = join(dir, 'secret.csv')
  await writeFile(secret, 'a,b\n1,2\n')
  const store = createDuckdbSourceEngine(await openDatabase({ file: join(dir, 'fabra.duckdb') }))
  for (const text of [
    `SELECT * FROM '${secret}'`,
    `SELECT * FROM read_csv('${secret}')`,
    `SELECT * FROM read_text('${dir}/load/../secret.csv')`,
    `COPY (SELECT 1) TO '${dir}/out.csv'`,
    `ATTACH '${dir}/other.db' AS other`,
    'SET enable_external_access = true',
    'SET lock_configuration = false',
    'INSTALL httpfs',
  ]) {
    expect(
      await store.query(text, [], soon()).then(
        () => 'ran',
        () => 'refused',
      ),
    ).toBe('refused')
  }
  expect((await readdir(dir)).includes('out.csv')).toBe(false)
  await store.close()
})

test('the log of many small commits is written into the file, so that a start after a kill has little to read back', async () => {
  const file = join(dir, 'fabra.duckdb')
  const database = await openDatabase({ file })
  const store = createDuckdbOfflineStore(database)
  const logged = async () => (await stat(`${file}.wal`).catch(() => ({ size: 0 }))).size
  const work = async (count: number) => {
    for (let i = 0; i < count; i++) await database.history.use(ownDeadline(), (session) => session.execute('SELECT 1', ownDeadline()))
  }
  const append = async (from: number) => {
    for (let seq = from; seq < from + 20; seq++) await store.append([row({ entityKey: `u${seq}`, seq })])
  }
  await append(1)
  expect(await logged()).toBeGreaterThan(4_000)
  await work(500)
  expect(await logged()).toBeLessThan(1_000)
  // It cannot be while another session writes. Then it is tried again.
  await database.loader.use(ownDeadline(), async (session) => {
    await session.execute('BEGIN; CREATE TABLE other AS SELECT 1', ownDeadline())
    await append(21)
    await work(600)
    expect(await logged()).toBeGreaterThan(4_000)
    await session.execute('COMMIT', ownDeadline())
  })
  await work(60)
  expect(await logged()).toBeLessThan(1_000)
  expect(await store.lastSeq()).toBe(40)
  await store.close()
})

test('the log of a killed process is read back once', async () => {
  const file = join(dir, 'data', 'fabra.duckdb')
  await using writer = startWriter(file, 42)
  await writer.said('done')
  await writer.kill()
  expect((await stat(`${file}.wal`)).size).toBeGreaterThan(0)
  const database = await openDatabase({ file })
  const store = createDuckdbOfflineStore(database)
  await database.history.use(ownDeadline(), (session) => session.execute('SELECT 1', ownDeadline()))
  expect((await stat(`${file}.wal`).catch(() => ({ size: 0 }))).size).toBe(0)
  expect(await store.lastSeq()).toBe(42)
  await store.close()
})

test.each([
  // The engine says that the commit is durable.
  ['that went well is no failure', 3_000, undefined],
  // It writes what is large at once into the file, and takes it back.
  ['that was taken back is one', 20_000, expect.stringContaining('File too large')],
])('a commit %s, though the engine lets the database go because it cannot write its log into the file', (_, rows, failed) => {
  const script = join(import.meta.dir, '../support/full-disk-commits.ts')
  // The signal of a file that grows too large is ignored, so that writing fails as on a full disk.
  const command = ['sh', '-c', 'trap "" XFSZ; exec "$0" "$@"', process.execPath, script, join(dir, 'a.duckdb'), String(rows)]
  const { stdout, stderr } = Bun.spawnSync(command)
  const said = JSON.parse(stdout.toString() || JSON.stringify(stderr.toString()))
  expect(said).toEqual({ ...(failed ? { failed } : {}), next: expect.stringContaining('File too large'), lost: 0 })
})
