/** Puts a backup in the place of the database. What was there is moved aside, never deleted; what is not a sound backup changes nothing. */
import { copyFile, open, rm, stat } from 'node:fs/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { FabraError } from '../../../errors.ts'
import { attachFile } from '../connection/attach.ts'
import { CATALOG, quoteText } from '../sql.ts'
import { inspectFile, moveAside, withEngine } from './repair.ts'

export interface Restored {
  /** Where what was there before is now. */
  readonly aside: readonly string[]
  readonly rows: number
  /** Keys, as `Entity key`, that were forgotten after the backup was made; null: what was there before cannot be read. */
  readonly forgottenSince: readonly string[] | null
}

const MOST_TOLD = 1_000
const OLD = '__fabra_before'

/** @param file No process may have it open. @throws FabraError data_dir_locked, bad_usage, io_failed, schema_mismatch */
export async function restoreFile(file: string, backup: string, now: Date): Promise<Restored> {
  const isReadable = await checkPlace(file)
  const draft = `${file}.restoring`
  const clear = async () => {
    for (const ending of ['', '.wal', '.mark']) await rm(`${draft}${ending}`, { force: true })
  }
  await clear()
  try {
    await copyWhole(backup, draft)
    const { rows, forgottenSince } = await readBackup(draft, { backup, before: isReadable ? file : null })
    return { aside: moveAside(file, draft, now, 'before-restore'), rows, forgottenSince }
  } finally {
    await clear()
  }
}

/** @returns whether there is a database that can be read. @throws FabraError data_dir_locked */
async function checkPlace(file: string): Promise<boolean> {
  try {
    return (await inspectFile(file)).state === 'sound'
  } catch (error) {
    if (error instanceof FabraError && error.code === 'schema_mismatch') return false
    throw error
  }
}

async function copyWhole(backup: string, draft: string): Promise<void> {
  try {
    if (!(await stat(backup)).isFile()) throw new Error('it is no file')
    await copyFile(backup, draft)
    // Before the old one is moved, the new one is on the disk.
    const handle = await open(draft, 'r+')
    await handle.sync()
    await handle.close()
  } catch (cause) {
    throw new FabraError('io_failed', `The backup ${backup} cannot be copied: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: 'Name a file that "fabra backup" made; the data folder needs room for it. Nothing was changed.',
      cause,
    })
  }
}

interface RestoreFlags {
  readonly backup: string
  readonly before: string | null
}

async function readBackup(draft: string, { backup, before }: RestoreFlags): Promise<Omit<Restored, 'aside'>> {
  const unsound = (why: string, cause?: unknown) =>
    new FabraError('bad_usage', `${backup} is no backup that can be restored: ${why}`, {
      hint: 'Name a file that "fabra backup" made. Nothing was changed.',
      cause,
    })
  const { problem } = await inspectFile(draft)
  if (problem) throw unsound(problem.message, problem)
  return withEngine(async (connection) => {
    await attachFile(connection, draft)
    const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${CATALOG}.fabra.feature_history`).catch((cause: unknown) => {
      throw unsound('it holds no history of Fabra.', cause)
    })
    const rows = Number(counted.getRows()[0]?.[0] ?? 0)
    return { rows, forgottenSince: before === null ? null : await forgotten(connection, before) }
  })
}

/** What the backup does not know to be forgotten would be served again. */
async function forgotten(connection: DuckDBConnection, before: string): Promise<string[] | null> {
  try {
    await connection.run(`ATTACH ${quoteText(before)} AS ${OLD} (READ_ONLY)`)
    const found = await connection.runAndReadAll(`
      SELECT entity || ' ' || entity_key FROM ${OLD}.fabra.fences GROUP BY entity, entity_key, fenced_at
      EXCEPT SELECT entity || ' ' || entity_key FROM ${CATALOG}.fabra.fences AS known
      WHERE fenced_at >= (SELECT max(o.fenced_at) FROM ${OLD}.fabra.fences AS o WHERE o.entity = known.entity AND o.entity_key = known.entity_key)
      ORDER BY 1 LIMIT ${MOST_TOLD}`)
    await connection.run(`DETACH ${OLD}`)
    return found.getRows().map(([one]) => String(one))
  } catch {
    return null
  }
}
