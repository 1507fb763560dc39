/**
 * Brings Fabra's own tables in the file up to this executable, in numbered steps, each in a transaction of its own: a process that is killed in
 * between leaves a file that the next one brings further. A file without a list of them has all or none, as a new one: that costs half.
 *
 * A file without a list of steps was made before there were any, and begins with the first. One with a step that is not known here was made by
 * a newer Fabra and is refused before anything in it is changed. Executables from before there were steps know nothing of them: they open any
 * file, make no list, and write the tables as they know them. So, as long as those are in use, a step adds to a table only what has a default.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { FabraError } from '../../../errors.ts'
import { toSqlError } from '../connection/sql-errors.ts'
import { openError } from '../damage/file-damage.ts'
import { CATALOG, quoteText } from '../sql.ts'
import { MIGRATIONS, type Migration } from './migrations/index.ts'

/** Changes nothing. @param catalog Under which the file is attached. @throws FabraError schema_mismatch where a newer Fabra made the file, data_file_corrupt, io_failed */
export async function checkSchema(connection: DuckDBConnection, file: string, catalog: string): Promise<void> {
  await pendingSteps(connection, { file, catalog }, MIGRATIONS)
}

/** @returns names of the steps that were done now. @throws FabraError schema_mismatch, data_file_corrupt, io_failed */
export async function migrateFile(connection: DuckDBConnection, file: string, migrations = MIGRATIONS): Promise<readonly string[]> {
  const pending = await pendingSteps(connection, { file, catalog: CATALOG }, migrations)
  const hasList = pending.length < migrations.length
  for (const steps of hasList ? pending.map((step) => [step]) : [pending]) {
    await connection.run(inTransaction(steps)).catch(async (error: unknown) => {
      await connection.run('ROLLBACK').catch(() => undefined)
      throw openError(error, file)
    })
  }
  return pending.map(({ name }) => name)
}

interface AttachedFile {
  readonly file: string
  readonly catalog: string
}

async function pendingSteps(
  connection: DuckDBConnection,
  attached: AttachedFile,
  migrations: readonly Migration[],
): Promise<readonly Migration[]> {
  const done = await doneSteps(connection, attached)
  for (const [id, name] of done) {
    const step = migrations.find((one) => one.id === id)
    if (!step) throw mismatch(attached.file, `a newer Fabra: it has step ${id} (${name})`)
    if (step.name !== name) throw mismatch(attached.file, `another build of Fabra: its step ${id} is ${name}`)
  }
  return migrations.filter(({ id }) => !done.has(id))
}

async function doneSteps(connection: DuckDBConnection, { file, catalog }: AttachedFile): Promise<ReadonlyMap<number, string>> {
  const text = `SELECT id, name FROM ${catalog}.fabra.migrations ORDER BY id`
  try {
    const rows = (await connection.runAndReadAll(text)).getRows()
    return new Map(rows.map(([id, name]) => [Number(id), String(name)]))
  } catch (error) {
    // There is no such table yet.
    if (toSqlError(error, text).kind === 'binding') return new Map()
    throw openError(error, file)
  }
}

function inTransaction(steps: readonly Migration[]): string {
  return `BEGIN;
CREATE SCHEMA IF NOT EXISTS ${CATALOG}.fabra;
CREATE TABLE IF NOT EXISTS ${CATALOG}.fabra.migrations (id INTEGER NOT NULL, name VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL);
${steps.map(({ text }) => `${text};`).join('\n')}
INSERT INTO ${CATALOG}.fabra.migrations (id, name, applied_at) VALUES ${steps.map(({ id, name }) => `(${id}, ${quoteText(name)}, now())`).join(', ')};
COMMIT`
}

function mismatch(file: string, who: string): FabraError {
  return new FabraError('schema_mismatch', `The database ${file} was written by ${who}.`, {
    hint: 'Nothing was changed. Use that executable, or give this one a folder of its own with FABRA_DATA_DIR.',
  })
}
