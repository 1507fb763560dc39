import { type Database, ownDeadline } from '../../src/store/duckdb/connection/database.ts'
import { CATALOG } from '../../src/store/duckdb/sql.ts'

const TABLES = `SELECT table_name FROM duckdb_tables() WHERE database_name = '${CATALOG}' AND schema_name = 'main'`

/** As if no source had ever been loaded: opening another database for each test costs more than most of them. */
export function emptied(database: Database): Promise<void> {
  return database.loader.use(ownDeadline(), async (session, left) => {
    const { rows } = await session.read(TABLES, [], left)
    const drops = rows.map(([name]) => `DROP TABLE "${name}";`)
    await session.execute(`${drops.join(' ')} DELETE FROM fabra.source_files; DELETE FROM fabra.source_rows`, left)
  })
}
