import { dirname } from 'node:path'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { keyTypeOf } from './column-plan.ts'
import type { CsvHeader } from './csv-header.ts'
import { openCsvText } from './csv-text.ts'
import { wholeFloats } from './exact-numbers.ts'
import { asTexts, columnList, isOpen, LOAD, type OpenedFile, type SourceFile } from './opened-file.ts'
import { SourceProblem } from './source-problem.ts'

/** All its columns are texts. @throws SourceProblem */
export async function openCsv(session: Session, input: SourceFile): Promise<OpenedFile> {
  const csv = await openCsvText(input.readFrom, input.file, dirname(input.readFrom))
  if (!csv) throw new SourceProblem(`${input.file} is empty.`, 'The first line must name the columns.')
  const { header, path } = csv
  const repeated = header.columns.find((name, i) => header.columns.findIndex((other) => other.toLowerCase() === name.toLowerCase()) !== i)
  if (repeated !== undefined) throw new SourceProblem(`${input.file}, line 1: two columns are called "${repeated}".`, 'Rename one of them.')
  const reader: OpenedFile['reader'] = (plans) =>
    `read_csv(${quoteText(path)}, auto_detect = false, header = true, ${dialect(header)}, columns = ${columnList(plans)})`
  const readTexts = () => reader(asTexts(header.columns))
  const keys = header.columns.filter((name) => keyTypeOf(input, name) !== undefined)
  // A file with a broken row has none here; reading it then names the row.
  const floatKeys = await wholeFloats({ session, from: readTexts(), options: LOAD }, keys).catch(() => new Set<string>())
  return {
    format: 'csv',
    found: header.columns.map((name) => ({ name, type: 'VARCHAR', isFloatKey: floatKeys.has(name) })),
    texts: header.columns.filter((name) => isOpen(input, name)),
    among: 'all',
    textsAs: 'VARCHAR',
    readTexts,
    reader,
    csv,
  }
}

function dialect(header: CsvHeader): string {
  return `delim = ${quoteText(header.delimiter)}, quote = '"', escape = '"', skip = 0, strict_mode = true, null_padding = false, comment = ''`
}
