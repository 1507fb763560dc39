/**
 * Rows of packed history as `COPY … (FORMAT binary)` takes them: the server has neither texts to read nor expressions to evaluate. They go in the order
 * of the index that finds them, so that it is gone through once for many rows, and not from its top for each.
 */
import type { Micros } from '../../../clock.ts'
import type { HistoryRow } from '../../ports/offline-store.ts'
import { hashOfText } from './hash-of-text.ts'
import { packedRow } from './history-rows.ts'

export const COPY = `
COPY fabra.history_packed (event_timestamp, version, available_lag, created_lag, mark, entity_key, value, far) FROM STDIN (FORMAT binary)`

/** PostgreSQL counts from here. */
const EPOCH: Micros = Date.UTC(2000, 0, 1) * 1_000
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** Of the signature, flags and no extension. */
const HEAD_BYTES = SIGNATURE.length + 8
const COLUMNS = 8
/** A row but for its texts: the number of its columns, the length of each, one time, four integers and `far`. */
const ROW_BYTES = 2 + 4 * COLUMNS + 8 + 4 * 4 + 56
const INT8 = 20
const WORD = 2 ** 32
const encoder = new TextEncoder()
/** Makes hashes positive. */
const HALF = 2 ** 31

/** @param versions The number of each row's version. */
export function copyData(rows: readonly HistoryRow[], versions: Int32Array): Uint8Array {
  const texts = rows.reduce((sum, { entityKey, value }) => sum + entityKey.length + (value?.length ?? 0), 0)
  // A character of JavaScript takes three bytes at most.
  const to = new Writer(HEAD_BYTES + rows.length * ROW_BYTES + 3 * texts + 2)
  to.start()
  const order = inOrderOfIndex(rows, versions)
  for (let n = 0; n < order.length; n++) {
    const i = order[n] ?? 0
    const row = rows[i]
    if (row) writeRow(to, row, versions[i] ?? 0)
  }
  to.int2(-1)
  return to.written()
}

function writeRow(to: Writer, row: HistoryRow, version: number): void {
  const { availableLag, createdLag, mark, far } = packedRow(row)
  to.int2(COLUMNS)
  to.int4(8)
  to.int8(row.eventAt - EPOCH)
  to.field4(version)
  to.field4(availableLag)
  to.field4(createdLag)
  to.field4(mark)
  to.text(row.entityKey)
  if (row.value === null) to.int4(-1)
  else to.text(row.value)
  if (far === null) to.int4(-1)
  else to.int8Array(far)
}

/** By version, then by the hash of the key. A hash that was not the server's would cost time, and nothing else. */
function inOrderOfIndex(rows: readonly HistoryRow[], versions: Int32Array): Uint32Array {
  const count = rows.length
  const order = new Uint32Array(count)
  // A number holds a hash and a place beside it exactly: numbers are sorted without being asked for one by one.
  const places = new Float64Array(count)
  let filled = 0
  for (const version of new Set(versions)) {
    let found = 0
    for (let i = 0; i < count; i++) if (versions[i] === version) places[found++] = (hashOfText(rows[i]?.entityKey ?? '') + HALF) * count + i
    places.subarray(0, found).sort()
    for (let n = 0; n < found; n++) order[filled++] = (places[n] ?? 0) % count
  }
  return order
}

/** Big-endian, into one array that is large enough. By single bytes, which the engine makes quicker than a DataView's calls. */
class Writer {
  private readonly bytes: Uint8Array
  private at = 0

  constructor(size: number) {
    this.bytes = new Uint8Array(size)
  }

  start(): void {
    this.bytes.set(SIGNATURE)
    this.at = SIGNATURE.length
    this.int4(0)
    this.int4(0)
  }

  int2(value: number): void {
    const { bytes, at } = this
    bytes[at] = value >> 8
    bytes[at + 1] = value
    this.at = at + 2
  }

  int4(value: number): void {
    const { bytes, at } = this
    bytes[at] = value >> 24
    bytes[at + 1] = value >> 16
    bytes[at + 2] = value >> 8
    bytes[at + 3] = value
    this.at = at + 4
  }

  /** With its length. */
  field4(value: number): void {
    this.int4(4)
    this.int4(value)
  }

  int8(value: number): void {
    const high = Math.floor(value / WORD)
    this.int4(high)
    this.int4(value - high * WORD)
  }

  text(value: string): void {
    const { bytes } = this
    const from = this.at + 4
    const { length } = value
    let at = from
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) {
        at = from + encoder.encodeInto(value, bytes.subarray(from)).written
        break
      }
      bytes[at++] = code
    }
    this.int4(at - from)
    this.at = at
  }

  /** One dimension from 1, nothing in it NULL. */
  int8Array(values: readonly number[]): void {
    this.int4(20 + 12 * values.length)
    for (const part of [1, 0, INT8, values.length, 1]) this.int4(part)
    for (const value of values) {
      this.int4(8)
      this.int8(value)
    }
  }

  written(): Uint8Array {
    return this.bytes.subarray(0, this.at)
  }
}
