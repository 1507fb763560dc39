import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { SourceProblem } from './source-problem.ts'

const LOOKED_AT_BYTES = 4096

interface Foreign {
  readonly isIt: (start: Buffer) => boolean
  readonly what: string
  readonly hint: string
}

const begins =
  (...bytes: readonly number[]) =>
  (start: Buffer) =>
    bytes.every((byte, i) => start[i] === byte)

const TO_UTF_8 = 'Save the file as UTF-8: iconv -f UTF-16 -t UTF-8 in.csv > out.csv.'

/** What is not text, or not ours. The first that fits. */
const FOREIGN: readonly Foreign[] = [
  { isIt: begins(0xff, 0xfe, 0, 0), what: 'text in UTF-32', hint: TO_UTF_8.replace('UTF-16', 'UTF-32') },
  { isIt: begins(0, 0, 0xfe, 0xff), what: 'text in UTF-32', hint: TO_UTF_8.replace('UTF-16', 'UTF-32') },
  { isIt: begins(0xff, 0xfe), what: 'text in UTF-16', hint: TO_UTF_8 },
  { isIt: begins(0xfe, 0xff), what: 'text in UTF-16', hint: TO_UTF_8 },
  { isIt: begins(0x1f, 0x8b), what: 'compressed (gzip)', hint: 'End its name in .gz, or unpack it.' },
  { isIt: begins(0x28, 0xb5, 0x2f, 0xfd), what: 'compressed (zstd)', hint: 'End its name in .zst, or unpack it.' },
  { isIt: begins(0x50, 0x4b, 0x03, 0x04), what: 'a zip or Excel file', hint: 'Unpack it, or save the sheet as CSV.' },
  { isIt: begins(0xd0, 0xcf, 0x11, 0xe0), what: 'an Excel file', hint: 'Save the sheet as CSV.' },
  { isIt: (start) => start.toString('latin1', 0, 4) === 'PAR1', what: 'a Parquet file', hint: 'End its name in .parquet.' },
  { isIt: (start) => start.toString('latin1', 0, 6) === 'ARROW1', what: 'an Arrow file', hint: 'Write Parquet, CSV or JSON lines.' },
  // Every other byte of Western text in UTF-16 is zero.
  { isIt: (start) => zeroBytes(start) === 'odd', what: 'text in UTF-16', hint: TO_UTF_8.replace('UTF-16 -t', 'UTF-16LE -t') },
  { isIt: (start) => zeroBytes(start) === 'even', what: 'text in UTF-16', hint: TO_UTF_8.replace('UTF-16 -t', 'UTF-16BE -t') },
]

/** @param name What messages call it. @throws SourceProblem for a file that is no text in UTF-8: what it is, or on which line. */
export async function refuseForeign(path: string, name: string, format: 'csv' | 'json'): Promise<void> {
  const handle = await open(path)
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(LOOKED_AT_BYTES), 0, LOOKED_AT_BYTES, 0)
    const start = buffer.subarray(0, bytesRead)
    const foreign = FOREIGN.find(({ isIt }) => isIt(start))
    if (foreign) throw new SourceProblem(`${name} is ${foreign.what}, not ${format === 'csv' ? 'CSV' : 'JSON'} in UTF-8.`, foreign.hint)
  } finally {
    await handle.close()
  }
  await refuseOtherText(path, name)
}

function zeroBytes(start: Buffer): 'even' | 'odd' | null {
  const zeros = [0, 0]
  for (const [i, byte] of start.entries()) if (byte === 0) zeros[i % 2] = (zeros[i % 2] ?? 0) + 1
  const [even = 0, odd = 0] = zeros
  const half = start.length / 2
  if (half < 2 || Math.max(even, odd) <= half * 0.4 || Math.min(even, odd) >= half * 0.1) return null
  return even > odd ? 'even' : 'odd'
}

/**
 * The engine would not always tell: bytes that are no text, in a column that the statement does not take, end it with all it holds (DuckDB 1.5).
 * @throws SourceProblem
 */
async function refuseOtherText(path: string, name: string): Promise<void> {
  if (await isUtf8Text(path)) return
  let line = 0
  for await (const text of createInterface({ input: createReadStream(path, 'latin1'), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    const bytes = Buffer.from(text, 'latin1')
    if (isUtf8(bytes)) continue
    const shown = bytes.toString('utf8').slice(0, 200)
    throw new SourceProblem(`${name}, line ${line}: it is not in UTF-8. The line is: ${shown}`, 'Save the file as UTF-8.')
  }
}

async function isUtf8Text(path: string): Promise<boolean> {
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const end = bytes.length - openBytes(bytes)
    if (!isUtf8(bytes.subarray(0, end))) return false
    rest = Buffer.from(bytes.subarray(end))
  }
  return rest.length === 0
}

/** Bytes at the end that begin a character whose others are still to come. */
function openBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0
    if (byte < 0x80) return 0
  }
  return 0
}
