import { type Database, ownDeadline } from '../connection/database.ts'
import { CATALOG, quoteTable } from '../sql.ts'

/** Tables of these names and recorded history have no rows afterwards: columns and types stay. Of a database that nobody else uses. */
export async function emptyTables(database: Database, names: readonly string[]): Promise<void> {
  const within = ownDeadline()
  await database.loader.use(within, async (session) => {
    for (const name of names) await session.execute(`DELETE FROM ${quoteTable(name)}`, within)
  })
  await database.history.use(within, (session) => session.execute(`DELETE FROM ${CATALOG}.fabra.feature_history`, within))
}
