import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  type DuckDBDataChunk,
  DuckDBDecimalValue,
  DuckDBTimestampTZValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
  HUGEINT,
  listValue,
  SQLNULL,
  structValue,
  TIMESTAMPTZ,
  VARCHAR,
} from '@duckdb/node-api'
import { SqlDecimal, SqlOther, SqlStruct, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'

type Convert = (value: DuckDBValue) => SqlValue

/** The engine's name of a type, upper case but for names of fields and members; `JSON` for text that is declared so, `JSON[]` for a list of it. */
export function typeName(type: DuckDBType): string {
  if (type.typeId === DuckDBTypeId.LIST && typeName(type.valueType).startsWith('JSON')) return `${typeName(type.valueType)}[]`
  return type.alias?.toUpperCase() ?? type.toString()
}

/** Rows of one chunk, appended to `rows`: all, or those of a range. Converters are chosen once per column, not per value. */
export function appendRows(chunk: DuckDBDataChunk, rows: SqlValue[][], from = 0, to = chunk.rowCount): void {
  const first = rows.length - from
  const { columnCount } = chunk
  for (let row = from; row < to; row++) rows.push(new Array<SqlValue>(columnCount).fill(null))
  for (let column = 0; column < columnCount; column++) {
    const vector = chunk.getColumnVector(column)
    const convert = converter(vector.type)
    for (let row = from; row < to; row++) {
      const value: DuckDBValue = vector.getItem(row)
      const target = rows[first + row]
      if (value !== null && target) target[column] = convert(value)
    }
  }
}

function converter(type: DuckDBType): Convert {
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
    case DuckDBTypeId.TINYINT:
    case DuckDBTypeId.SMALLINT:
    case DuckDBTypeId.INTEGER:
    case DuckDBTypeId.UTINYINT:
    case DuckDBTypeId.USMALLINT:
    case DuckDBTypeId.UINTEGER:
    case DuckDBTypeId.FLOAT:
    case DuckDBTypeId.DOUBLE:
    case DuckDBTypeId.VARCHAR:
    case DuckDBTypeId.ENUM:
      return (value) => value as boolean | number | string
    case DuckDBTypeId.BIGINT:
    case DuckDBTypeId.UBIGINT:
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.UHUGEINT:
    case DuckDBTypeId.BIGNUM:
      return (value) => whole(value as bigint)
    case DuckDBTypeId.DECIMAL:
      return (value) => new SqlDecimal(String(value))
    default:
      return timeConverter(type) ?? nestedConverter(type) ?? ((value) => new SqlOther(typeName(type), String(value)))
  }
}

function timeConverter(type: DuckDBType): Convert | undefined {
  switch (type.typeId) {
    case DuckDBTypeId.TIMESTAMP:
    case DuckDBTypeId.TIMESTAMP_TZ:
      return (value) => instant((value as { micros: bigint }).micros, value, type)
    case DuckDBTypeId.TIMESTAMP_MS:
      return (value) => instant((value as unknown as { millis: bigint }).millis * 1000n, value, type)
    case DuckDBTypeId.TIMESTAMP_S:
      return (value) => instant((value as unknown as { seconds: bigint }).seconds * 1_000_000n, value, type)
    case DuckDBTypeId.TIMESTAMP_NS:
      return (value) => {
        const { nanos } = value as unknown as { nanos: bigint }
        return instant((nanos - (((nanos % 1000n) + 1000n) % 1000n)) / 1000n, value, type)
      }
    default:
      return undefined
  }
}

/** Times that microseconds in a number cannot hold exactly (years before 1684 or after 2255, infinity) stay texts. */
function instant(micros: bigint, value: DuckDBValue, type: DuckDBType): SqlValue {
  const number = Number(micros)
  return Number.isSafeInteger(number) ? new SqlTimestamp(number) : new SqlOther(typeName(type), String(value))
}

function whole(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function nestedConverter(type: DuckDBType): Convert | undefined {
  const nullable =
    (convert: Convert): Convert =>
    (value) =>
      value === null ? null : convert(value)
  switch (type.typeId) {
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY: {
      const item = nullable(converter(type.valueType))
      return (value) => (value as unknown as { items: readonly DuckDBValue[] }).items.map(item)
    }
    case DuckDBTypeId.STRUCT: {
      const fields = type.entryNames.map((name, i) => {
        const fieldType = type.entryTypes[i]
        return { name, convert: fieldType ? nullable(converter(fieldType)) : () => null }
      })
      return (value) => {
        const { entries } = value as unknown as { entries: Readonly<Record<string, DuckDBValue>> }
        return new SqlStruct(new Map(fields.map(({ name, convert }) => [name, convert(entries[name] ?? null)])))
      }
    }
    case DuckDBTypeId.MAP: {
      const item = nullable(converter(type.valueType))
      return (value) => {
        const { entries } = value as unknown as { entries: readonly { key: DuckDBValue; value: DuckDBValue }[] }
        return new SqlStruct(new Map(entries.map((entry) => [String(entry.key), item(entry.value)])))
      }
    }
    case DuckDBTypeId.UNION: {
      const members = new Map(type.memberTags.map((tag, i) => [tag, type.memberTypes[i]]))
      return (value) => {
        const union = value as unknown as { tag: string; value: DuckDBValue }
        const member = members.get(union.tag)
        return member && union.value !== null ? converter(member)(union.value) : null
      }
    }
    default:
      return undefined
  }
}

/** A parameter as the engine takes it, with its type: nothing is guessed from the value's looks. */
export function toParameter(value: SqlValue): { readonly value: DuckDBValue; readonly type: DuckDBType | undefined } {
  if (value === null) return { value, type: SQLNULL }
  if (typeof value === 'boolean') return { value, type: BOOLEAN }
  if (typeof value === 'string') return { value, type: VARCHAR }
  if (typeof value === 'number') return Number.isSafeInteger(value) ? { value: BigInt(value), type: BIGINT } : { value, type: DOUBLE }
  if (typeof value === 'bigint') return { value, type: BigInt.asIntN(64, value) === value ? BIGINT : HUGEINT }
  if (value instanceof SqlTimestamp) return { value: new DuckDBTimestampTZValue(BigInt(value.micros)), type: TIMESTAMPTZ }
  if (value instanceof SqlDecimal) return decimalParameter(value)
  if (value instanceof SqlOther) return { value: value.text, type: VARCHAR }
  if (value instanceof SqlStruct) {
    return {
      value: structValue(Object.fromEntries([...value.fields].map(([name, field]) => [name, toParameter(field).value]))),
      type: undefined,
    }
  }
  return { value: listValue(value.map((item) => toParameter(item).value)), type: undefined }
}

function decimalParameter(value: SqlDecimal): { value: DuckDBValue; type: DuckDBType | undefined } {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?$/.exec(value.text)
  const digits = `${match?.[2] ?? ''}${match?.[3] ?? ''}`
  if (!match || digits.length > 38) return { value: value.text, type: VARCHAR }
  const unscaled = BigInt(`${match[1] === '-' ? '-' : ''}${digits}`)
  return { value: new DuckDBDecimalValue(unscaled, Math.max(1, digits.length), match[3]?.length ?? 0), type: undefined }
}
