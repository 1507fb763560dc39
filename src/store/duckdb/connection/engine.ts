import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { migrateFile } from '../schema/migrate.ts'
import { CATALOG, quoteText } from '../sql.ts'
import { type Attached, attachFile } from './attach.ts'
import { createSession, type Session } from './session.ts'
import { createSessionPool, type SessionPool } from './session-pool.ts'

/** Statements of users that may run at once. The engine already spreads one statement over all cores. */
const READERS = 4
const INTERRUPT_EVERY_MS = 10

export interface EngineOptions {
  /** Path of the file, or `:memory:`. */
  readonly file: string
  /** Bytes the engine may hold before it spills to disk. Default: the engine's own, four fifths of what the machine or its control group has. */
  readonly memoryLimit?: number
  /** Default: one per core. */
  readonly threads?: number
}

export interface Pools {
  /** For users' SQL and reads. */
  readonly readers: SessionPool
  /** History is appended here, one batch at a time. */
  readonly history: SessionPool
  /** Source tables are made here, so that a long load does not hold up history. */
  readonly loader: SessionPool
}

/** The engine with the file open in it. */
export interface Engine extends Pools {
  /** Its first session, before anybody else has it. */
  readonly first: Session
  readonly attached: Attached
  /** Nobody waits for a reader any more: stops what they run, and resolves when neither they nor the loader are in use. */
  quiet(): Promise<void>
  /** When history is not in use any more, writes the log into the file. @throws what the engine says */
  checkpoint(): Promise<void>
  /** When history is not in use any more, lets go of the file. */
  close(): Promise<void>
}

/** @param dir What the engine spills goes there. @throws FabraError as `openDatabase` does. */
export async function openEngine(options: EngineOptions, dir: string): Promise<Engine> {
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
    const { connections, ...attached } = await connectAll(instance, options, dir)
    await mkdir(join(dir, 'load'), { recursive: true, mode: 0o700 })
    const [first, ...others] = connections.map(createSession)
    if (!first) throw new Error('The engine has no session.')
    return asEngine(instance, [first, ...others], attached)
  } catch (error) {
    instance.closeSync()
    throw error
  }
}

function asEngine(instance: DuckDBInstance, sessions: readonly [Session, ...Session[]], attached: Attached): Engine {
  const [first, ...others] = sessions
  const [loading, ...reading] = others
  const pools = {
    history: createSessionPool([first]),
    loader: createSessionPool(loading ? [loading] : []),
    readers: createSessionPool(reading),
  }
  return {
    ...pools,
    first,
    attached,
    async quiet() {
      // Told again and again: an interrupt that comes before the engine has begun is forgotten by it.
      const interrupting = setInterval(() => {
        for (const session of reading) session.connection.interrupt()
      }, INTERRUPT_EVERY_MS)
      await Promise.all([pools.readers.drain(), pools.loader.drain()])
      clearInterval(interrupting)
    },
    async checkpoint() {
      await pools.history.drain()
      await first.connection.run(`CHECKPOINT ${CATALOG}`)
    },
    async close() {
      await pools.history.drain()
      for (const session of sessions) session.close()
      instance.closeSync()
    },
  }
}

async function connectAll(
  instance: DuckDBInstance,
  options: EngineOptions,
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
  await first.run(
    "SET allowed_configs = ['threads', 'allocator_bulk_deallocation_flush_threshold']; SET enable_external_access = false; SET lock_configuration = true",
  )
  return { mark: attached?.mark, known: attached?.known, connections }
}
