/** Types and values of the engine as Arrow has them. What Arrow has no like of (intervals, uuids, times with a zone) becomes the engine's text of it. */
import { type DuckDBType, DuckDBTypeId, type DuckDBValue } from '@duckdb/node-api'
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Map_,
  makeData,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow'
import type { TakenNumbers } from './number-column.ts'

/** How a type of numbers, which lie side by side, is written. */
interface Numbers {
  readonly type: () => DataType
  readonly array: new (lengthOrBytes: number | ArrayBufferLike) => { [index: number]: number } | { [index: number]: bigint }
  /** The number in the driver's value; the value itself when left out. */
  readonly of?: (value: DuckDBValue) => unknown
}

const member = (name: string) => (value: DuckDBValue) => (value as unknown as Readonly<Record<string, unknown>>)[name]

const NUMBERS: ReadonlyMap<DuckDBTypeId, Numbers> = new Map<DuckDBTypeId, Numbers>([
  [DuckDBTypeId.TINYINT, { type: () => new Int8(), array: Int8Array }],
  [DuckDBTypeId.SMALLINT, { type: () => new Int16(), array: Int16Array }],
  [DuckDBTypeId.INTEGER, { type: () => new Int32(), array: Int32Array }],
  [DuckDBTypeId.BIGINT, { type: () => new Int64(), array: BigInt64Array }],
  [DuckDBTypeId.UTINYINT, { type: () => new Uint8(), array: Uint8Array }],
  [DuckDBTypeId.USMALLINT, { type: () => new Uint16(), array: Uint16Array }],
  [DuckDBTypeId.UINTEGER, { type: () => new Uint32(), array: Uint32Array }],
  [DuckDBTypeId.UBIGINT, { type: () => new Uint64(), array: BigUint64Array }],
  [DuckDBTypeId.FLOAT, { type: () => new Float32(), array: Float32Array }],
  [DuckDBTypeId.DOUBLE, { type: () => new Float64(), array: Float64Array }],
  [DuckDBTypeId.DATE, { type: () => new DateDay(), array: Int32Array, of: member('days') }],
  [DuckDBTypeId.TIME, { type: () => new TimeMicrosecond(), array: BigInt64Array, of: member('micros') }],
  [DuckDBTypeId.TIMESTAMP_TZ, { type: () => new TimestampMicrosecond('UTC'), array: BigInt64Array, of: member('micros') }],
  [DuckDBTypeId.TIMESTAMP, { type: () => new TimestampMicrosecond(), array: BigInt64Array, of: member('micros') }],
  [DuckDBTypeId.TIMESTAMP_S, { type: () => new TimestampSecond(), array: BigInt64Array, of: member('seconds') }],
  [DuckDBTypeId.TIMESTAMP_MS, { type: () => new TimestampMillisecond(), array: BigInt64Array, of: member('millis') }],
  [DuckDBTypeId.TIMESTAMP_NS, { type: () => new TimestampNanosecond(), array: BigInt64Array, of: member('nanos') }],
])

export function arrowType(type: DuckDBType): DataType {
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
      return new Bool()
    case DuckDBTypeId.BLOB:
      return new Binary()
    case DuckDBTypeId.DECIMAL:
      return new Decimal(type.scale, type.width)
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY:
      return new List(new Field('element', arrowType(type.valueType), true))
    case DuckDBTypeId.STRUCT:
      return new Struct(type.entryNames.map((name, i) => new Field(name, arrowType(entryType(type.entryTypes[i])), true)))
    case DuckDBTypeId.MAP:
      return new Map_(new Field('entries', pairType(type.keyType, type.valueType), false))
    default:
      return NUMBERS.get(type.typeId)?.type() ?? new Utf8()
  }
}

/** Whether the engine's bytes of such numbers are Arrow's. */
export function isNumbers(type: DuckDBType): boolean {
  return NUMBERS.has(type.typeId)
}

/** One column of a batch, of such numbers. */
export function arrowNumbers(type: DuckDBType, { bytes, ...nulls }: TakenNumbers): Data {
  const numbers = NUMBERS.get(type.typeId)
  if (!numbers) throw new Error(`${type} is no type of numbers.`)
  const data = new numbers.array(bytes.buffer)
  return makeData({ type: numbers.type(), ...nulls, data } as Parameters<typeof makeData>[0])
}

/** One column of a batch. */
export function arrowData(type: DuckDBType, values: readonly DuckDBValue[]): Data {
  const nulls = nullsOf(values)
  const numbers = NUMBERS.get(type.typeId)
  if (numbers) return numbersData(numbers, values, nulls)
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
      return makeData({ type: new Bool(), ...nulls, data: bitmap(values, (value) => value === true) })
    case DuckDBTypeId.DECIMAL:
      return makeData({ type: new Decimal(type.scale, type.width), ...nulls, data: decimals(values) })
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY: {
      const items = values.map((value) => (value === null ? [] : (member('items')(value) as readonly DuckDBValue[])))
      const child = arrowData(type.valueType, items.flat())
      return makeData({ type: arrowType(type) as List, ...nulls, valueOffsets: offsets(items.map((list) => list.length)), child })
    }
    case DuckDBTypeId.STRUCT: {
      const children = type.entryNames.map((name, i) => arrowData(entryType(type.entryTypes[i]), fieldValues(values, name)))
      return makeData({ type: arrowType(type) as Struct, ...nulls, children })
    }
    case DuckDBTypeId.MAP:
      return mapData(type, values, nulls)
    case DuckDBTypeId.BLOB: {
      const pieces = values.map((value) => (value === null ? EMPTY : (member('bytes')(value) as Uint8Array)))
      return makeData({ type: new Binary(), ...nulls, ...joined(pieces) })
    }
    default: {
      const pieces = values.map((value) => (value === null ? EMPTY : Buffer.from(String(value))))
      return makeData({ type: new Utf8(), ...nulls, ...joined(pieces) })
    }
  }
}

const EMPTY = new Uint8Array()

interface Nulls {
  readonly length: number
  readonly nullCount: number
  readonly nullBitmap: Uint8Array | null
}

function nullsOf(values: readonly DuckDBValue[]): Nulls {
  const nullCount = values.reduce<number>((count, value) => (value === null ? count + 1 : count), 0)
  return { length: values.length, nullCount, nullBitmap: nullCount === 0 ? null : bitmap(values, (value) => value !== null) }
}

function bitmap(values: readonly DuckDBValue[], isSet: (value: DuckDBValue) => boolean): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8))
  for (const [i, value] of values.entries()) if (isSet(value)) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7))
  return bits
}

function numbersData(numbers: Numbers, values: readonly DuckDBValue[], nulls: Nulls): Data {
  const data = new numbers.array(values.length) as { [index: number]: unknown }
  for (const [i, value] of values.entries()) if (value !== null) data[i] = numbers.of ? numbers.of(value) : value
  return makeData({ type: numbers.type(), ...nulls, data } as Parameters<typeof makeData>[0])
}

/** 128 bits each, the lowest first. */
function decimals(values: readonly DuckDBValue[]): Uint32Array {
  const words = new BigInt64Array(values.length * 2)
  for (const [i, value] of values.entries()) {
    if (value === null) continue
    const unscaled = member('value')(value) as bigint
    words[i * 2] = BigInt.asIntN(64, unscaled)
    words[i * 2 + 1] = unscaled >> 64n
  }
  return new Uint32Array(words.buffer)
}

function offsets(lengths: readonly number[]): Int32Array {
  const starts = new Int32Array(lengths.length + 1)
  for (const [i, length] of lengths.entries()) starts[i + 1] = (starts[i] ?? 0) + length
  return starts
}

function joined(pieces: readonly Uint8Array[]): { readonly valueOffsets: Int32Array; readonly data: Uint8Array } {
  return { valueOffsets: offsets(pieces.map((piece) => piece.length)), data: Buffer.concat(pieces) }
}

function fieldValues(values: readonly DuckDBValue[], name: string): DuckDBValue[] {
  return values.map((value) => {
    const entries = value === null ? undefined : (member('entries')(value) as Readonly<Record<string, DuckDBValue>>)
    return entries?.[name] ?? null
  })
}

function mapData(type: Extract<DuckDBType, { typeId: DuckDBTypeId.MAP }>, values: readonly DuckDBValue[], nulls: Nulls): Data {
  const pairs = values.map((value) =>
    value === null ? [] : (member('entries')(value) as readonly { key: DuckDBValue; value: DuckDBValue }[]),
  )
  const all = pairs.flat()
  const child = makeData({
    type: pairType(type.keyType, type.valueType),
    length: all.length,
    nullCount: 0,
    children: [
      arrowData(
        type.keyType,
        all.map(({ key }) => key),
      ),
      arrowData(
        type.valueType,
        all.map(({ value }) => value),
      ),
    ],
  })
  return makeData({ type: arrowType(type) as Map_, ...nulls, valueOffsets: offsets(pairs.map((list) => list.length)), child })
}

function pairType(key: DuckDBType, value: DuckDBType): Struct<{ key: DataType; value: DataType }> {
  return new Struct([new Field('key', arrowType(key), false), new Field('value', arrowType(value), true)])
}

function entryType(type: DuckDBType | undefined): DuckDBType {
  if (!type) throw new Error('A field of a struct has no type.')
  return type
}
