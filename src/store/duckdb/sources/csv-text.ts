import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { type CsvHeader, readCsvHeader } from './csv-header.ts'
import { type LineEnd, lineOfRecord, readBytes, scanCsv } from './csv-scan.ts'
import { refuseForeign } from './foreign-file.ts'
import { failedRecord, readProblem, SourceProblem } from './source-problem.ts'

/** A CSV file as the engine reads it. */
export interface CsvText {
  /** The file itself, or a copy in `folder` whose lines end alike. */
  readonly path: string
  readonly header: CsvHeader
}

const ENDS: Readonly<Record<LineEnd, string>> = { lf: 'a line feed', crlf: 'a carriage return and a line feed', cr: 'a carriage return' }

/**
 * What the engine cannot read, or would read as something else, is found before it sees the file.
 * @param name What messages call it. @param folder Takes the copy. @returns undefined for an empty file. @throws SourceProblem
 */
export async function openCsvText(path: string, name: string, folder: string): Promise<CsvText | undefined> {
  await refuseForeign(path, name, 'csv')
  const header = await readCsvHeader(path, name)
  if (!header) return undefined
  // Most files hold neither, and the bytes are looked through in no time.
  let isPlain = true
  for await (const bytes of readBytes(path)) {
    if (!bytes.includes(0x0d) && !bytes.includes(0)) continue
    isPlain = false
    break
  }
  if (isPlain) return { path, header }
  const firsts = new Map<LineEnd, number>()
  await scanCsv(readBytes(path), header.delimiter, {
    onNul: (line) => {
      throw new SourceProblem(
        `${name}, line ${line}: there is a NUL byte, which no text holds.`,
        'Save the file as UTF-8 text, or take the byte out: tr -d "\\000" < in.csv > out.csv.',
      )
    },
    onRecord: ({ line, end }) => {
      if (!firsts.has(end)) firsts.set(end, line)
      return true
    },
  })
  const others = [...firsts].filter(([end]) => end !== 'cr')
  const alone = firsts.get('cr')
  const [other] = others
  // Whether it ends the line or is part of a value cannot be told.
  if (alone !== undefined && other) {
    throw new SourceProblem(
      `${name}, line ${alone}: there is a carriage return alone, where other lines (such as line ${other[1]}) end in ${ENDS[other[0]]}.`,
      'End every line alike. A value that holds a line break must stand in double quotes.',
    )
  }
  if (others.length < 2) return { path, header }
  return { path: await alike(path, header.delimiter, folder), header }
}

/** The engine's message about a CSV file, with the line that it means. */
export async function csvProblem(error: unknown, { path, header }: CsvText, name: string): Promise<SourceProblem> {
  const record = failedRecord(error)
  const line = record === undefined ? undefined : await lineOfRecord(path, record - 1, header.delimiter, true)
  return readProblem(error, name, path, line)
}

async function alike(path: string, delimiter: string, folder: string): Promise<string> {
  const copy = join(folder, `lines-${crypto.randomUUID()}.csv`)
  const writer = createWriteStream(copy, { flags: 'wx', mode: 0o600 })
  const failed = once(writer, 'error').then(([error]) => Promise.reject(error))
  failed.catch(() => undefined)
  const write = async (bytes: Uint8Array) => {
    if (!writer.write(bytes)) await Promise.race([once(writer, 'drain'), failed])
  }
  await scanCsv(readBytes(path), delimiter, {}, write)
  writer.end()
  await Promise.race([once(writer, 'finish'), failed])
  return copy
}
