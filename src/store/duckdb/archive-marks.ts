/** Made with the first name, and not by a step of the schema: the version before, which refuses steps it does not know, can still open the file. */
import { type ArchiveMarks, namesByFile } from '../ports/archive.ts'
import { type Database, ownDeadline } from './connection/database.ts'
import type { Session } from './connection/session.ts'
import { hasTable } from './sql.ts'

const MAKE = 'CREATE TABLE IF NOT EXISTS fabra.archived_parts (name VARCHAR NOT NULL)'
const ASSIGN = "UPDATE fabra.archived_parts SET name = $2 || '/' || name WHERE name IN (SELECT unnest($1::VARCHAR[]))"
const ASSIGNED = `SELECT split_part(name, '/', 1), split_part(name, '/', 2)
  FROM fabra.archived_parts
  WHERE name LIKE '%/%'
  AND split_part(name, '/', 1) IN (
    SELECT split_part(name, '/', 1) FROM fabra.archived_parts WHERE split_part(name, '/', 2) IN (SELECT unnest($1::VARCHAR[]))
  )`

/** Within the transaction that removes them. */
export async function markArchived(session: Session, name: string): Promise<void> {
  await session.execute(MAKE, ownDeadline())
  await session.read('INSERT INTO fabra.archived_parts VALUES ($1)', [name], ownDeadline())
}

export function createDuckdbArchiveMarks(database: Database): ArchiveMarks {
  const isMade = async (session: Session) => (await session.read(hasTable('archived_parts'), [], ownDeadline())).rows.length > 0
  return {
    written: (names) =>
      database.history.use(ownDeadline(), async (session) => {
        if (names.length === 0 || !(await isMade(session))) return new Set<string>()
        const text = 'SELECT name FROM fabra.archived_parts WHERE name IN (SELECT unnest($1::VARCHAR[]))'
        return new Set((await session.read(text, [[...names]], ownDeadline())).rows.map(([name]) => String(name)))
      }),
    assign: (names, file) =>
      database.history.use(ownDeadline(), async (session) => {
        if (names.length === 0 || !(await isMade(session))) return namesByFile([])
        await session.read(ASSIGN, [[...names], file], ownDeadline())
        return namesByFile((await session.read(ASSIGNED, [[...names]], ownDeadline())).rows)
      }),
    forget: (names) =>
      database.history.use(ownDeadline(), async (session) => {
        if (names.length === 0 || !(await isMade(session))) return
        await session.read('DELETE FROM fabra.archived_parts WHERE name IN (SELECT unnest($1::VARCHAR[]))', [[...names]], ownDeadline())
      }),
  }
}
