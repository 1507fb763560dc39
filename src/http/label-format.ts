import { FabraError } from '../errors.ts'
import type { LabelFormat } from '../store/ports/training-store.ts'

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

/** Files that are given for labels by mistake. The first that fits. */
const FOREIGN: readonly Foreign[] = [
  { isIt: begins(0x1f, 0x8b), what: 'compressed (gzip)', hint: 'Unpack them first: gunzip labels.csv.gz. (Parquet is small by itself.)' },
  { isIt: begins(0x28, 0xb5, 0x2f, 0xfd), what: 'compressed (zstd)', hint: 'Unpack them first: unzstd labels.csv.zst.' },
  { isIt: begins(0x50, 0x4b, 0x03, 0x04), what: 'a zip or Excel file', hint: 'Unpack it, or save the sheet as CSV.' },
  {
    isIt: (start) => start.toString('latin1', 0, 4) === 'FEA1',
    what: 'Feather of version 1',
    hint: 'Write version 2, which is the default by now, or Parquet.',
  },
  { isIt: begins(0xff, 0xfe), what: 'text in UTF-16', hint: 'Save the file as UTF-8.' },
  { isIt: begins(0xfe, 0xff), what: 'text in UTF-16', hint: 'Save the file as UTF-8.' },
  { isIt: (start) => start.includes(0), what: 'neither Parquet nor text', hint: 'Labels are a Parquet, Arrow, CSV or JSON-lines file.' },
  {
    isIt: (start) => /^\uFEFF?\s*\[\s*[{\]]/.test(start.toString('utf8')),
    what: 'one JSON list',
    hint: 'Write JSON lines, an object on each: jq -c ".[]" labels.json > labels.jsonl. Or send {"rows": […]}.',
  },
]

/**
 * By the content, because `curl --data-binary` says nothing of it.
 * @param isJsonLines Whether text that begins with an object is JSON lines, and not one object with everything. @throws FabraError invalid_labels
 */
export async function labelFormat(
  path: string,
  contentType: string,
  isJsonLines: (contentType: string) => boolean,
): Promise<LabelFormat | 'json'> {
  const start = Buffer.from(await Bun.file(path).slice(0, LOOKED_AT_BYTES).arrayBuffer())
  if (start.toString('latin1', 0, 4) === 'PAR1') return 'parquet'
  // A file, or a stream, which begins with the mark of a message.
  if (start.toString('latin1', 0, 6) === 'ARROW1' || begins(0xff, 0xff, 0xff, 0xff)(start)) return 'arrow'
  if (/^application\/json\b/.test(contentType)) return 'json'
  const foreign = FOREIGN.find(({ isIt }) => isIt(start))
  if (foreign) throw new FabraError('invalid_labels', `The labels are ${foreign.what}.`, { hint: foreign.hint })
  const text = start.toString('utf8').replace(/^\uFEFF/, '')
  if (!text.trimStart().startsWith('{')) return 'csv'
  return isJsonLines(contentType) ? 'jsonl' : 'json'
}
