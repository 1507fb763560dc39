import { afterAll, beforeAll, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { MapRow, type RecordBatch, StructRow, type Table, tableFromIPC } from 'apache-arrow'
import { temporaryFolder } from '../support/binary.ts'
import { openTrainingBench, pushedRegistry, recorded, type TrainingBench } from '../support/training-bench.ts'

/** Every type that a column of labels may have; a third of the values is null. */
const LABELS = `SELECT * EXCLUDE (i, columns), columns.* FROM (SELECT i,
  'u' || (i % 4) AS user_id, make_timestamptz(1767225600000000 + i * 1000001) AS event_timestamp, ROW(
    CASE WHEN i % 3 > 0 THEN i % 200 - 100 END::TINYINT, CASE WHEN i % 3 > 0 THEN -(i % 30000) END::SMALLINT, CASE WHEN i % 3 > 0 THEN i * 7 END::INTEGER,
    CASE WHEN i % 3 > 0 THEN 9007199254740993 + i END::BIGINT, CASE WHEN i % 3 > 0 THEN i % 255 END::UTINYINT,
    CASE WHEN i % 3 > 0 THEN 18446744073709551000 + i % 600 END::UBIGINT, CASE WHEN i % 3 > 0 THEN i / 3 END::FLOAT, CASE WHEN i % 3 > 0 THEN i / 7 END::DOUBLE,
    CASE WHEN i % 3 > 0 THEN i % 2 = 0 END, CASE WHEN i % 3 > 0 THEN 'é' || repeat('x', i % 17) END,
    CASE WHEN i % 3 > 0 THEN (i - 50) / 100 END::DECIMAL(38, 4), CASE WHEN i % 3 > 0 THEN (50 - i) / 100 END::DECIMAL(9, 2),
    CASE WHEN i % 3 > 0 THEN DATE '1969-12-01' + i::INTEGER END, CASE WHEN i % 3 > 0 THEN TIME '00:00:00.000001' + i * INTERVAL '1 second' END,
    CASE WHEN i % 3 > 0 THEN make_timestamp(i * 1000003) END, CASE WHEN i % 3 > 0 THEN make_timestamptz(-i * 1000003) END,
    CASE WHEN i % 3 > 0 THEN make_timestamp_ns(1767225600000000001 + i) END, CASE WHEN i % 3 > 0 THEN encode('b' || i) END,
    CASE WHEN i % 3 > 0 THEN [i, NULL, -i] WHEN i % 2 = 0 THEN [] END, CASE WHEN i % 3 > 0 THEN {'a': i, 'b': ['x' || i]} END,
    CASE WHEN i % 3 > 0 THEN MAP {'k' || i: i::DOUBLE} END, CASE WHEN i % 3 > 0 THEN uuid() END
  ) AS columns FROM range(ROWS) r(i))`
const NAMES = 'tiny small whole big u8 u64 real dbl flag words dec38 dec9 day clock naive instant nanos bytes items fields pairs id'.split(
  ' ',
)

let bench: TrainingBench
let folder: string
let duckdb: DuckDBInstance
beforeAll(async () => {
  bench = await openTrainingBench()
  folder = temporaryFolder()
  duckdb = await DuckDBInstance.create(':memory:')
})
afterAll(async () => {
  await bench.close()
  duckdb.closeSync()
  rmSync(folder, { recursive: true, force: true })
})

const registry = pushedRegistry({
  count: { type: 'int' },
  score: { type: 'float' },
  name: { type: 'string' },
  known: { type: 'bool' },
  seen_at: { type: 'timestamp' },
  tags: { type: 'list' },
})
const features = [...registry.features.keys()]
const START = 1_767_225_600_000_000
const at = (value: string | null, feature: string, key: string) => recorded({ feature, entityKey: key, value, eventAt: START + 1 })
const VALUES: Readonly<Record<string, string>> = {
  count: '9007199254740993',
  score: '0.1',
  name: '"é"',
  known: 'true',
  seen_at: '"2026-01-01T00:00:00.000001Z"',
  tags: '["a",1]',
}

async function labels(rows: number): Promise<string> {
  const file = join(folder, `labels-${rows}.parquet`)
  const connection = await duckdb.connect()
  const renamed = LABELS.replace('ROWS', String(rows)).replace(
    'columns.*',
    NAMES.map((name, i) => `columns[${i + 1}] AS ${name}`).join(', '),
  )
  await connection.run(`SET TimeZone = 'UTC'; COPY (${renamed}) TO '${file}' (FORMAT parquet)`)
  return file
}

/** The Parquet output's rows, as text of each value. */
async function parquetRows(bytes: Uint8Array): Promise<{ names: string[]; rows: (string | null)[][] }> {
  const file = join(folder, 'out.parquet')
  await Bun.write(file, bytes)
  const connection = await duckdb.connect()
  await connection.run("SET TimeZone = 'UTC'")
  const reader = await connection.runAndReadAll(`SELECT * FROM '${file}'`)
  const names = reader.columnNames()
  return { names, rows: reader.getRows().map((row) => row.map((value) => (value === null ? null : text(value)))) }
}

/** One text for equal values, from the driver or from Arrow. */
function text(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value !== 'object') return String(value)
  const parts = value as Record<string, unknown>
  if ('bytes' in parts) return text(parts['bytes'])
  if ('items' in parts) return `[${(parts['items'] as unknown[]).map(text).join()}]`
  if (Array.isArray(parts['entries']))
    return text((parts['entries'] as { key: unknown; value: unknown }[]).map(({ key, value }) => [key, value]))
  if (value instanceof StructRow || value instanceof MapRow) return text(Object.entries(value.toJSON()))
  if (Symbol.iterator in parts) return `[${[...(value as Iterable<unknown>)].map(text).join()}]`
  if ('entries' in parts) return text(Object.entries(parts['entries'] as object))
  for (const unit of ['micros', 'nanos', 'days']) if (unit in parts) return String(parts[unit])
  if ('scale' in parts) return String(parts['value'])
  return String(value)
}

test('an Arrow file holds what the Parquet file holds, in types of its own, with the metadata in its schema', async () => {
  await bench.offline.append(features.flatMap((feature) => [at(VALUES[feature] ?? '', feature, 'u1'), at('null', feature, 'u2')]))
  const file = await labels(20_000)
  const asked = { features, withStatus: true, withEventTimestamp: true }
  const arrow = await bench.train(registry, file, { ...asked, format: 'arrow' })
  const parquet = await bench.train(registry, file, { ...asked, format: 'parquet' })
  const table = tableFromIPC(arrow.bytes)
  const expected = await parquetRows(parquet.bytes)
  expect(table.schema.names.map(String)).toEqual(expected.names)
  expect(table.numRows).toBe(20_000)
  expect(table.batches.length).toBeGreaterThan(1)
  for (const [i, name] of expected.names.entries()) {
    const got = columnTexts(table, i)
    const other = expected.rows.findIndex((row, r) => row[i] !== got[r])
    expect({ name, row: other, value: got[other] }).toEqual({ name, row: -1, value: undefined })
  }
  expect(JSON.parse(table.schema.metadata.get('fabra') ?? '')).toMatchObject({ dataset_hash: parquet.report.datasetHash, rows: 20_000 })
  expect(Object.fromEntries(table.schema.fields.map((field) => [field.name, String(field.type)]))).toMatchObject({
    event_timestamp: 'Timestamp<MICROSECOND, UTC>',
    naive: 'Timestamp<MICROSECOND>',
    items: 'List<Int64>',
    fields: 'Struct<{a:Int64, b:List<Utf8>}>',
    count: 'Int64',
    score: 'Float64',
    name: 'Utf8',
    known: 'Bool',
    seen_at: 'Timestamp<MICROSECOND, UTC>',
    tags: 'Utf8',
  })
}, 180_000)

/** By way of the raw numbers: the package's own getters make milliseconds of times. */
function columnTexts(table: Table, i: number): (string | null)[] {
  return table.batches.flatMap((batch: RecordBatch) => {
    const column = batch.getChildAt(i)
    const raw = column?.data[0]
    if (!column || !raw) return []
    const isTime = /^(Timestamp|Time|Date)/.test(String(column.type))
    const isDecimal = /^Decimal/.test(String(column.type))
    return Array.from({ length: batch.numRows }, (_, row) => {
      if (!column.isValid(row)) return null
      if (isTime) return text(raw.values[row])
      return isDecimal ? text(decimal(raw.values.subarray(row * 4, row * 4 + 4))) : text(column.get(row))
    })
  })
}

function decimal([a = 0, b = 0, c = 0, d = 0]: Uint32Array): bigint {
  return BigInt.asIntN(128, BigInt(a) | (BigInt(b) << 32n) | (BigInt(c) << 64n) | (BigInt(d) << 96n))
}

test('an Arrow file without rows has its columns', async () => {
  const { bytes } = await bench.train(registry, await labels(0), { features: ['count'], format: 'arrow' })
  const table = tableFromIPC(bytes)
  expect([table.numRows, table.schema.names.length]).toEqual([0, NAMES.length + 3])
})
