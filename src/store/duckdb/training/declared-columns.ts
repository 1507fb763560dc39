/**
 * What a file says of its columns beyond what its format has: lists and dicts that declare what they hold are written as such, and readers in
 * Python are told which columns of whole numbers and of yes or no hold nulls, which they would make floats and objects of.
 */
import { baseType, elementOf, isWholeType } from '../../../definition/declared-type.ts'
import type { DeclaredType, ValueType } from '../../../definition/model.ts'
import type { RunOptions, TableColumn } from '../../ports/source-engine.ts'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'

const SCALARS: Readonly<Record<ValueType, string>> = {
  int: 'BIGINT',
  float: 'DOUBLE',
  string: 'VARCHAR',
  bool: 'BOOLEAN',
  timestamp: 'TIMESTAMPTZ',
  list: 'JSON',
  dict: 'JSON',
  json: 'JSON',
}

/** The engine's type of a list or dict whose every part is declared; null for what is written as JSON text, and for all else. */
export function nestedSqlType(type: DeclaredType | undefined): string | null {
  if (type === undefined || elementOf(type) === null || !isWholeType(type)) return null
  return sqlTypeOf(type)
}

function sqlTypeOf(type: DeclaredType): string {
  const element = elementOf(type)
  if (element === null) return SCALARS[baseType(type)]
  return baseType(type) === 'list' ? `${sqlTypeOf(element)}[]` : `MAP(VARCHAR, ${sqlTypeOf(element)})`
}

/** Names of pandas' types: with nulls, and without. */
const NULLABLE: Readonly<Record<string, readonly [nullable: string, plain: string]>> = {
  TINYINT: ['Int8', 'int8'],
  SMALLINT: ['Int16', 'int16'],
  INTEGER: ['Int32', 'int32'],
  BIGINT: ['Int64', 'int64'],
  UTINYINT: ['UInt8', 'uint8'],
  USMALLINT: ['UInt16', 'uint16'],
  UINTEGER: ['UInt32', 'uint32'],
  UBIGINT: ['UInt64', 'uint64'],
  BOOLEAN: ['boolean', 'bool'],
}

/** The metadata `pandas`, in which each type stands for itself until it is known whether its column holds nulls. */
export interface PandasMetadata {
  /** Null where no column needs it. */
  readonly text: string | null
  /** @returns what is to be replaced by what, of the same length. */
  replacements(holdsNulls: (column: string) => boolean): readonly (readonly [string, string])[]
}

export function pandasMetadata(columns: readonly TableColumn[]): PandasMetadata {
  const id = new Bun.CryptoHasher('sha256').update(crypto.randomUUID()).digest('hex').slice(0, 16)
  const declared = columns.flatMap(({ name, type }, i) => {
    const names = NULLABLE[type]
    return names ? [{ name, names, standIn: `"${id}-${i}"` }] : []
  })
  const fields = declared.map(({ name, names: [, plain], standIn }) => {
    const text = JSON.stringify(name)
    return `{"name":${text},"field_name":${text},"pandas_type":"${plain}","numpy_type":${standIn},"metadata":null}`
  })
  const text = `{"index_columns":[],"column_indexes":[],"columns":[${fields.join(',')}],"pandas_version":"2.0.0"}`
  return {
    text: declared.length === 0 ? null : text,
    replacements: (holdsNulls) =>
      // JSON may have spaces behind a value.
      declared.map(({ name, names: [nullable, plain], standIn }) => [
        standIn,
        JSON.stringify(holdsNulls(name) ? nullable : plain).padEnd(standIn.length),
      ]),
  }
}

/** Which columns of a Parquet file hold nulls, by what it tells of itself. */
export async function columnsWithNulls(session: Session, path: string, options: RunOptions): Promise<ReadonlySet<string>> {
  const { rows } = await session.read(
    `SELECT path_in_schema FROM parquet_metadata(${quoteText(path)}) GROUP BY ALL HAVING SUM(COALESCE(stats_null_count, num_values)) > 0`,
    [],
    options,
  )
  return new Set(rows.map(([name]) => String(name)))
}
