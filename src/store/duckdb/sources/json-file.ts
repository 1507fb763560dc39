import type { TableColumn } from '../../ports/source-engine.ts'
import type { Session } from '../connection/session.ts'
import { quoteText } from '../sql.ts'
import { exactTypes, type NumberTexts } from './exact-numbers.ts'
import { refuseForeign } from './foreign-file.ts'
import { checkJsonNames, doubledField } from './json-names.ts'
import { asTexts, columnList, describe, explained, isOpen, LOAD, type OpenedFile, type SourceFile } from './opened-file.ts'
import { SourceProblem } from './source-problem.ts'

const JSON_OPTIONS = 'maximum_object_size = 67108864'

/** Numbers have the types that hold them exactly, strings are texts. @throws SourceProblem */
export async function openJson(session: Session, input: SourceFile): Promise<OpenedFile> {
  await refuseForeign(input.readFrom, input.file, 'json')
  const file = `${quoteText(input.readFrom)}, ${JSON_OPTIONS}`
  const json = { session, file: input.file, objects: `read_json_objects(${file})`, options: LOAD }
  // All rows are looked at: a number in a later one may be none of the earlier ones' type, and the engine would round it.
  const described = await explained(input, () =>
    jsonColumns(session, `${file}, sample_size = -1`).catch(async (error: unknown) => {
      throw (await doubledField(json, error)) ?? error
    }),
  )
  const names = described.map(({ name }) => name)
  await checkJsonNames(json, names)
  const reader: OpenedFile['reader'] = (plans) => `read_json(${file}, columns = ${columnList(plans)})`
  const written = { session, from: reader(names.map((name) => ({ name, readAs: 'JSON' }))), options: LOAD }
  const wide = described.map(({ name, type }) => ({ name, type: wideEnough(withoutGuesses(type), input.rejected?.get(name) ?? []) }))
  const found = await exactColumns(input, written, wide)
  const texts = found.filter(({ name, type }) => type === 'VARCHAR' && isOpen(input, name)).map(({ name }) => name)
  return { format: 'json', found, texts, among: 'times', textsAs: 'JSON', readTexts: () => reader(asTexts(texts)), reader }
}

/** Rows of many columns are rows all the same: the engine would take them for maps. */
async function jsonColumns(session: Session, file: string): Promise<TableColumn[]> {
  const found = await describe(session, `read_json(${file})`)
  const isMap = found.length === 1 && found[0]?.name === 'json' && found[0].type.startsWith('MAP(')
  return isMap ? describe(session, `read_json(${file}, map_inference_threshold = -1)`) : found
}

/** The columns with the types that hold their numbers exactly. Those that the definition decides on stay as they are. */
async function exactColumns(input: SourceFile, written: NumberTexts, found: readonly TableColumn[]): Promise<TableColumn[]> {
  const open = found.filter(({ name }) => isOpen(input, name))
  const exact = await explained(input, () => exactTypes(written, open))
  if (!('row' in exact)) {
    return found.map(({ name, type }) => {
      const own = exact.get(name) ?? type
      return { name, type: input.rejected?.get(name)?.includes(own) ? 'JSON' : own }
    })
  }
  const { column, path, row, text, why } = exact
  throw new SourceProblem(
    `${input.file}, row ${row}: column "${column}${path}": ${text.slice(0, 60)} ${why}.`,
    `Say what the column is: columns: { ${column}: "${path === '' ? 'VARCHAR' : 'JSON'}" } keeps every digit, "DOUBLE" rounds.`,
  )
}

/** Rows that were appended need more than the file does. */
function wideEnough(type: string, rejected: readonly string[]): string {
  if (type === 'VARCHAR' || !rejected.includes(type)) return type
  return /INT$/.test(type) && !rejected.includes('DOUBLE') ? 'DOUBLE' : 'JSON'
}

/** What the engine made of strings: they are texts, whatever they look like. */
function withoutGuesses(type: string): string {
  if (/^(DATE|TIME|TIMESTAMP( WITH TIME ZONE)?|UUID)$/.test(type)) return 'VARCHAR'
  // Fields of structures stand behind their names, which are in double quotes where they could be taken for anything else.
  return type.replace(
    /("(?:[^"]|"")*")|(^|[ (])(?:DATE|TIMESTAMP WITH TIME ZONE|TIMESTAMP|TIME|UUID)(?=[[\]),]|$)/g,
    (all, name, before) => (name === undefined ? `${before}VARCHAR` : all),
  )
}
