import { open } from 'node:fs/promises'
import { SourceProblem } from './source-problem.ts'

/** A header longer than this is not a header. */
const HEADER_BYTES = 256 * 1024
const DELIMITERS = [',', '\t', ';', '|'] as const

export interface CsvHeader {
  readonly delimiter: string
  readonly columns: readonly string[]
}

/**
 * The column names and the delimiter, read here and not guessed by the engine: its guesser drops rows it does not understand, or takes a file
 * with one broken row for a file of one column. Undefined for an empty file.
 * @param name What messages call the file. @throws SourceProblem
 */
export async function readCsvHeader(path: string, name: string): Promise<CsvHeader | undefined> {
  const file = await open(path)
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
    const text = buffer.toString('utf8', 0, bytesRead).replace(/^\uFEFF/, '')
    if (firstLine(text).includes('\uFFFD') && !firstLine(buffer.toString('latin1', 0, bytesRead)).includes('\xEF\xBF\xBD')) {
      throw new SourceProblem(`${name}, line 1: the names of the columns are not in UTF-8.`, 'Save the file as UTF-8.')
    }
    const counts = DELIMITERS.map((delimiter) => ({ delimiter, columns: firstRecord(text, delimiter) }))
    const best = counts.reduce((a, b) => (b.columns.length > a.columns.length ? b : a))
    if (best.columns.every((name) => name === '')) return undefined
    // Exports with a row number have a column without a name; the engine would call it the same.
    return { delimiter: best.delimiter, columns: best.columns.map((name, i) => name || `column${i}`) }
  } finally {
    await file.close()
  }
}

function firstLine(text: string): string {
  return text.split(/[\r\n]/, 1)[0] ?? ''
}

function firstRecord(text: string, delimiter: string): string[] {
  const columns: string[] = []
  let field = ''
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? ''
    if (quoted) {
      if (character !== '"') field += character
      else if (text[i + 1] === '"') field += text[++i]
      else quoted = false
    } else if (character === '"' && field.trim() === '') {
      field = ''
      quoted = true
    } else if (character === delimiter) {
      columns.push(field.trim())
      field = ''
    } else if (character === '\n' || character === '\r') break
    else field += character
  }
  return [...columns, field.trim()]
}
