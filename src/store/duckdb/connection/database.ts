import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { FabraError } from '../../../errors.ts'
import { createDamageWatch } from '../damage/damage-watch.ts'
import { openError } from '../damage/file-damage.ts'
import type { OwnMark } from '../damage/mark.ts'
import { createMarking, firstMark, type Marking } from '../damage/marking.ts'
import { CATALOG } from '../sql.ts'
import { createChanges } from '../training/resume/changes.ts'
import { createCheckpoints } from './checkpoints.ts'
import { type Engine, type EngineOptions, openEngine, type Pools } from './engine.ts'
import { ownDeadline } from './own-deadline.ts'
import { createReopening } from './reopening.ts'
import type { SessionPool } from './session-pool.ts'
import { engineMessage } from './sql-errors.ts'

export { ownDeadline } from './own-deadline.ts'

/**
 * The one owner of the process's DuckDB file. A second open of the same file in one process silently loses committed rows, so everything
 * that needs the file is handed this. Users' SQL sees no files: external access is off but for a folder of our own, which lends a file while it is loaded.
 */
export interface Database extends Pools {
  /** Files put here may be read by the engine; nothing else may. */
  readonly loadDir: string
  /** Whether sources or history were written meanwhile: see `Changes.now`. */
  readonly changes: { readonly sources: () => number | null; readonly history: () => number | null }
  /** The file was found to be damaged while it was in use; null where it was not. */
  damage(): FabraError | null
  /** Why nothing can be written or read just now, until the file is open again; null: it is. */
  lost(): string | null
  /** Meanwhile the engine keeps to one thread, so that sums of floats are added in one order. Everything else is held up a little by it. */
  onOneThread<T>(work: () => Promise<T>): Promise<T>
  /** Waits for running statements, checkpoints and lets go of the file. */
  close(): Promise<void>
}

/** The file's folder is made if need be, readable by its owner alone. */
export interface DatabaseOptions extends EngineOptions {
  /** Told of what nobody else is told of. */
  readonly onProblem?: (message: string, cause: unknown) => void
}

/** @throws FabraError data_dir_locked when another process holds the file, data_file_corrupt, schema_mismatch, io_failed when it cannot be read. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const dir = await dataDir(options.file)
  const wasKilled = existsSync(`${options.file}.wal`)
  const engine = await openEngine(options, dir)
  try {
    // Only now is the folder ours: another process may be loading a file through it.
    await rm(join(dir, 'load'), { recursive: true, force: true })
    await mkdir(join(dir, 'load'), { recursive: true, mode: 0o700 })
    const mark = options.file === ':memory:' ? undefined : await markDatabase(options.file, engine)
    return asDatabase(engine, { ...options, wasKilled, mark }, dir)
  } catch (error) {
    await engine.close()
    throw error
  }
}

interface Opened extends DatabaseOptions {
  /** The log of an earlier process was read back. */
  readonly wasKilled: boolean
  /** Undefined: nothing is kept, so there is nothing to mark. */
  readonly mark: OwnMark | undefined
}

function asDatabase(first: Engine, options: Opened, dir: string): Database {
  const problem = options.onProblem ?? (() => undefined)
  const { file } = options
  const pools = createReopening({ file, first, open: () => openEngine(options, dir), onProblem: problem })
  const damage = createDamageWatch(file, problem)
  const marking: Marking | undefined =
    options.mark &&
    createMarking(file, options.mark, pools.history, (error) =>
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
    const engine = await pools.stop()
    await engine?.quiet()
    await marking?.close()
    if (engine && file !== ':memory:') {
      // What is not written into the file is in its log, and read back from there.
      await engine
        .checkpoint()
        .catch((error: unknown) =>
          problem('The log of the database could not be written into its file; it stays beside it.', new Error(engineMessage(error))),
        )
    }
    await engine?.close()
    await rm(file === ':memory:' ? dir : join(dir, 'load'), { recursive: true, force: true })
  }
  return {
    loadDir: join(dir, 'load'),
    readers: damage.watching(pools.readers),
    history: written.history.counted(checkpoints.counted(noticing(pools.history))),
    loader: written.sources.counted(checkpoints.counted(noticing(pools.loader))),
    damage: damage.now,
    lost: pools.lost,
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

async function markDatabase(file: string, { first, attached }: Engine): Promise<OwnMark | undefined> {
  try {
    return await firstMark(file, first, attached.known, attached.mark)
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
