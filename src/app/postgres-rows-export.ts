/** Rows of a table of PostgreSQL in a Parquet file, written in the temporary folder. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FabraError } from '../errors.ts'
import { writeRowsFile } from '../store/duckdb/rows-file.ts'
import { notExported } from '../store/duckdb/sources/rows-export.ts'
import type { RowsExport } from '../store/ports/history-export.ts'
import { SqlError } from '../store/ports/source-engine.ts'
import type { Postgres } from '../store/postgres/connection/postgres.ts'
import { exportedSourceRows } from '../store/postgres/sources/exported-rows.ts'

export function createPostgresRowsExport(postgres: Postgres): RowsExport {
  return async (source, before) => {
    const found = await exportedSourceRows(postgres, source, before)
    if (!found) throw new FabraError('not_found', `There is no table "${source.name}".`, { hint: 'Create it in PostgreSQL.' })
    const folder = await mkdtemp(join(tmpdir(), 'fabra-export-'))
    const remove = () => rm(folder, { recursive: true, force: true })
    try {
      const path = join(folder, 'rows.parquet')
      const timestamp = found.columns.find(({ name }) => name.toLowerCase() === source.timestamp?.toLowerCase())
      await writeRowsFile(folder, path, { columns: found.columns, key: [], order: timestamp ? [timestamp.name] : [] }, found.batches)
      return { path, remove }
    } catch (error) {
      await remove()
      throw error instanceof SqlError ? notExported(error) : error
    }
  }
}
