/** A backup of the laptop's one file, put back. */
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { FabraError } from '../errors.ts'
import { type Restored, restoreFile } from '../store/duckdb/damage/restore.ts'
import { DATA_FILE } from './open-stores.ts'

export type { Restored } from '../store/duckdb/damage/restore.ts'

/** @throws FabraError invalid_config where there is no file, data_dir_locked, bad_usage, io_failed: nothing was changed then. */
export function restoreBackup(
  { dataDir, postgresUrl }: Pick<Config, 'dataDir' | 'postgresUrl'>,
  backup: string,
  now: Date,
): Promise<Restored> {
  if (postgresUrl !== null) {
    throw new FabraError('invalid_config', 'There is no data file to restore: history is in PostgreSQL.', {
      hint: 'Restore the schema "fabra" there: psql or pg_restore. To restore the file of a laptop, unset FABRA_POSTGRES_URL.',
    })
  }
  return restoreFile(join(dataDir, DATA_FILE), backup, now)
}
