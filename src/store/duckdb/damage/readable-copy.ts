/** A copy of a damaged file, mended where its head or its log is damaged, so that the engine opens it. */
import { closeSync, constants, copyFileSync, existsSync, openSync, readFileSync, readSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { FabraError } from '../../../errors.ts'
import { quoteText } from '../sql.ts'
import { checksum, HEAD_BYTES, PAGE } from './file-head.ts'
import { walkLog } from './log-file.ts'

export interface Readable {
  readonly path: string
  /** Under which it is attached. */
  readonly catalog: string
  /** Sentences about what is not in it. */
  readonly lost: readonly string[]
}

const COPY = 'readable_copy'
const copyOf = (file: string) => `${file}.readable`

/** Leavings of a repair that was killed, too. */
export function removeCopies(file: string): void {
  for (const name of [copyOf(file), `${copyOf(file)}.wal`, `${file}.rebuilt`, `${file}.rebuilt.wal`, `${file}.fresh`, `${file}.fresh.wal`])
    rmSync(name, { force: true })
}

/** Attached, or undefined where nothing can be read. @throws FabraError io_failed where there is no room for a copy. */
export async function openReadable(connection: DuckDBConnection, file: string): Promise<Readable | undefined> {
  if (!existsSync(file)) return undefined
  for (const attempt of [withLog, withoutLog]) {
    const lost = await copied(file, attempt)
    if (!lost) return undefined
    try {
      await connection.run(`ATTACH ${quoteText(copyOf(file))} AS ${COPY}`)
      return { path: copyOf(file), catalog: COPY, lost }
    } catch {
      // The next attempt, or none.
    }
  }
  return undefined
}

type Attempt = (file: string, isLatest: boolean) => string[]

async function copied(file: string, attempt: Attempt): Promise<string[] | undefined> {
  const copy = copyOf(file)
  rmSync(`${copy}.wal`, { force: true })
  try {
    copyFileSync(file, copy, constants.COPYFILE_FICLONE)
    const head = await mendHead(copy, file)
    return head && [...(head === 'latest' ? [] : [OLDER]), ...attempt(file, head === 'latest')]
  } catch (error) {
    throw new FabraError(
      'io_failed',
      `The database ${file} cannot be copied to be repaired: ${error instanceof Error ? error.message : String(error)}`,
      {
        hint: 'Nothing was changed. Make room on the disk of the data folder: as much as the database and its log have.',
        cause: error,
      },
    )
  }
}

const OLDER = 'The newest checkpoint cannot be read; this is the one before it, without the log that was written since.'

/** As far as its entries are whole. */
function withLog(file: string, isLatest: boolean): string[] {
  const log = `${file}.wal`
  if (!isLatest || !existsSync(log)) return []
  const walk = walkLog(log)
  copyFileSync(log, `${copyOf(file)}.wal`)
  if (!walk || walk.goodBytes === walk.size) return []
  truncateSync(`${copyOf(file)}.wal`, walk.goodBytes)
  if (walk.endsInZeros) return []
  return [`The log could be read back up to byte ${walk.goodBytes} of ${walk.size}: what was written behind that is gone.`]
}

function withoutLog(file: string): string[] {
  return existsSync(`${file}.wal`) ? ['The log cannot be read back: all that was written since the last checkpoint is gone.'] : []
}

/** @returns which checkpoint it begins with, undefined where none is left. */
async function mendHead(copy: string, file: string): Promise<'latest' | 'before' | undefined> {
  const descriptor = openSync(copy, 'r+')
  try {
    const head = Buffer.alloc(HEAD_BYTES)
    if (readSync(descriptor, head, 0, HEAD_BYTES, 0) < HEAD_BYTES) return undefined
    const page = (i: number) => head.subarray(i * PAGE, (i + 1) * PAGE)
    const isGood = (i: number) => checksum(page(i).subarray(8)) === page(i).readBigUInt64LE(0)
    const iteration = (i: number) => page(i).readBigUInt64LE(8)
    // The first page is the same in all files of one version of the engine.
    if (!isGood(0)) page(0).set((await freshHead(file)).subarray(0, PAGE))
    const good = [1, 2].filter(isGood)
    const [only] = good
    if (only === undefined) return undefined
    const other = only === 1 ? 2 : 1
    // A page that was damaged is the older one if it still says so.
    const which = good.length === 2 || iteration(other) < iteration(only) ? 'latest' : 'before'
    if (good.length === 1) page(other).set(page(only))
    writeSync(descriptor, head, 0, HEAD_BYTES, 0)
    return which
  } finally {
    closeSync(descriptor)
  }
}

async function freshHead(file: string): Promise<Buffer> {
  const fresh = `${file}.fresh`
  const instance = await DuckDBInstance.create(fresh)
  instance.closeSync()
  return readFileSync(fresh)
}
