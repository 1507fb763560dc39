/** Tables that a data file has, seen from outside: a check looks at them and touches nothing. */
import { existsSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Table } from '../../ports/source-engine.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import { quoteName, quoteTable, quoteText } from '../sql.ts'

const MAKE = ownDeadline(60_000)
const LIST = `
SELECT schema_name, table_name, list(column_name ORDER BY column_index), list(data_type ORDER BY column_index)
FROM duckdb_columns()
WHERE database_name = 'given' AND NOT internal AND schema_name <> 'fabra'
GROUP BY ALL
ORDER BY ALL`

/** None where there is no file, and where it cannot be opened: a server holds it, or it is damaged, which others tell. */
export async function tableShapes(file: string): Promise<readonly Omit<Table, 'kind' | 'isOnPath' | 'indexed'>[]> {
  if (!existsSync(file)) return []
  const instance = await DuckDBInstance.create(':memory:')
  try {
    const connection = await instance.connect()
    await connection.run(`ATTACH ${quoteText(file)} AS given (READ_ONLY)`)
    const rows = (await connection.runAndReadAll(LIST)).getRowsJS() as [string, string, string[], string[]][]
    return rows.map(([schema, name, columns, types]) => {
      return { schema, name, columns: columns.map((column, i) => ({ name: column, type: types[i] ?? 'VARCHAR' })) }
    })
  } catch {
    return []
  } finally {
    instance.closeSync()
  }
}

/** Makes empty tables of these shapes. */
export async function makeShapes(database: Database, shapes: Awaited<ReturnType<typeof tableShapes>>): Promise<void> {
  await database.loader.use(MAKE, async (session) => {
    for (const { schema, name, columns } of shapes) {
      const table = `${schema}.${name}`
      const typed = columns.map((column) => `${quoteName(column.name)} ${column.type}`)
      await session.execute(`CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}`, MAKE)
      await session.execute(`CREATE TABLE IF NOT EXISTS ${quoteTable(table)} (${typed.join(', ')})`, MAKE)
    }
  })
}
