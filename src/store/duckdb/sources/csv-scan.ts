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

/** @param copy Told of what each chunk is with line ends outside of quotes made one line feed. */
export async function scanCsv(
  chunks: AsyncIterable<Uint8Array>,
  delimiter: string,
  events: CsvEvents,
  copy?: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const separator = delimiter.charCodeAt(0)
  let [line, began] = [1, 1]
  let [quoted, afterQuote, fieldStart, isBlank, afterReturn] = [false, false, true, true, false]
  let enough = false
  let mark: number = BYTE_ORDER_MARK.length
  const ended = (end: LineEnd) => {
    if (events.onRecord?.({ line: isBlank ? line : began, isBlank, end }) === false) enough = true
    quoted = afterQuote = afterReturn = false
    fieldStart = isBlank = true
    line++
    began = line
  }
  for await (const bytes of chunks) {
    const copied = copy ? new Uint8Array(bytes.length + 1) : undefined
    let length = 0
    for (const byte of bytes) {
      if (enough) return
      if (mark > 0) {
        if (byte === BYTE_ORDER_MARK.at(-mark)) {
          mark--
          if (copied) copied[length++] = byte
          continue
        }
        mark = 0
      }
      if (afterReturn) {
        if (byte === LF) {
          if (copied) copied[length++] = LF
          ended('crlf')
          continue
        }
        if (copied) copied[length++] = LF
        ended('cr')
      }
      if (byte === NUL && events.onNul?.(line) === false) return
      if (quoted) {
        if (byte === QUOTE) {
          quoted = false
          afterQuote = true
        } else if (byte === LF) line++
        if (copied) copied[length++] = byte
        continue
      }
      if (byte === CR) {
        afterReturn = true
        continue
      }
      if (copied) copied[length++] = byte
      if (byte === LF) {
        ended('lf')
        continue
      }
      if (byte === QUOTE && (fieldStart || afterQuote)) quoted = true
      afterQuote = false
      if (byte === separator) fieldStart = true
      // The engine, too, takes a quote behind blanks for one that opens.
      else if (byte !== SPACE) fieldStart = false
      isBlank = false
    }
    if (copy && copied) await copy(copied.subarray(0, length))
  }
  if (afterReturn) {
    ended('cr')
    await copy?.(Uint8Array.of(LF))
  } else if (!isBlank) ended('lf')
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
