import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { FabraError } from '../../../errors.ts'
import { createDamageWatch } from '../damage/damage-watch.ts'
import { openError } from '../damage/file-damage.ts'
import type { Known } from '../damage/mark.ts'
import { createMarking, firstMark, type Marking } from '../damage/marking.ts'
import { migrateFile } from '../schema/migrate.ts'
import { CATALOG, quoteText } from '../sql.ts'
import { createChanges } from '../training/resume/changes.ts'
import { type Attached, attachFile } from './attach.ts'
import { createCheckpoints } from './checkpoints.ts'
import { ownDeadline } from './own-deadline.ts'
import { createSession, type Session } from './session.ts'
import { createSessionPool, type SessionPool } from './session-pool.ts'
import { engineMessage } from './sql-errors.ts'

export { ownDeadline } from './own-deadline.ts'

/** Statements of users that may run at once. The engine already spreads one statement over all cores. */
const READERS = 4
const INTERRUPT_EVERY_MS = 10

/**
 * The one owner of the process's DuckDB file. A second open of the same file in one process silently loses committed rows, so everything
 * that needs the file is handed this. Users' SQL sees no files: external access is off but for a folder of our own, which lends a file while it is loaded.
 */
export interface Database {
  /** Files put here may be read by the engine; nothing else may. */
  readonly loadDir: string
  /** For users' SQL and reads. */
  readonly readers: SessionPool
  /** History is appended here, one batch at a time. */
  readonly history: SessionPool
  /** Source tables are made here, so that a long load does not hold up history. */
  readonly loader: SessionPool
  /** Whether sources or history were written meanwhile: see `Changes.now`. */
  readonly changes: { readonly sources: () => number | null; readonly history: () => number | null }
  /** The file was found to be damaged while it was in use; null where it was not. */
  damage(): FabraError | null
  /** Meanwhile the engine keeps to one thread, so that sums of floats are added in one order. Everything else is held up a little by it. */
  onOneThread<T>(work: () => Promise<T>): Promise<T>
  /** Waits for running statements, checkpoints and lets go of the file. */
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** Path of the file, or `:memory:`. Its folder is made if need be, readable by its owner alone. */
  readonly file: string
  /** Bytes the engine may hold before it spills to disk. Default: the engine's own, four fifths of what the machine or its control group has. */
  readonly memoryLimit?: number
  /** Default: one per core. */
  readonly threads?: number
  /** Told of what nobody else is told of. */
  readonly onProblem?: (message: string, cause: unknown) => void
}

/** @throws FabraError data_dir_locked when another process holds the file, data_file_corrupt, schema_mismatch, io_failed when it cannot be read. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const dir = await dataDir(options.file)
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    // Files are read once.
    enable_external_file_cache: 'false',
    // What a load or a large query has used goes back to the system; else a small file loaded at the start leaves 13 MiB behind for good.
    allocator_flush_threshold: '1MB',
    allocator_bulk_deallocation_flush_threshold: '1MB',
    // Checkpoints hold up commits, and each writes again what is no full block yet: seldom, then. See checkpoints.ts for many small commits.
    checkpoint_threshold: '32MB',
    ...(options.threads ? { threads: String(options.threads) } : {}),
  })
  try {
    const wasKilled = existsSync(`${options.file}.wal`)
    const { connections, ...attached } = await connectAll(instance, options, dir)
    // Only now is the folder ours: another process may be loading a file through it.
    await rm(join(dir, 'load'), { recursive: true, force: true })
    await mkdir(join(dir, 'load'), { recursive: true, mode: 0o700 })
    const sessions = connections.map(createSession)
    const mark = options.file === ':memory:' ? undefined : await markDatabase(options.file, sessions, attached)
    return asDatabase(instance, { ...options, wasKilled, mark }, dir, sessions)
  } catch (error) {
    instance.closeSync()
    throw error
  }
}

interface Opened extends DatabaseOptions {
  /** The log of an earlier process was read back. */
  readonly wasKilled: boolean
  /** Undefined: nothing is kept, so there is nothing to mark. */
  readonly mark: Known | undefined
}

function asDatabase(instance: DuckDBInstance, options: Opened, dir: string, sessions: readonly Session[]): Database {
  const [history, loader, ...readers] = sessions.map((session) => [session])
  const pools = {
    history: createSessionPool(history ?? []),
    loader: createSessionPool(loader ?? []),
    readers: createSessionPool(readers.flat()),
  }
  const problem = options.onProblem ?? (() => undefined)
  const damage = createDamageWatch(options.file, problem)
  const marking: Marking | undefined =
    options.mark &&
    createMarking(options.file, options.mark, pools.history, (error) =>
      problem('The mark beside the database cannot be written; loss of data would not be noticed at the next start.', error),
    )
  const noticing = (pool: SessionPool) => damage.watching(marking ? marking.noticing(pool) : pool)
  const checkpoints = createCheckpoints(() =>
    pools.history.use(ownDeadline(), (session, left) => session.execute(`CHECKPOINT ${CATALOG}`, left)),
  )
  const written = { sources: createChanges(), history: createChanges() }
  // Else the next start would read it back once more.
  if (options.wasKilled) checkpoints.begin()
  let closing: Promise<void> | undefined
  const close = async () => {
    // Nobody waits for a reader any more. Told again and again: an interrupt that comes before the engine has begun is forgotten by it.
    const interrupting = setInterval(() => {
      for (const session of readers.flat()) session.connection.interrupt()
    }, INTERRUPT_EVERY_MS)
    await Promise.all([pools.readers.drain(), pools.loader.drain()])
    await marking?.close()
    await pools.history.drain()
    clearInterval(interrupting)
    if (options.file !== ':memory:') {
      // What is not written into the file is in its log, and read back from there.
      const checkpoint = sessions[0]?.connection.run(`CHECKPOINT ${CATALOG}`)
      await checkpoint?.catch((error: unknown) =>
        problem('The log of the database could not be written into its file; it stays beside it.', new Error(engineMessage(error))),
      )
    }
    for (const session of sessions) session.close()
    instance.closeSync()
    await rm(options.file === ':memory:' ? dir : join(dir, 'load'), { recursive: true, force: true })
  }
  return {
    loadDir: join(dir, 'load'),
    readers: damage.watching(pools.readers),
    history: written.history.counted(checkpoints.counted(noticing(pools.history))),
    loader: written.sources.counted(checkpoints.counted(noticing(pools.loader))),
    damage: damage.now,
    changes: { sources: written.sources.now, history: written.history.now },
    onOneThread: oneThread(pools.readers),
    close: () => (closing ??= close()),
  }
}

/** The number of threads is the engine's, not a session's: the first who wants one sets it, the last sets it back. */
function oneThread(readers: SessionPool): Database['onOneThread'] {
  let users = 0
  let usual = 0
  const set = (count: number) => readers.use(ownDeadline(), (session, left) => session.execute(`SET threads = ${count}`, left))
  return async (work) => {
    if (users++ === 0) {
      const { rows } = await readers.use(ownDeadline(), (session, left) => session.read("SELECT current_setting('threads')", [], left))
      usual = Number(rows[0]?.[0] ?? 1)
      await set(1)
    }
    try {
      return await work()
    } finally {
      if (--users === 0) await set(usual)
    }
  }
}

async function connectAll(
  instance: DuckDBInstance,
  options: DatabaseOptions,
  dir: string,
): Promise<Attached & { readonly connections: DuckDBConnection[] }> {
  const first = await instance.connect()
  // A file that is refused stays as it is; one that is in use is written at `close`.
  await first.run('PRAGMA disable_checkpoint_on_shutdown')
  if (options.memoryLimit) await first.run(`SET memory_limit = '${Math.floor(options.memoryLimit / 1024)}KiB'`)
  await first.run(`SET temp_directory = ${quoteText(join(dir, 'spill'))}`)
  await first.run(`SET allowed_directories = [${quoteText(`${join(dir, 'load')}/`)}]`)
  const isKept = options.file !== ':memory:'
  const attached = isKept ? await attachFile(first, options.file) : undefined
  if (!isKept) await first.run(`ATTACH ':memory:' AS ${CATALOG}`)
  const connections = [first]
  for (let i = 0; i < READERS + 1; i++) connections.push(await instance.connect())
  for (const connection of connections) {
    await connection.run(`USE ${CATALOG}; SET TimeZone = 'UTC'; SET errors_as_json = true`)
  }
  await migrateFile(first, options.file)
  await first.run("SET allowed_configs = ['threads']; SET enable_external_access = false; SET lock_configuration = true")
  return { mark: attached?.mark, known: attached?.known, connections }
}

async function markDatabase(file: string, [first]: readonly Session[], { mark, known }: Attached): Promise<Known | undefined> {
  try {
    return first && (await firstMark(file, first, known, mark))
  } catch (error) {
    throw openError(error, file)
  }
}

async function dataDir(file: string): Promise<string> {
  if (file === ':memory:') return mkdtemp(join(tmpdir(), 'fabra-'))
  const dir = dirname(file)
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    return dir
  } catch (error) {
    throw new FabraError('io_failed', `The data folder ${dir} cannot be made: ${error instanceof Error ? error.message : String(error)}`, {
      hint: 'Give a folder that can be written with FABRA_DATA_DIR.',
      cause: error,
    })
  }
}
