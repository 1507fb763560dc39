/** Made with the first name, and not by a step of the schema: processes of the version before can still be started beside. */
import { type ArchiveMarks, namesByFile } from '../ports/archive.ts'
import type { Postgres, Statements } from './connection/postgres.ts'
import { storeErrors } from './connection/store-errors.ts'

const ASSIGN = "UPDATE fabra.archived_parts SET name = $2::text || '/' || name WHERE name = ANY ($1::text[])"
const ASSIGNED = `SELECT split_part(name, '/', 1), split_part(name, '/', 2)
  FROM fabra.archived_parts
  WHERE name LIKE '%/%'
  AND split_part(name, '/', 1) IN (SELECT split_part(name, '/', 1) FROM fabra.archived_parts WHERE split_part(name, '/', 2) = ANY ($1::text[]))`
const READ_MS = 10_000
const MAKE = 'CREATE TABLE IF NOT EXISTS fabra.archived_parts (name text COLLATE "C" PRIMARY KEY)'
const IS_THERE = "SELECT to_regclass('fabra.archived_parts') IS NOT NULL"

/** Outside of the transaction that writes names: two that make a table at once fail. */
export async function makeArchiveMarks(postgres: Postgres): Promise<void> {
  const { rows } = await postgres.run(IS_THERE, [], { timeoutMs: READ_MS, readOnly: true })
  if (rows[0]?.[0] !== 't') await postgres.run(MAKE, [], { timeoutMs: READ_MS })
}

export async function markArchived(statements: Statements, name: string): Promise<void> {
  await statements.run('INSERT INTO fabra.archived_parts (name) VALUES ($1)', [name])
}

export function createPostgresArchiveMarks(postgres: Postgres): ArchiveMarks {
  return {
    written: (names) =>
      storeErrors(async () => {
        if (names.length === 0) return new Set<string>()
        await makeArchiveMarks(postgres)
        const text = 'SELECT name FROM fabra.archived_parts WHERE name = ANY ($1::text[])'
        const { rows } = await postgres.run(text, [names], { timeoutMs: READ_MS, readOnly: true })
        return new Set(rows.map(([name]) => String(name)))
      }),
    assign: (names, file) =>
      storeErrors(async () => {
        if (names.length === 0) return namesByFile([])
        await makeArchiveMarks(postgres)
        await postgres.run(ASSIGN, [names, file], { timeoutMs: READ_MS })
        const { rows } = await postgres.run(ASSIGNED, [names], { timeoutMs: READ_MS, readOnly: true })
        return namesByFile(rows)
      }),
    forget: (names) =>
      storeErrors(async () => {
        if (names.length === 0) return
        await postgres.run('DELETE FROM fabra.archived_parts WHERE name = ANY ($1::text[])', [names], { timeoutMs: READ_MS })
      }),
  }
}
