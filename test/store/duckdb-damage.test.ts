/** Files that are not what they were: every kind is named for what it is, nothing is changed, nothing is lost in silence. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FabraError } from '../../src/errors.ts'
import { type Database, openDatabase } from '../../src/store/duckdb/connection/database.ts'
import { checksum } from '../../src/store/duckdb/damage/file-head.ts'
import { readMark } from '../../src/store/duckdb/damage/mark.ts'
import { inspectFile, repairFile } from '../../src/store/duckdb/damage/repair.ts'
import { createDuckdbOfflineStore } from '../../src/store/duckdb/history/offline-store.ts'
import { row } from '../conformance/offline-store-suite.ts'
import { bytesOf, copyDataFile, flip, startWriter } from '../support/data-files.ts'

/** Rows in blocks of the file. */
const IN_FILE = 3_000
/** Rows in the log, marked. */
const IN_LOG = 40
/** Rows in the log behind the mark. */
const BEHIND = 20

let made: string
let dir: string
let file: string
beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'fabra-damage-'))
  for (const [name, behind] of [
    ['clean', 0],
    ['killed', BEHIND],
    ['other', BEHIND],
  ] as const) {
    const path = join(made, name)
    const database = await openDatabase({ file: path })
    const store = createDuckdbOfflineStore(database)
    // Values that do not compress, or all of it would be one block.
    const value = () => JSON.stringify(Buffer.from(crypto.getRandomValues(new Uint8Array(300))).toString('hex'))
    await store.append(Array.from({ length: IN_FILE }, (_, i) => row({ seq: i + 1, entityKey: `u${i + 1}`, value: value() })))
    await store.close()
    if (name === 'clean') continue
    await using writer = startWriter(path, IN_LOG, behind)
    await writer.said('done')
    await writer.kill()
    renameSync(`${path}.mark.kept`, `${path}.mark`)
  }
}, 120_000)
afterAll(() => rmSync(made, { recursive: true, force: true }))

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fabra-damage-'))
  file = join(dir, 'fabra.duckdb')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function opened(): Promise<FabraError | Database> {
  try {
    return await openDatabase({ file })
  } catch (error) {
    if (error instanceof FabraError) return error
    throw error
  }
}

async function refused(code = 'data_file_corrupt'): Promise<FabraError> {
  const before = bytesOf(file)
  const error = await opened()
  if (!(error instanceof FabraError)) {
    await error.close()
    throw new Error('It was opened.')
  }
  expect(error.code).toBe(code as FabraError['code'])
  expect(error.message).toContain(file)
  expect(error.hint).toMatch(/Nothing was changed|Give it|Nothing is lost/)
  expect(bytesOf(file)).toEqual(before)
  return error
}

async function lastSeq(): Promise<number> {
  const database = await openDatabase({ file })
  const store = createDuckdbOfflineStore(database)
  try {
    return await store.lastSeq()
  } finally {
    await store.close()
  }
}

const walSize = () => statSync(`${file}.wal`).size

describe('what a kill leaves is opened:', () => {
  test('with every row that was acknowledged', async () => {
    copyDataFile(join(made, 'killed'), file)
    expect(await lastSeq()).toBe(IN_FILE + IN_LOG + BEHIND)
  })

  test('a log whose end, behind the mark, is torn at any byte', async () => {
    const whole = statSync(join(made, 'killed.wal')).size
    // The last commit alone.
    for (let cut = 1; cut < 60; cut += 7) {
      copyDataFile(join(made, 'killed'), file)
      truncateSync(`${file}.wal`, whole - cut)
      expect(await lastSeq()).toBe(IN_FILE + IN_LOG + BEHIND - 1)
    }
  })

  test('a log that ends in zeros, as after a power cut', async () => {
    copyDataFile(join(made, 'killed'), file)
    writeFileSync(`${file}.wal`, Buffer.concat([readFileSync(`${file}.wal`), Buffer.alloc(700)]))
    expect(await lastSeq()).toBe(IN_FILE + IN_LOG + BEHIND)
  })

  for (const size of [0, 1, 4096, 8192, 12_287]) {
    test(`a file of ${size} bytes that was being made for the first time`, async () => {
      writeFileSync(file, readFileSync(join(made, 'clean')).subarray(0, size))
      writeFileSync(`${file}.mark`, JSON.stringify({ version: 1, id: null, n: 0, at: '2026-01-01T00:00:00.000Z', rows: null }))
      expect(await lastSeq()).toBe(0)
    })
  }

  test('a database without a mark: one of an earlier version, or a copy', async () => {
    copyDataFile(join(made, 'killed'), file)
    rmSync(`${file}.mark`)
    expect(await lastSeq()).toBe(IN_FILE + IN_LOG + BEHIND)
    expect(readMark(file)?.rows?.history ?? null).toBeNull()
  })

  for (const text of ['', '{', 'null', '{"version":1,"id":7}', '\0'.repeat(100)]) {
    test(`a mark that cannot be read (${JSON.stringify(text.slice(0, 20))})`, async () => {
      copyDataFile(join(made, 'killed'), file)
      writeFileSync(`${file}.mark`, text)
      expect(await lastSeq()).toBe(IN_FILE + IN_LOG + BEHIND)
    })
  }
})

describe('refused for what it is:', () => {
  for (const at of [0, 9, 20, 300, 4000]) {
    test(`bytes changed in the head, at ${at}`, async () => {
      copyDataFile(join(made, 'clean'), file)
      flip(file, at)
      expect((await refused()).message).toContain('changed')
    })
  }

  for (const page of [4096, 8192]) {
    test(`bytes changed in the page of a checkpoint, at ${page}`, async () => {
      copyDataFile(join(made, 'clean'), file)
      flip(file, page + 20)
      expect((await refused()).message).toContain('changed')
    })
  }

  for (const size of [0, 1, 100, 4096, 12_287, 12_288, 12_289, 100_000, 300_000, 1_000_000, -1, -300_000]) {
    test(`a file cut to ${size} bytes`, async () => {
      copyDataFile(join(made, 'killed'), file)
      truncateSync(file, size < 0 ? statSync(file).size + size : size)
      expect((await refused()).message).toMatch(size === 0 ? /is empty/ : size === 1 ? /no DuckDB database/ : /cut short/)
    })
  }

  for (const bytes of [
    Buffer.from('hello'),
    Buffer.from('not a database '.repeat(1000)),
    Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))),
  ]) {
    test(`a file that is no database, of ${bytes.length} bytes`, async () => {
      writeFileSync(file, bytes)
      expect((await refused()).message).toContain('no DuckDB database')
    })
  }

  test('a file that is gone, and its log or its mark is not', async () => {
    copyDataFile(join(made, 'killed'), file)
    rmSync(file)
    expect((await refused()).message).toContain('is gone, and its log')
    rmSync(`${file}.wal`)
    expect((await refused()).message).toContain('is gone, and its mark')
    expect(readdirSync(dir)).toEqual(['fabra.duckdb.mark'])
  })

  test('a log cut anywhere before the mark', async () => {
    copyDataFile(join(made, 'killed'), file)
    const whole = walSize()
    // Well before it, also where a slow machine has written more marks behind it.
    const marked = Math.floor(whole / 2)
    for (let size = 0; size < marked; size += Math.ceil(marked / 25)) {
      copyDataFile(join(made, 'killed'), file)
      truncateSync(`${file}.wal`, size)
      const { message } = await refusedLog()
      expect(message).toContain('what was acknowledged is missing')
      expect(message).toContain(`when it held ${IN_FILE + IN_LOG} rows of history`)
    }
  })

  /** An empty log the engine removes: nothing is in it. */
  async function refusedLog(): Promise<FabraError> {
    if (walSize() > 0) return refused()
    const error = await opened()
    if (error instanceof FabraError) return error
    throw new Error('It was opened.')
  }

  test('a log that was removed', async () => {
    copyDataFile(join(made, 'killed'), file)
    rmSync(`${file}.wal`)
    expect((await refused()).message).toContain('what was acknowledged is missing')
  })

  test('a log with bytes changed, anywhere before the mark', async () => {
    const whole = statSync(join(made, 'killed.wal')).size
    for (let at = 0; at < whole / 2; at += Math.ceil(whole / 40)) {
      copyDataFile(join(made, 'killed'), file)
      flip(`${file}.wal`, at)
      expect((await refused()).message).toMatch(/log \(\.wal\) cannot be read back|what was acknowledged is missing/)
    }
  })

  test('a log that is noise', async () => {
    copyDataFile(join(made, 'killed'), file)
    writeFileSync(`${file}.wal`, crypto.getRandomValues(new Uint8Array(5000)))
    await refused()
  })

  test('the log of another database', async () => {
    copyDataFile(join(made, 'killed'), file)
    copyFileSync(join(made, 'other.wal'), `${file}.wal`)
    expect((await refused()).message).toContain('another')
  })

  test('another database', async () => {
    copyDataFile(join(made, 'killed'), file)
    copyFileSync(join(made, 'other'), file)
    copyFileSync(join(made, 'other.wal'), `${file}.wal`)
    expect((await refused()).message).toContain('another database')
  })

  test('an older copy of the file', async () => {
    copyDataFile(join(made, 'clean'), file)
    copyFileSync(file, join(dir, 'older'))
    await using writer = startWriter(file, 3)
    await writer.said('marked')
    await writer.kill()
    await lastSeq()
    copyFileSync(join(dir, 'older'), file)
    expect((await refused()).message).toContain('what was acknowledged is missing')
  })

  test('a folder, and a file of a newer engine', async () => {
    mkdirSync(file)
    const error = await opened()
    expect(error).toMatchObject({ code: 'io_failed', message: expect.stringContaining('it is a folder') })
    rmSync(file, { recursive: true })
    copyDataFile(join(made, 'clean'), file)
    const bytes = readFileSync(file)
    bytes.writeBigUInt64LE(990n, 12)
    bytes.writeBigUInt64LE(checksum(bytes.subarray(8, 4096)), 0)
    writeFileSync(file, bytes)
    expect((await refused('schema_mismatch')).message).toContain('newer')
  })
})

test('a block that is damaged is told by who reads it, and named as damage', async () => {
  copyDataFile(join(made, 'clean'), file)
  flip(file, blockOf(file))
  const problems: string[] = []
  const database = await openDatabase({ file, onProblem: (message) => problems.push(message) })
  const store = createDuckdbOfflineStore(database)
  const read = Array.fromAsync(store.latest('spend', 'f1', { before: 1e15, limit: 10_000 }))
  await expect(read).rejects.toThrow()
  expect(database.damage()).toMatchObject({ code: 'data_file_corrupt' })
  expect(problems).toEqual([expect.stringContaining('fabra doctor --repair')])
  await store.close()
})

/** Where values lie: in the middle of the largest run of blocks. */
function blockOf(path: string): number {
  return Math.floor((statSync(path).size - 12_288) / 262_144 / 2) * 262_144 + 12_288 + 5_000
}

describe('a repair', () => {
  const NOW = new Date('2026-03-04T05:06:07Z')

  async function repaired() {
    const before = bytesOf(file)
    const inspection = await inspectFile(file)
    expect(inspection.problem?.code).toBe('data_file_corrupt')
    const repair = await repairFile(file, NOW)
    // All that was there is there still, to the byte, under another name.
    const aside = bytesOf(`${file}.damaged-20260304T050607Z`)
    expect(aside).toEqual(before)
    expect(await inspectFile(file)).toEqual({ state: 'sound', problem: null })
    expect(readdirSync(dir).filter((name) => /readable|rebuilt|fresh/.test(name))).toEqual([])
    return { ...repair, lost: repair.lost.join('\n') }
  }

  test('of a sound file, and of none, is not needed', async () => {
    expect(await inspectFile(file)).toEqual({ state: 'absent', problem: null })
    copyDataFile(join(made, 'killed'), file)
    const before = bytesOf(file)
    expect(await inspectFile(file)).toEqual({ state: 'sound', problem: null })
    expect(bytesOf(file)).toEqual(before)
  })

  test('of a log with changed bytes keeps all before them and counts the rest', async () => {
    copyDataFile(join(made, 'killed'), file)
    flip(`${file}.wal`, Math.floor(walSize() / 3))
    const { lost, kept } = await repaired()
    const seq = await lastSeq()
    expect(seq).toBeGreaterThan(IN_FILE)
    expect(seq).toBeLessThan(IN_FILE + IN_LOG)
    expect(kept).toContain(`It holds ${seq} rows of history`)
    expect(lost).toContain(`${IN_FILE + IN_LOG - seq} of ${IN_FILE + IN_LOG} rows of history`)
    expect(lost).toMatch(/up to byte \d+ of \d+/)
  })

  test('of a removed log starts from the checkpoint', async () => {
    copyDataFile(join(made, 'killed'), file)
    rmSync(`${file}.wal`)
    expect((await repaired()).lost).toContain(`${IN_LOG} of ${IN_FILE + IN_LOG} rows of history`)
    expect(await lastSeq()).toBe(IN_FILE)
  })

  for (const at of [9, 300, 4096 + 20, 8192 + 20]) {
    test(`of a head with changed bytes at ${at} loses nothing, or begins with the checkpoint before`, async () => {
      copyDataFile(join(made, 'clean'), file)
      flip(file, at)
      const { lost } = await repaired()
      const seq = await lastSeq()
      if (seq !== IN_FILE) expect(lost).toContain('rows of history')
      if (at < 4096) expect([seq, lost]).toEqual([IN_FILE, ''])
    })
  }

  test('of a damaged block keeps the rows of all others and counts those that are gone', async () => {
    copyDataFile(join(made, 'clean'), file)
    flip(file, blockOf(file))
    const { lost } = await repaired()
    const database = await openDatabase({ file })
    const { rows } = await database.readers.use({ signal: new AbortController().signal, timeoutMs: 10_000 }, (session, left) =>
      session.read('SELECT COUNT(*) FROM fabra.feature_history', [], left),
    )
    await database.close()
    const count = Number(rows[0]?.[0])
    expect(count).toBeGreaterThan(0)
    expect(lost).toContain(`fabra.feature_history: ${IN_FILE - count} of ${IN_FILE} rows cannot be read.`)
  })

  test('of what is no database at all begins anew, and says so', async () => {
    copyDataFile(join(made, 'killed'), file)
    writeFileSync(file, 'not a database '.repeat(1000))
    const { lost, kept } = await repaired()
    expect(kept).toContain('begins anew')
    expect(lost).toContain(`${IN_FILE + IN_LOG} of ${IN_FILE + IN_LOG} rows of history`)
    expect(await lastSeq()).toBe(0)
  })

  test('of a file that is gone begins anew', async () => {
    copyDataFile(join(made, 'killed'), file)
    rmSync(file)
    await repaired()
    expect(await lastSeq()).toBe(0)
  })

  test('while another process holds the file is refused', async () => {
    copyDataFile(join(made, 'clean'), file)
    await using writer = startWriter(file, 1)
    await writer.said('marked')
    await expect(inspectFile(file)).rejects.toMatchObject({ code: 'data_dir_locked', message: expect.stringContaining(String(writer.pid)) })
  })

  test('that was killed before it had put the new file in its place is done again', async () => {
    copyDataFile(join(made, 'killed'), file)
    rmSync(file)
    rmSync(`${file}.wal`)
    // The mark goes last, so that no start takes the folder for a new one.
    expect((await refused()).message).toContain('is gone')
  })
})
