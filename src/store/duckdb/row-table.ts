import {
  BIGINT,
  DuckDBDataChunk,
  DuckDBTimestampTZValue,
  type DuckDBType,
  type DuckDBValue,
  TIMESTAMPTZ,
  UUID,
  uuidValue,
  VARCHAR,
} from '@duckdb/node-api'
import type { KeyType } from '../../definition/model.ts'
import { type RowList, type RunOptions, SqlError, SqlTimestamp, type SqlValue } from '../source-store.ts'
import type { Session } from './session.ts'
import { createRowTable, createRowTableOf } from './sql.ts'
import { toSqlError } from './sql-errors.ts'

/** Up to here the rows go along in the statement that makes the table; beyond, the appender is quicker. */
const MAX_INLINE_ROWS = 32
const CHUNK_ROWS = 2048

interface KeySqlType {
  readonly name: string
  readonly type: DuckDBType
  value(text: string): DuckDBValue
}

const KEY_TYPES: Readonly<Record<KeyType, KeySqlType>> = {
  string: { name: 'VARCHAR', type: VARCHAR, value: (text) => text },
  int: { name: 'BIGINT', type: BIGINT, value: (text) => BigInt(text) },
  uuid: { name: 'UUID', type: UUID, value: (text) => uuidValue(BigInt(`0x${text.replaceAll('-', '')}`)) },
}

/** SQL type of a key column. */
export function keySqlType(type: KeyType): string {
  return KEY_TYPES[type].name
}

/** Makes the session's temporary table `__fabra_row` hold exactly these rows. */
export async function fillRowTable(session: Session, rows: RowList, options: RunOptions): Promise<void> {
  const types = rows.key.map((column) => KEY_TYPES[column.type])
  const names = types.map((type) => type.name)
  if (rows.asOf.length > 0 && rows.asOf.length <= MAX_INLINE_ROWS) {
    const parameters: SqlValue[] = []
    for (const [row, asOf] of rows.asOf.entries()) {
      for (const column of rows.keys) parameters.push(column[row] ?? null)
      parameters.push(new SqlTimestamp(asOf))
    }
    await session.read(createRowTableOf(names, rows.asOf.length), parameters, options)
    return
  }
  await session.execute(createRowTable(names), options)
  await appendRowList(session, rows, types, options)
}

async function appendRowList(session: Session, rows: RowList, types: readonly KeySqlType[], options: RunOptions): Promise<void> {
  const appender = await session.connection.createAppender('__fabra_row', 'main', 'temp')
  try {
    for (let from = 0; from < rows.asOf.length; from += CHUNK_ROWS) {
      if (options.signal.aborted) throw new SqlError('interrupted', 'The statement was given up before it ran.', null)
      const asOf = rows.asOf.slice(from, from + CHUNK_ROWS)
      const chunk = DuckDBDataChunk.create([BIGINT, ...types.map((type) => type.type), TIMESTAMPTZ], asOf.length)
      chunk.setColumnValues(
        0,
        asOf.map((_, i) => BigInt(from + i)),
      )
      for (const [i, type] of types.entries()) {
        chunk.setColumnValues(
          i + 1,
          (rows.keys[i] ?? []).slice(from, from + CHUNK_ROWS).map((text) => type.value(text)),
        )
      }
      chunk.setColumnValues(
        types.length + 1,
        asOf.map((micros) => new DuckDBTimestampTZValue(BigInt(micros))),
      )
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
  } catch (error) {
    throw toSqlError(error, '')
  }
}
