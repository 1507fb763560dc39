/** Values that are JSON texts as a stream of the Arrow IPC format. Loaded when such a stream is asked for and not before, as arrow-file.ts is. */
import {
  Bool,
  type Data,
  type DataType,
  Field,
  Float64,
  Int64,
  List,
  Map_,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow'
import { createPace } from '../../../collections/yielding.ts'
import { baseType, elementOf, isWholeType } from '../../../definition/declared-type.ts'
import type { DeclaredType } from '../../../definition/model.ts'
import { parseTime } from '../../../definition/time.ts'
import { parseExact } from '../../../definition/value.ts'
import type { ValueColumn, ValueTable } from '../../ports/value-table.ts'

export async function writeArrowStream({ rowCount, columns, metadata }: ValueTable): Promise<Uint8Array<ArrayBuffer>> {
  const pace = createPace()
  const children: Data[] = []
  for (const column of columns) {
    children.push(columnData(column))
    const wait = pace()
    if (wait) await wait
  }
  const fields = columns.map(({ name }, i) => new Field(name, children[i]?.type ?? new Utf8(), true))
  const schema = new Schema(fields, new Map(Object.entries(metadata)))
  const batch = new RecordBatch(schema, makeData({ type: new Struct(fields), length: rowCount, nullCount: 0, children }))
  const writer = new RecordBatchStreamWriter()
  writer.write(batch)
  writer.finish()
  return new Uint8Array(writer.toUint8Array(true))
}

/** What is not declared down to its parts is left as JSON text, as in training sets. */
function columnData({ type, texts }: ValueColumn): Data {
  if (!isWholeType(type)) return textData(texts.map((text) => (text === 'null' ? null : text)))
  return dataOf(type, texts.map(parseExact))
}

function typeOf(type: DeclaredType): DataType {
  const element = elementOf(type)
  if (element !== null) return baseType(type) === 'list' ? listType(element) : mapType(element)
  if (type === 'int') return new Int64()
  if (type === 'float') return new Float64()
  if (type === 'bool') return new Bool()
  return type === 'timestamp' ? new TimestampMicrosecond('UTC') : new Utf8()
}

function listType(element: DeclaredType): List {
  return new List(new Field('element', typeOf(element), true))
}

function mapType(element: DeclaredType): Map_ {
  return new Map_(new Field('entries', pairType(element), false))
}

function pairType(element: DeclaredType): Struct<{ key: DataType; value: DataType }> {
  return new Struct([new Field('key', new Utf8(), false), new Field('value', typeOf(element), true)])
}

function dataOf(type: DeclaredType, values: readonly unknown[]): Data {
  const element = elementOf(type)
  if (element !== null) return baseType(type) === 'list' ? listData(element, values) : mapData(element, values)
  const nulls = nullsOf(values)
  if (type === 'int') return makeData({ type: new Int64(), ...nulls, data: BigInt64Array.from(values, wholeNumber) })
  if (type === 'float') return makeData({ type: new Float64(), ...nulls, data: Float64Array.from(values, (value) => Number(value ?? 0)) })
  if (type === 'bool') return makeData({ type: new Bool(), ...nulls, data: bits(values, (value) => value === true) })
  if (type !== 'timestamp') return textData(values.map((value) => (value === null ? null : String(value))))
  const micros = BigInt64Array.from(values, (value) => (value === null ? 0n : BigInt(parseTime(String(value)))))
  return makeData({ type: new TimestampMicrosecond('UTC'), ...nulls, data: micros })
}

function listData(element: DeclaredType, values: readonly unknown[]): Data {
  const lists = values.map((value) => (Array.isArray(value) ? value : []))
  const child = dataOf(element, lists.flat())
  return makeData({ type: listType(element), ...nullsOf(values), valueOffsets: offsets(lists.map((list) => list.length)), child })
}

function mapData(element: DeclaredType, values: readonly unknown[]): Data {
  const pairs = values.map((value) => (typeof value === 'object' && value !== null ? Object.entries(value) : []))
  const all = pairs.flat()
  const children = [
    textData(all.map(([key]) => key)),
    dataOf(
      element,
      all.map(([, value]) => value),
    ),
  ]
  const child = makeData({ type: pairType(element), length: all.length, nullCount: 0, children })
  return makeData({ type: mapType(element), ...nullsOf(values), valueOffsets: offsets(pairs.map((list) => list.length)), child })
}

function textData(values: readonly (string | null)[]): Data {
  const pieces = values.map((value) => Buffer.from(value ?? ''))
  return makeData({
    type: new Utf8(),
    ...nullsOf(values),
    valueOffsets: offsets(pieces.map(({ length }) => length)),
    data: Buffer.concat(pieces),
  })
}

function nullsOf(values: readonly unknown[]): {
  readonly length: number
  readonly nullCount: number
  readonly nullBitmap: Uint8Array | null
} {
  const nullCount = values.reduce<number>((count, value) => (value === null ? count + 1 : count), 0)
  return { length: values.length, nullCount, nullBitmap: nullCount === 0 ? null : bits(values, (value) => value !== null) }
}

function bits(values: readonly unknown[], isSet: (value: unknown) => boolean): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(values.length / 8))
  for (const [i, value] of values.entries()) if (isSet(value)) bytes[i >> 3] = (bytes[i >> 3] ?? 0) | (1 << (i & 7))
  return bytes
}

function offsets(lengths: readonly number[]): Int32Array {
  const starts = new Int32Array(lengths.length + 1)
  for (const [i, length] of lengths.entries()) starts[i + 1] = (starts[i] ?? 0) + length
  return starts
}

function wholeNumber(value: unknown): bigint {
  return typeof value === 'bigint' || typeof value === 'number' ? BigInt(value) : 0n
}
