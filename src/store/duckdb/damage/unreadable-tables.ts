import type { DuckDBConnection } from '@duckdb/node-api'
import { engineMessage } from '../connection/sql-errors.ts'
import { LIST_ALL_TABLES, readAll } from '../sql.ts'

export interface UnreadableTable {
  readonly schema: string
  readonly name: string
  /** In the engine's words. */
  readonly why: string
}

/** Reads everything: each block of every table, whose checksums the engine compares. */
export async function unreadableTables(connection: DuckDBConnection, catalog: string): Promise<readonly UnreadableTable[]> {
  const found: UnreadableTable[] = []
  for (const row of (await connection.runAndReadAll(LIST_ALL_TABLES, [catalog])).getRows()) {
    const [schema, name] = [String(row[0]), String(row[1])]
    try {
      await connection.run(readAll(catalog, schema, name))
    } catch (error) {
      found.push({ schema, name, why: engineMessage(error) })
    }
  }
  return found
}
