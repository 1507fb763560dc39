import type { DuckDBConnection } from '@duckdb/node-api'
import { engineMessage } from '../connection/sql-errors.ts'
import { LIST_ALL_TABLES, lastBlock, readAll } from '../sql.ts'

export interface UnreadableTable {
  readonly schema: string
  readonly name: string
  /** In the engine's words. */
  readonly why: string
}

/**
 * Whether rows may lie in blocks that the file does not have. To read everything tells that as well, and takes as long as the file is large: after many
 * an orderly end its head counts a block that was never written.
 * @param blocks That it has.
 */
export async function mayLackRows(connection: DuckDBConnection, catalog: string, blocks: number): Promise<boolean> {
  try {
    for (const row of (await connection.runAndReadAll(LIST_ALL_TABLES, [catalog])).getRows()) {
      const [[last] = []] = (await connection.runAndReadAll(lastBlock(catalog, String(row[0]), String(row[1])))).getRows()
      if (last !== null && Number(last) >= blocks) return true
    }
    return false
  } catch {
    // What is known of a table lies in blocks, too.
    return true
  }
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
