/**
 * Millions of small records, kept as columns. An object per record costs the collector a look at every one of them again and again, and the
 * requests that wait meanwhile; numbers in typed arrays cost it nothing. Columns grow by whole chunks, so that nothing large is ever moved.
 */
import { KeyIndex } from './key-index.ts'

const CHUNK_BITS = 12
/** Rows of a chunk. */
const CHUNK = 1 << CHUNK_BITS
const IN_CHUNK = CHUNK - 1
/** Rows that the first chunk begins with; it doubles until it is whole. */
const FIRST = 64

/** Which row of its columns a key has. Rows of dropped keys are given to new ones. */
export class KeyRows {
  private readonly texts = new ValueColumn<string>()
  private readonly index = new KeyIndex((row) => this.texts.get(row))
  private readonly dropped: number[] = []
  private next = 0

  get size(): number {
    return this.index.size
  }

  of(key: string): number | undefined {
    return this.index.of(key)
  }

  /** A row for a key that has none. */
  add(key: string): number {
    const row = this.dropped.pop() ?? this.next++
    this.texts.set(row, key)
    this.index.add(key, row)
    return row
  }

  /** What its columns hold is left to the caller. @returns the row it had. */
  drop(key: string): number | undefined {
    const row = this.index.drop(key)
    if (row === undefined) return undefined
    this.texts.set(row, undefined)
    this.dropped.push(row)
    return row
  }

  /** The key of a row; undefined where it was dropped, or never had one. */
  keyOf(row: number): string | undefined {
    return this.texts.get(row)
  }

  /** Rows that have or had a key: all below this. */
  get end(): number {
    return this.next
  }
}

/** So many numbers a row; NaN until they are set. */
export class NumberColumns {
  private readonly chunks: Float64Array[] = []
  private readonly width: number

  constructor(width: number) {
    this.width = width
  }

  get(row: number, column: number): number {
    const chunk = this.chunks[row >>> CHUNK_BITS]
    return chunk?.[(row & IN_CHUNK) * this.width + column] ?? Number.NaN
  }

  set(row: number, column: number, value: number): void {
    const at = row >>> CHUNK_BITS
    const place = (row & IN_CHUNK) * this.width + column
    let chunk = this.chunks[at]
    if (!chunk || place >= chunk.length) chunk = this.grow(at, row & IN_CHUNK)
    chunk[place] = value
  }

  private grow(at: number, row: number): Float64Array {
    while (this.chunks.length < at) this.chunks.push(new Float64Array(0))
    const old = this.chunks[at]
    const chunk = new Float64Array(rowsFor(at, row) * this.width).fill(Number.NaN)
    if (old) chunk.set(old)
    this.chunks[at] = chunk
    return chunk
  }
}

/** A value a row; undefined until it is set. */
export class ValueColumn<Value> {
  private readonly chunks: (Value | undefined)[][] = []

  get(row: number): Value | undefined {
    return this.chunks[row >>> CHUNK_BITS]?.[row & IN_CHUNK]
  }

  set(row: number, value: Value | undefined): void {
    const at = row >>> CHUNK_BITS
    while (this.chunks.length <= at) this.chunks.push([])
    const chunk = this.chunks[at] as (Value | undefined)[]
    const place = row & IN_CHUNK
    // Filled up to the place, so that the array never has holes.
    while (chunk.length < place) chunk.push(undefined)
    chunk[place] = value
  }
}

/** A JSON text a row; null until it is set. Those of numbers are kept as numbers: a text is one more thing for the collector to look at. */
export class JsonColumn {
  private readonly numbers = new NumberColumns(1)
  private readonly others = new ValueColumn<string>()

  get(row: number): string | null {
    const number = this.numbers.get(row, 0)
    return Number.isNaN(number) ? (this.others.get(row) ?? null) : String(number)
  }

  set(row: number, text: string | null): void {
    const number = text === null ? Number.NaN : numberOf(text)
    this.numbers.set(row, 0, number)
    const other = text !== null && Number.isNaN(number) ? text : undefined
    if (other !== undefined || this.others.get(row) !== undefined) this.others.set(row, other)
  }
}

const [MINUS, ZERO, NINE] = [45, 48, 57]

/** NaN where the number would not be written as just this text. */
function numberOf(text: string): number {
  const first = text.charCodeAt(0)
  if (first !== MINUS && (first < ZERO || first > NINE)) return Number.NaN
  const number = Number(text)
  return String(number) === text ? number : Number.NaN
}

/** Only the first chunk begins small: most entities have few keys. */
function rowsFor(at: number, row: number): number {
  if (at > 0) return CHUNK
  let rows = FIRST
  while (rows <= row) rows *= 2
  return rows
}
