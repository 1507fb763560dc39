/** CSV byte by byte: where records and lines end, with quotes as the engine takes them. For what the engine does not tell, or not well. */
import { createReadStream } from 'node:fs'

const [NUL, LF, CR, SPACE, QUOTE] = [0x00, 0x0a, 0x0d, 0x20, 0x22]

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const

export type LineEnd = 'lf' | 'crlf' | 'cr'

export interface CsvEvents {
  /** A record ended. @param line The line (from 1) on which it began. @returns false: that was enough. */
  readonly onRecord?: (record: { readonly line: number; readonly isBlank: boolean; readonly end: LineEnd }) => boolean
  /** @returns false: that was enough. */
  readonly onNul?: (line: number) => boolean
}

export function readBytes(path: string): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: 1 << 20 })
}

/** @param copy Is given what each chunk is with line ends outside of quotes made one line feed. */
export async function scanCsv(
  chunks: AsyncIterable<Uint8Array>,
  delimiter: string,
  events: CsvEvents,
  copy?: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const scanner = new CsvScanner(delimiter, events)
  for await (const bytes of chunks) {
    const copied = copy ? new Uint8Array(bytes.length + 1) : undefined
    const length = scanner.take(bytes, copied)
    if (scanner.isOver) return
    if (copy && copied) await copy(copied.subarray(0, length))
  }
  if (scanner.end()) await copy?.(Uint8Array.of(LF))
}

/** Where it is in a file: which line, and whether within quotes, a field, a record. */
class CsvScanner {
  /** It was told that this was enough. */
  isOver = false
  private readonly separator: number
  private readonly events: CsvEvents
  private line = 1
  /** The line on which the record began. */
  private began = 1
  private isQuoted = false
  private isAfterQuote = false
  private isFieldStart = true
  private isBlank = true
  /** Whether a carriage return ends the line alone, the next byte says. */
  private isAfterReturn = false
  /** Bytes of the mark at the file's beginning that may still come. */
  private mark: number = BYTE_ORDER_MARK.length

  constructor(delimiter: string, events: CsvEvents) {
    this.separator = delimiter.charCodeAt(0)
    this.events = events
  }

  /** @param copied Takes the bytes, with line ends made one line feed. It has room for one more. @returns how many it took. */
  take(bytes: Uint8Array, copied: Uint8Array | undefined): number {
    let length = 0
    for (const byte of bytes) {
      if (this.isOver) break
      if (this.isAfterReturn) {
        if (copied) copied[length++] = LF
        this.endRecord(byte === LF ? 'crlf' : 'cr')
        if (byte === LF) continue
      }
      if (this.step(byte) && copied) copied[length++] = byte
    }
    return length
  }

  /** The file has ended. @returns whether a line end was still to come. */
  end(): boolean {
    const { isAfterReturn } = this
    if (isAfterReturn) this.endRecord('cr')
    else if (!this.isBlank) this.endRecord('lf')
    return isAfterReturn
  }

  /** @returns whether the byte is copied as it is. */
  private step(byte: number): boolean {
    if (this.mark > 0 && this.isOfMark(byte)) return true
    if (byte === NUL && this.events.onNul?.(this.line) === false) {
      this.isOver = true
      return false
    }
    if (this.isQuoted) {
      this.stepInQuotes(byte)
      return true
    }
    if (byte === CR) {
      this.isAfterReturn = true
      return false
    }
    if (byte === LF) {
      this.endRecord('lf')
      return true
    }
    if (byte === QUOTE && (this.isFieldStart || this.isAfterQuote)) this.isQuoted = true
    this.isAfterQuote = false
    if (byte === this.separator) this.isFieldStart = true
    // The engine, too, takes a quote behind blanks for one that opens.
    else if (byte !== SPACE) this.isFieldStart = false
    this.isBlank = false
    return true
  }

  private stepInQuotes(byte: number): void {
    if (byte === QUOTE) {
      this.isQuoted = false
      this.isAfterQuote = true
    } else if (byte === LF) this.line++
  }

  private isOfMark(byte: number): boolean {
    if (byte === BYTE_ORDER_MARK.at(-this.mark)) {
      this.mark--
      return true
    }
    this.mark = 0
    return false
  }

  private endRecord(end: LineEnd): void {
    const { isBlank } = this
    if (this.events.onRecord?.({ line: isBlank ? this.line : this.began, isBlank, end }) === false) this.isOver = true
    this.isQuoted = this.isAfterQuote = this.isAfterReturn = false
    this.isFieldStart = this.isBlank = true
    this.line++
    this.began = this.line
  }
}

/** The line (from 1) on which the n-th record after the header begins; quoted fields may hold line breaks. @param keepsBlank Blank lines are records, too. */
export async function lineOfRecord(path: string, record: number, delimiter: string, keepsBlank: boolean): Promise<number> {
  let seen = -1
  let found = 1
  await scanCsv(readBytes(path), delimiter, {
    onRecord: ({ line, isBlank }) => {
      if (isBlank && !keepsBlank) return true
      found = line
      return ++seen < record
    },
  })
  return found
}
