/**
 * Rows of the engine as a file of the Arrow IPC format. Loaded when such a file is asked for and not before: the package takes longer to load
 * than a request may wait. (The engine's own export to Arrow is an extension that is not part of it.)
 */
import { open } from 'node:fs/promises'
import type { DuckDBDataChunk, DuckDBValue } from '@duckdb/node-api'
import { AsyncByteQueue, Field, makeData, RecordBatch, RecordBatchFileWriter, Schema, Struct } from 'apache-arrow'
import { createPace } from '../../../collections/yielding.ts'
import type { RunOptions } from '../../ports/source-engine.ts'
import type { ResultColumn, Session } from '../connection/session.ts'
import { arrowData, arrowNumbers, arrowType, isNumbers } from './arrow-columns.ts'
import { NumberColumn, numberVector } from './number-column.ts'

/** A batch ends with the chunk that brings it over one of these. */
const BATCH_ROWS = 16_384
const BATCH_BYTES = 16 * 1024 * 1024

export interface ArrowFile {
  readonly path: string
  /** Kept in the schema. */
  readonly metadata: Readonly<Record<string, string>>
}

/** Writes what a statement gives; holds one batch at a time. */
export async function writeArrowFile(session: Session, select: string, file: ArrowFile, options: RunOptions): Promise<void> {
  const handle = await open(file.path, 'wx', 0o600)
  try {
    const sink = new CollectedBytes()
    const writer = new RecordBatchFileWriter()
    const drain = async () => {
      for (const bytes of sink.take()) await handle.write(bytes)
    }
    let flush = drain
    await session.stream(select, options, (columns) => {
      const batch = new Batch(columns, file.metadata)
      writer.reset(sink, batch.schema)
      flush = async () => {
        writer.write(await batch.take())
        await drain()
      }
      return async (chunk) => {
        batch.add(chunk)
        if (batch.isFull) await flush()
      }
    })
    await flush()
    writer.finish()
    await drain()
  } finally {
    await handle.close()
  }
}

/** Where the writer leaves its bytes until they are in the file. */
class CollectedBytes extends AsyncByteQueue {
  private bytes: Uint8Array[] = []

  override write(value: Uint8Array): void {
    this.bytes.push(value)
  }

  take(): Uint8Array[] {
    const taken = this.bytes
    this.bytes = []
    return taken
  }
}

class Batch {
  readonly schema: Schema
  private readonly columns: readonly ResultColumn[]
  /** Numbers as they lie in the engine's chunks, all else value by value. */
  private readonly values: (DuckDBValue[] | NumberColumn)[]
  private rowCount = 0
  private byteCount = 0

  constructor(columns: readonly ResultColumn[], metadata: Readonly<Record<string, string>>) {
    this.columns = columns
    this.values = columns.map(({ type }) => (isNumbers(type) ? new NumberColumn() : []))
    this.schema = new Schema(
      columns.map(({ name, type }) => new Field(name, arrowType(type), true)),
      new Map(Object.entries(metadata)),
    )
  }

  get isFull(): boolean {
    return this.rowCount >= BATCH_ROWS || this.byteCount >= BATCH_BYTES
  }

  add(chunk: DuckDBDataChunk): void {
    this.rowCount += chunk.rowCount
    for (const [i, values] of this.values.entries()) {
      const vector = chunk.getColumnVector(i)
      if (values instanceof NumberColumn) {
        const numbers = numberVector(vector)
        if (!numbers) throw new Error(`The driver holds ${vector.type} in another way.`)
        values.add(numbers)
        this.byteCount += chunk.rowCount * 8
        continue
      }
      for (let row = 0; row < chunk.rowCount; row++) {
        const value: DuckDBValue = vector.getItem(row)
        values.push(value)
        this.byteCount += typeof value === 'string' ? value.length : 8
      }
    }
  }

  async take(): Promise<RecordBatch> {
    const pace = createPace()
    const children = []
    for (const [i, { type }] of this.columns.entries()) {
      const values = this.values[i] ?? []
      children.push(values instanceof NumberColumn ? arrowNumbers(type, values.take()) : arrowData(type, values))
      const wait = pace()
      if (wait) await wait
    }
    const length = this.rowCount
    for (const values of this.values) if (!(values instanceof NumberColumn)) values.length = 0
    this.rowCount = 0
    this.byteCount = 0
    return new RecordBatch(this.schema, makeData({ type: new Struct(this.schema.fields), length, nullCount: 0, children }))
  }
}
