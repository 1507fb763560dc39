import { engineMessage } from '../connection/sql-errors.ts'

/** Something wrong with a source or its file: what, and what to do. Reported, with all others, by `load`. */
export class SourceProblem extends Error {
  override readonly name = 'SourceProblem'
  readonly hint: string
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause })
    this.hint = hint
  }
}

const CSV_ERROR =
  /CSV Error on Line: (\d+)\n(?:Original Line: ?([\s\S]*?)\n)?((?:Expected Number|Error when|Value with|Invalid unicode|Maximum line|The Quote)[^\n]*)/
const CSV_CONVERSION = /column "([^"]*)"\. Could not convert string "([\s\S]*?)" to '([^']*)'/

/**
 * The engine's message about a file, cut to what the user can act on.
 * @param readFrom What the engine calls it. @param trueLine Where the record begins that the engine counts to.
 */
export function readProblem(error: unknown, file: string, readFrom = file, trueLine?: number): SourceProblem {
  const message = engineMessage(error).replaceAll(readFrom, file)
  const csv = CSV_ERROR.exec(message)
  if (csv) {
    const [, record, original = '', what = ''] = csv
    const line = trueLine ?? record
    const [, column, value, type] = CSV_CONVERSION.exec(message) ?? []
    if (column !== undefined) {
      return new SourceProblem(
        `${file}, line ${line}: column "${column}": ${JSON.stringify(value)} is not ${type}.`,
        `Mend the row, or give the column another type: columns: { ${column}: "VARCHAR" }.`,
        error,
      )
    }
    const counts = /Expected Number of Columns: (\d+) Found: (\d+)/.exec(what)
    const fault = counts
      ? `it has ${count(counts[2], 'value')}, the header names ${count(counts[1], 'column')}.`
      : `${what.replace(/\.$/, '')}.`
    const shown = original.trim().split('\n', 1)[0]?.slice(0, 200)
    return new SourceProblem(
      `${file}, line ${line}: ${fault}${shown ? ` The line is: ${shown}` : ''}`,
      what.startsWith('Invalid unicode')
        ? 'Save the file as UTF-8.'
        : 'Mend the line. A value that holds the delimiter, a quote or a line break must stand in double quotes.',
      error,
    )
  }
  const [, row, key] = /in line (\d+): Object [\s\S]* has duplicate key "([\s\S]*?)"\n/.exec(`${message}\n`) ?? []
  if (row !== undefined) return new SourceProblem(`${file}, line ${row}: the key "${key}" is there twice.`, 'Give each key once.', error)
  // Of these the engine tells the one after (DuckDB 1.5).
  const json = /at byte (\d+) in (line|record\/value) (\d+): ([^\n]*)/.exec(message)
  if (json) {
    const place = `${json[2] === 'line' ? 'line' : 'row'} ${Math.max(1, Number(json[3]) - 1)}`
    return new SourceProblem(`${file}, ${place}: ${json[4]?.trim()}`, 'Each line must be one JSON object.', error)
  }
  return new SourceProblem(
    `${file} cannot be read: ${message.split('\n', 1)[0]}`,
    'Check that the file is whole and of the type its name says.',
    error,
  )
}

/** The engine counts records of CSV, blank lines among them, and calls that the line. The header is 1. */
export function failedRecord(error: unknown): number | undefined {
  const [, record] = CSV_ERROR.exec(engineMessage(error)) ?? []
  return record === undefined ? undefined : Number(record)
}

function count(number: string | undefined, noun: string): string {
  return `${number} ${noun}${number === '1' ? '' : 's'}`
}
