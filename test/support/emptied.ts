import { type Database, ownDeadline } from '../../src/store/duckdb/connection/database.ts'

const EMPTY = 'DROP TABLE IF EXISTS events; DELETE FROM fabra.source_files; DELETE FROM fabra.source_rows'

/** As if no source had ever been loaded, where all are called "events": opening another database for each test costs more than most of them. */
export function emptied(database: Database): Promise<void> {
  return database.loader.use(ownDeadline(), (session, left) => session.execute(EMPTY, left))
}
