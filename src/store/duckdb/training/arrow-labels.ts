/**
 * Labels in an Arrow file (Feather) as a Parquet file, which the engine reads. Loaded when there are such labels and not before: the package
 * takes longer to load than a request may wait. (The engine's own import of Arrow is an extension that is not part of it.)
 */
import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DOUBLE,
  DuckDBBlobValue,
  DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBType,
  type DuckDBValue,
  HUGEINT,
  TIME,
  TIMESTAMP,
  TIMESTAMP_NS,
  TIMESTAMPTZ,
  VARCHAR,
} from '@duckdb/node-api'
import { CompressionType, compressionRegistry, type Data, DataType, RecordBatchReader, TimeUnit, Vector } from 'apache-arrow'
import { decompress } from 'lz4js'
import { createPace } from '../../../collections/yielding.ts'
import { stringifyExact } from '../../../definition/exact-json.ts'
import type { RunOptions } from '../../ports/source-engine.ts'
import type { Session } from '../connection/session.ts'
import { repeatedName } from '../sources/repeated-name.ts'
import { SourceProblem } from '../sources/source-problem.ts'
import { quoteName, quoteText } from '../sql.ts'

const TABLE = '__fabra_arrow'
const CHUNK_ROWS = 2048

// pandas writes LZ4 unless it is told otherwise.
compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (bytes) => decompress(bytes) })
compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => Bun.zstdDecompressSync(bytes) })

/** How a column of Arrow becomes one of the engine. */
interface ArrowColumn {
  readonly name: string
  /** In SQL. */
  readonly type: string
  /** What values are handed over as; the engine casts to the column's own type. */
  readonly as: DuckDBType
  /** Of a row that has a value. */
  readonly at: (data: Data, row: number) => DuckDBValue
}

/** @param path Of the labels. @param target Of the Parquet file. @throws SourceProblem */
export async function arrowToParquet(path: string, target: string, session: Session, options: RunOptions): Promise<void> {
  try {
    await readInto(session, path, options)
    await session.execute(`COPY ${TABLE} TO ${quoteText(target)} (FORMAT parquet, COMPRESSION snappy)`, options)
  } finally {
    await session.execute(`DROP TABLE IF EXISTS ${TABLE}`, options)
  }
}

async function readInto(session: Session, path: string, options: RunOptions): Promise<void> {
  const reader = explained(() => RecordBatchReader.from(Bun.mmap(path)).open())
  const columns = reader.schema.fields.map(({ name, type }) => columnOf(name, type))
  if (columns.length === 0) throw new SourceProblem('The labels hold no columns.', 'They hold the key columns and event_timestamp.')
  const repeated = repeatedName(columns.map(({ name }) => name))
  if (repeated !== undefined) throw new SourceProblem(`In the labels two columns are called ${repeated}.`, 'Rename one of them.')
  await session.execute(`CREATE TEMP TABLE ${TABLE} (${columns.map(({ name, type }) => `${quoteName(name)} ${type}`).join(', ')})`, options)
  const appender = await session.connection.createAppender(TABLE, 'main', 'temp')
  const pace = createPace()
  for (;;) {
    options.signal?.throwIfAborted()
    const { done, value: batch } = explained(() => reader.next())
    if (done) break
    const data = columns.map((_, c) => batch.data.children[c] as Data)
    for (let from = 0; from < batch.numRows; from += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, batch.numRows - from)
      const chunk = DuckDBDataChunk.create(
        columns.map(({ as }) => as),
        count,
      )
      chunk.setColumns(columns.map((column, c) => valuesOf(column, data[c], from, count)))
      appender.appendDataChunk(chunk)
      const wait = pace()
      if (wait) await wait
    }
  }
  appender.closeSync()
}

function valuesOf({ at }: ArrowColumn, data: Data | undefined, from: number, count: number): DuckDBValue[] {
  return Array.from({ length: count }, (_, i) => (data?.getValid(from + i) ? at(data, from + i) : null))
}

/** What Arrow's reader says of a file that is cut short or none. */
function explained<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new SourceProblem(
      `The labels cannot be read: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`,
      'Check that the Arrow file is whole, or write the labels as Parquet.',
      error,
    )
  }
}

function columnOf(name: string, type: DataType): ArrowColumn {
  if (DataType.isDictionary(type)) return dictionaryColumn(name, type.dictionary)
  return { name, ...(numberColumn(type) ?? timeColumn(type) ?? otherColumn(name, type)) }
}

/** Categories of pandas: each value is named once. */
function dictionaryColumn(name: string, type: DataType): ArrowColumn {
  const column = columnOf(name, type)
  return {
    ...column,
    at(data, row) {
      const index = Number((data.values as ArrayLike<number | bigint>)[row])
      const { dictionary } = data
      if (!dictionary) return null
      let at = index
      for (const part of dictionary.data) {
        if (at < part.length) return part.getValid(at) ? column.at(part, at) : null
        at -= part.length
      }
      return null
    },
  }
}

type Reading = Omit<ArrowColumn, 'name'>

const raw = (data: Data, row: number) => (data.values as ArrayLike<number | bigint>)[row] ?? 0

function numberColumn(type: DataType): Reading | undefined {
  if (DataType.isInt(type)) {
    const names: Readonly<Record<number, string>> = { 8: 'TINYINT', 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' }
    const sql = `${type.isSigned ? '' : 'U'}${names[type.bitWidth] ?? 'BIGINT'}`
    return { type: sql, as: sql === 'UBIGINT' ? HUGEINT : BIGINT, at: (data, row) => BigInt(raw(data, row)) }
  }
  if (DataType.isFloat(type)) {
    if (type.precision === 0) return { type: 'FLOAT', as: DOUBLE, at: (data, row) => halfFloat(Number(raw(data, row))) }
    return { type: type.precision === 1 ? 'FLOAT' : 'DOUBLE', as: DOUBLE, at: (data, row) => Number(raw(data, row)) }
  }
  if (DataType.isDecimal(type) && type.precision <= DECIMAL_DIGITS) {
    const { scale } = type
    return { type: `DECIMAL(${type.precision},${scale})`, as: VARCHAR, at: (data, row) => decimalText(data, row, scale) }
  }
  return undefined
}

const DECIMAL_DIGITS = 38

function halfFloat(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024)
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024)
}

/** Little-endian words of 32 bits, two's complement. */
function decimalText(data: Data, row: number, scale: number): string {
  const words = data.values as Uint32Array
  const width = words.length / data.length
  let number = 0n
  for (let i = width - 1; i >= 0; i--) number = (number << 32n) | BigInt(words[row * width + i] ?? 0)
  number = BigInt.asIntN(width * 32, number)
  const digits = String(number < 0n ? -number : number).padStart(scale + 1, '0')
  const text = scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits
  return number < 0n ? `-${text}` : text
}

/** Units of one microsecond, or the parts of one that a unit is. */
const MICROS = { [TimeUnit.SECOND]: 1_000_000n, [TimeUnit.MILLISECOND]: 1_000n, [TimeUnit.MICROSECOND]: 1n } as const

function micros(unit: TimeUnit, value: bigint): bigint {
  if (unit !== TimeUnit.NANOSECOND) return value * MICROS[unit]
  return (value - (((value % 1_000n) + 1_000n) % 1_000n)) / 1_000n
}

function timeColumn(type: DataType): Reading | undefined {
  if (DataType.isTimestamp(type)) {
    const { unit } = type
    if (type.timezone)
      return { type: 'TIMESTAMPTZ', as: TIMESTAMPTZ, at: (data, row) => new DuckDBTimestampTZValue(micros(unit, BigInt(raw(data, row)))) }
    if (unit === TimeUnit.NANOSECOND) {
      return { type: 'TIMESTAMP_NS', as: TIMESTAMP_NS, at: (data, row) => new DuckDBTimestampNanosecondsValue(BigInt(raw(data, row))) }
    }
    return { type: 'TIMESTAMP', as: TIMESTAMP, at: (data, row) => new DuckDBTimestampValue(micros(unit, BigInt(raw(data, row)))) }
  }
  if (DataType.isDate(type)) {
    // Days as they are, or milliseconds.
    const perDay = type.unit === 0 ? 1n : 86_400_000n
    return { type: 'DATE', as: DATE, at: (data, row) => new DuckDBDateValue(Number(BigInt(raw(data, row)) / perDay)) }
  }
  if (DataType.isTime(type)) {
    const { unit } = type
    return { type: 'TIME', as: TIME, at: (data, row) => new DuckDBTimeValue(micros(unit, BigInt(raw(data, row)))) }
  }
  return undefined
}

/** Made once for each batch. */
const vectors = new WeakMap<Data, Vector>()

function get(data: Data, row: number): unknown {
  let vector = vectors.get(data)
  if (!vector) {
    vector = new Vector([data])
    vectors.set(data, vector)
  }
  return vector.get(row)
}

/** Values in lists and structures that are in JSON what they are in Arrow. */
function isPlain(type: DataType): boolean {
  if (DataType.isList(type) || DataType.isFixedSizeList(type) || DataType.isStruct(type))
    return type.children.every((child) => isPlain(child.type))
  return DataType.isInt(type) || DataType.isFloat(type) || DataType.isBool(type) || DataType.isUtf8(type) || DataType.isLargeUtf8(type)
}

function plain(value: unknown): unknown {
  if (value instanceof Vector) return [...value].map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries((value as { toJSON(): object }).toJSON()).map(([name, field]) => [name, plain(field)]))
}

function otherColumn(name: string, type: DataType): Reading {
  if (DataType.isBool(type)) return { type: 'BOOLEAN', as: BOOLEAN, at: (data, row) => get(data, row) === true }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) {
    return { type: 'VARCHAR', as: VARCHAR, at: (data, row) => String(get(data, row)) }
  }
  if (DataType.isNull(type)) return { type: 'VARCHAR', as: VARCHAR, at: () => null }
  if (DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isFixedSizeBinary(type)) {
    return { type: 'BLOB', as: BLOB, at: (data, row) => new DuckDBBlobValue(get(data, row) as Uint8Array) }
  }
  if (isPlain(type)) {
    return { type: 'JSON', as: VARCHAR, at: (data, row) => stringifyExact(plain(get(data, row))) }
  }
  throw new SourceProblem(
    `Column "${name}" of the labels is ${type}, which is not read.`,
    'Write it as numbers, texts or times, or the labels as Parquet.',
  )
}
