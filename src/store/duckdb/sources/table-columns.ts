import { SqlError, type TableColumn } from '../../ports/source-engine.ts'
import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { describeTable } from '../sql.ts'

/** Columns of one table or view; undefined where there is none. */
export async function tableColumns(session: Session, schema: string, name: string): Promise<TableColumn[] | undefined> {
  try {
    const { rows } = await session.read(describeTable(schema, name), [], ownDeadline())
    return rows.map(([column, type]) => ({ name: String(column), type: String(type) }))
  } catch (error) {
    if (error instanceof SqlError && error.kind === 'binding') return undefined
    throw error
  }
}
