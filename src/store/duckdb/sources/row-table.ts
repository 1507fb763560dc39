import type { KeyType } from '../../../definition/model.ts'
import { type RowList, type RunOptions, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import type { Session } from '../connection/session.ts'
import { appendRows, createRowTable, createRowTableOf, rowsBefore } from '../sql.ts'

/** Up to here the rows go along in the statement that makes the table; beyond, lists are quicker. */
const MAX_INLINE_ROWS = 32
/** One statement's: making them holds up the main thread. */
const CHUNK_ROWS = 5_000

const KEY_TYPES: Readonly<Record<KeyType, string>> = { string: 'VARCHAR', int: 'BIGINT', uuid: 'UUID' }

/** SQL type of a key column. */
export function keySqlType(type: KeyType): string {
  return KEY_TYPES[type]
}

/** Up to here a statement that begins with its rows is quicker than a table of them, which is planned anew each time. */
const MAX_ROWS_BEFORE = 1_000

/** @returns the statement with its rows before it, and its parameters; null where a table of them is better, or the statement is of another form. */
export function withRowsBefore(text: string, { types, keys, asOf }: RowList): { text: string; prelude: number; parameters: SqlValue[] } | null {
  if (asOf.length > MAX_ROWS_BEFORE || !text.startsWith('SELECT ')) return null
  const prelude = rowsBefore(types)
  const lists = keys.map((column) => JSON.stringify(asOf.map((_, row) => column.at(row) ?? null)))
  return { text: prelude + text, prelude: prelude.length, parameters: [asOf.length, ...lists, JSON.stringify(asOf)] }
}

/** Makes the session's temporary table `__fabra_row` hold exactly these rows. */
export async function fillRowTable(session: Session, rows: RowList, options: RunOptions): Promise<void> {
  if (rows.asOf.length > 0 && rows.asOf.length <= MAX_INLINE_ROWS) {
    const parameters: SqlValue[] = []
    for (const [row, asOf] of rows.asOf.entries()) {
      for (const column of rows.keys) parameters.push(column.at(row) ?? null)
      parameters.push(new SqlTimestamp(asOf))
    }
    await session.read(createRowTableOf(rows.types, rows.asOf.length), parameters, options)
    return
  }
  await session.execute(createRowTable(rows.types), options)
  await appendRowList(session, rows, options)
}

/**
 * A list goes over as JSON, which the engine takes apart on its own threads; the driver's appender would hold up this one, value by value.
 * Keys hold no NUL and are well-formed, as-of times are whole: both come through JSON exactly.
 */
async function appendRowList(session: Session, rows: RowList, options: RunOptions): Promise<void> {
  const text = appendRows(rows.types)
  for (let from = 0; from < rows.asOf.length; from += CHUNK_ROWS) {
    const asOf = rows.asOf.slice(from, from + CHUNK_ROWS)
    const keys = rows.keys.map((column) => JSON.stringify(asOf.map((_, i) => column.at(from + i))))
    await session.read(text, [from, asOf.length, ...keys, JSON.stringify(asOf)], options)
  }
}
