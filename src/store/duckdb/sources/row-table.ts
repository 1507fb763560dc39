import type { KeyType } from '../../../definition/model.ts'
import type { RowList, RunOptions } from '../../ports/source-engine.ts'
import { ownDeadline } from '../connection/own-deadline.ts'
import type { Session } from '../connection/session.ts'
import { appendRows, CLEAR_ROW_TABLE, createRowTable, DROP_ROW_TABLE } from '../sql.ts'

/** One statement's: making them holds up the main thread. */
const CHUNK_ROWS = 5_000
/** The engine keeps rows that were deleted until a table is made anew, reads over them and counts them when it plans. */
const MOST_ROWS_EVER = 2_000
/** A longer list would hold memory until the next one. */
const MOST_ROWS_LEFT = 10_000

/** The table that a session has, and how many rows it ever had. */
const tables = new WeakMap<Session, { readonly types: string; readonly rows: number }>()

const KEY_TYPES: Readonly<Record<KeyType, string>> = { string: 'VARCHAR', int: 'BIGINT', uuid: 'UUID' }

/** SQL type of a key column. */
export function keySqlType(type: KeyType): string {
  return KEY_TYPES[type]
}

/**
 * Makes the session's temporary table `__fabra_row` hold exactly these rows. A table that is made anew makes the engine plan every statement over it
 * anew, which costs more than a small list does: so it is emptied and filled again while it may be.
 */
export async function fillRowTable(session: Session, list: RowList, options: RunOptions): Promise<void> {
  const types = list.types.join()
  const known = tables.get(session)
  const before = known?.types === types && known.rows + list.asOf.length <= MOST_ROWS_EVER ? known.rows : null
  // Unless all goes well it is made anew the next time.
  tables.delete(session)
  if (before === null) await session.execute(createRowTable(list.types), options)
  else await session.repeat(CLEAR_ROW_TABLE, [], options)
  await appendRowList(session, list, options)
  tables.set(session, { types, rows: (before ?? 0) + list.asOf.length })
}

/** After the statement over it. */
export async function releaseRowTable(session: Session, list: RowList): Promise<void> {
  if (list.asOf.length > MOST_ROWS_LEFT) await dropRowTable(session)
}

/** Also one that was made by another statement. */
export async function dropRowTable(session: Session): Promise<void> {
  tables.delete(session)
  await session.execute(DROP_ROW_TABLE, ownDeadline())
}

/**
 * A list goes over as texts, which the engine takes apart on its own threads; the driver's appender would hold up this one, value by value.
 * Keys hold no NUL and are well-formed, as-of times are whole: both come through exactly.
 */
async function appendRowList(session: Session, rows: RowList, options: RunOptions): Promise<void> {
  const text = appendRows(rows.types)
  for (let from = 0; from < rows.asOf.length; from += CHUNK_ROWS) {
    const asOf = rows.asOf.slice(from, from + CHUNK_ROWS)
    const keys = rows.keys.map((column) => asOf.map((_, i) => column.at(from + i)).join('\0'))
    await session.repeat(text, [from, asOf.length, ...keys, asOf.join('\0')], options)
  }
}
