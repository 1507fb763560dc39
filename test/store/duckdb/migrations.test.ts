import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { openApp } from '../../../src/app/app.ts'
import { readConfig } from '../../../src/config/config.ts'
import { FabraError } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/observability/logger.ts'
import { openDatabase } from '../../../src/store/duckdb/connection/database.ts'
import { inspectFile, repairFile } from '../../../src/store/duckdb/damage/repair.ts'
import { migrateFile } from '../../../src/store/duckdb/schema/migrate.ts'
import { MIGRATIONS } from '../../../src/store/duckdb/schema/migrations/index.ts'
import { CATALOG } from '../../../src/store/duckdb/sql.ts'
import { bytesOf } from '../../support/data-files.ts'

const UNVERSIONED = join(import.meta.dir, '../../fixtures/data-folder/unversioned.tgz')
const STEPS = MIGRATIONS.map(({ id, name }) => [id, name])
const next = { id: 1_000, name: 'next', text: 'CREATE TABLE fabra.next (x INTEGER); INSERT INTO fabra.next VALUES (1)' }

let dir: string
let file: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fabra-migrations-'))
  file = join(dir, 'fabra.duckdb')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** With the file attached as Fabra does, and nothing of Fabra running. */
async function attached<T>(work: (connection: DuckDBConnection, rows: (text: string) => Promise<unknown[]>) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    await connection.run(`ATTACH '${file}' AS ${CATALOG}; USE ${CATALOG}`)
    return await work(connection, async (text) => (await connection.runAndReadAll(text)).getRowsJson())
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** A project whose data folder was written by the last release before the file had versions. */
function unpacked(): string {
  const { exitCode } = Bun.spawnSync(['tar', 'xzf', UNVERSIONED, '-C', dir])
  expect(exitCode).toBe(0)
  file = join(dir, 'proj/.fabra/fabra.duckdb')
  return join(dir, 'proj')
}

async function refused(work: Promise<unknown>): Promise<FabraError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof FabraError) return error
  throw new Error(`It was not refused: ${String(error)}`)
}

const done = () => attached((_, rows) => rows('SELECT id, name FROM fabra.migrations ORDER BY id'))

describe('a data folder of the release before the file had versions', () => {
  test('lacks the newer tables and is brought forward, once, step by step', async () => {
    unpacked()
    await attached(async (_, rows) =>
      expect(await rows("SELECT table_name FROM duckdb_tables() WHERE table_name IN ('migrations', 'mark')")).toEqual([]),
    )
    await (await openDatabase({ file })).close()
    const once = await attached((_, rows) => rows('SELECT * FROM fabra.migrations ORDER BY id'))
    expect(once.map((row) => (row as unknown[]).slice(0, 2))).toEqual(STEPS)
    await (await openDatabase({ file })).close()
    expect(await attached((_, rows) => rows('SELECT * FROM fabra.migrations ORDER BY id'))).toEqual(once)
  })

  test('serves what it was given: pushed values, nulls, deletions, appended rows, what was forgotten, runs', async () => {
    const folder = unpacked()
    const config = readConfig({ FABRA_DATA_DIR: join(folder, '.fabra') }, { cwd: folder, terminal: false })
    const app = await openApp({ files: [join(folder, 'features.ts')], config, log: silentLogger, clockOffset: 0 })
    try {
      const get = async (path: string) => JSON.parse(await (await app.fetch(new Request(`http://127.0.0.1:8000${path}`))).text())
      expect(await get('/v1/features/score?user_id=u1')).toMatchObject({ value: 0.25 })
      expect(await get('/v1/features/score?user_id=u2')).toMatchObject({ value: null })
      expect(await get('/v1/features/score?user_id=u3')).toMatchObject({ value: null, status: 'missing' })
      expect(await get('/v1/features/total?user_id=u1')).toMatchObject({ value: 30.5 })
      expect(await get('/v1/features/total?user_id=u2')).toMatchObject({ value: 12.25 })
      const { history } = await get('/v1/features/score/history?user_id=u1')
      expect(history).toMatchObject([{ value: 0.25, event_timestamp: '2026-02-01T00:00:00.123456Z' }])
      expect((await get('/v1/runs?feature=total')).runs.at(-1)).toMatchObject({ reason: 'request', keys: 2, failed: 0 })
    } finally {
      await app.close()
    }
    const forgotten = await attached((_, rows) => rows('SELECT entity, entity_key FROM fabra.fences'))
    expect(forgotten).toEqual([['User', 'u4']])
  })
})

test('a new file has every step', async () => {
  await (await openDatabase({ file })).close()
  expect(await done()).toEqual(STEPS)
})

test('a file of a newer Fabra is refused by name, and so is its repair; not a byte is changed', async () => {
  await (await openDatabase({ file })).close()
  await attached((connection) => migrateFile(connection, file, [...MIGRATIONS, next]))
  const before = bytesOf(file)
  for (const open of [() => openDatabase({ file }), () => inspectFile(file), () => repairFile(file, new Date())]) {
    const error = await refused(open())
    expect(error.code).toBe('schema_mismatch')
    expect(error.message).toContain('newer Fabra: it has step 1000 (next)')
    expect(error.hint).toContain('Nothing was changed')
    expect(bytesOf(file)).toEqual(before)
  }
})

test('a file with another step of the same number is refused', async () => {
  await attached((connection) => migrateFile(connection, file, [...MIGRATIONS, next]))
  const other = { ...next, name: 'other' }
  const error = await attached((connection) => refused(migrateFile(connection, file, [...MIGRATIONS, other])))
  expect(error.code).toBe('schema_mismatch')
  expect(error.message).toContain('another build of Fabra: its step 1000 is next')
})

test('a step that fails leaves nothing behind, those before it stay, and it is done at the next start', async () => {
  const broken = { id: 1_001, name: 'broken', text: "CREATE TABLE fabra.half (x INTEGER); SELECT CAST('x' AS INTEGER)" }
  await attached(async (connection, rows) => {
    await refused(migrateFile(connection, file, [...MIGRATIONS, broken]))
    expect(await rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'fabra'")).toEqual([])
    await migrateFile(connection, file)
    await refused(migrateFile(connection, file, [...MIGRATIONS, next, broken]))
    expect(await rows("SELECT table_name FROM duckdb_tables() WHERE table_name IN ('next', 'half')")).toEqual([['next']])
    const mended = { ...broken, text: 'CREATE TABLE fabra.half (x INTEGER)' }
    expect(await migrateFile(connection, file, [...MIGRATIONS, next, mended])).toEqual(['broken'])
  })
})

test('every step may be done twice: a repair may lose the list of them', async () => {
  await (await openDatabase({ file })).close()
  writeFileSync(`${file}.mark`, '')
  await attached((connection) => connection.run('DELETE FROM fabra.migrations'))
  await (await openDatabase({ file })).close()
  expect(await done()).toEqual(STEPS)
})
