import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { formatTime } from '../../../definition/time.ts'
import { FabraError } from '../../../errors.ts'
import { SqlDecimal, SqlOther, SqlStruct, SqlTimestamp, type SqlValue } from '../../ports/source-engine.ts'
import { ownDeadline } from '../connection/database.ts'
import { createSession } from '../connection/session.ts'
import { appendRows, typeName } from '../connection/values.ts'
import { quoteName, quoteText } from '../sql.ts'
import { keyText } from './column-plan.ts'
import { type CsvText, csvProblem, openCsvText } from './csv-text.ts'
import { wholeFloats } from './exact-numbers.ts'
import { checkParquet, reading } from './parquet-schema.ts'
import { repeatedName } from './repeated-name.ts'
import { readProblem, SourceProblem } from './source-problem.ts'

export interface TableFile {
  readonly path: string
  /** What messages call it. */
  readonly name: string
  /** Texts of CSV stay texts; Parquet has values of its own types. */
  readonly format: 'csv' | 'parquet'
  /** Columns that hold keys. */
  readonly keys?: readonly string[]
  /** Zone of times without one in this column; null: they are refused. */
  readonly time: { readonly column: string; readonly zone: string } | null
}

const LOOK = ownDeadline(30 * 60_000)
/** A text that ends with a zone. */
const ZONED = String.raw`([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)\s*$`

/**
 * Rows of a file by column name, piece by piece, in an engine of their own that sees this file alone. Integers beyond 2^53 are bigints.
 * @throws FabraError invalid_body naming the line where possible
 */
export async function* readTableFile(file: TableFile): AsyncGenerator<Record<string, unknown>[]> {
  const folder = await mkdtemp(join(tmpdir(), 'fabra-push-'))
  const instance = await DuckDBInstance.create(':memory:', { autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' })
  let text: CsvText | null = null
  try {
    text = file.format === 'csv' ? await openText(file, folder) : null
    const path = text?.path ?? file.path
    const connection = await instance.connect()
    await connection.run(
      `SET TimeZone = 'UTC'; SET errors_as_json = true; SET allowed_paths = [${quoteText(path)}]; SET enable_external_access = false; SET lock_configuration = true`,
    )
    const session = createSession(connection)
    if (!text) await checkParquet(reading(session, LOOK), path, file.name)
    const from = text ? csvReader(text) : `read_parquet(${quoteText(path)})`
    const described = await connection.runAndReadAll(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${from})`)
    const types = described.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }))
    const keys = file.format === 'csv' ? (file.keys ?? []).filter((key) => types.some(({ name }) => name === key)) : []
    const floats = await wholeFloats({ session, from, options: LOOK }, keys)
    const texts = types.map((column) =>
      floats.has(column.name) ? keyText(quoteName(column.name), 'VARCHAR', true) : selected(column, file),
    )
    const result = await connection.stream(`SELECT ${texts.join(', ')} FROM ${from}`)
    const sqlTypes = types.map((_, i) => typeName(result.columnType(i)))
    for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
      const rows: SqlValue[][] = []
      appendRows(chunk, rows)
      yield rows.map((row) => asObject(types, sqlTypes, row))
    }
  } catch (error) {
    if (error instanceof FabraError) throw error
    const explain = () => (text ? csvProblem(error, text, file.name) : readProblem(error, file.name, file.path))
    const problem = error instanceof SourceProblem ? error : await explain()
    throw new FabraError('invalid_body', problem.message, { hint: problem.hint, cause: error })
  } finally {
    instance.closeSync()
    await rm(folder, { recursive: true, force: true })
  }
}

async function openText({ path, name }: TableFile, folder: string): Promise<CsvText> {
  const opened = await openCsvText(path, name, folder)
  if (!opened) throw new SourceProblem(`${name} is empty.`, 'The first line must name the columns.')
  const repeated = repeatedName(opened.header.columns)
  if (repeated !== undefined) throw new SourceProblem(`${name}, line 1: two columns are called ${repeated}.`, 'Rename one of them.')
  return opened
}

/** Nothing about the file is guessed: a line that does not fit its header is an error. */
function csvReader({ path, header }: CsvText): string {
  const columns = header.columns.map((column) => `${quoteText(column)}: 'VARCHAR'`)
  return `read_csv(${quoteText(path)}, auto_detect = false, header = true, delim = ${quoteText(header.delimiter)}, quote = '"', escape = '"', strict_mode = true, null_padding = false, columns = {${columns.join(', ')}})`
}

function selected({ name, type }: { readonly name: string; readonly type: string }, { time }: TableFile): string {
  const column = quoteName(name)
  if (name !== time?.column) return column
  const inZone = (naive: string) => `strftime(timezone(${quoteText(time.zone)}, ${naive}) AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')`
  if (type === 'VARCHAR') {
    return `CASE WHEN regexp_matches(${column}, ${quoteText(ZONED)}) THEN ${column} ELSE COALESCE(${inZone(`TRY_CAST(${column} AS TIMESTAMP)`)}, ${column}) END AS ${column}`
  }
  return /^(TIMESTAMP(_S|_MS|_NS)?|DATE)$/.test(type) ? `${inZone(`CAST(${column} AS TIMESTAMP)`)} AS ${column}` : column
}

function asObject(
  columns: readonly { readonly name: string }[],
  types: readonly string[],
  row: readonly SqlValue[],
): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null)
  for (const [i, { name }] of columns.entries()) object[name] = plain(row[i] ?? null, types[i] ?? '')
  return object
}

function plain(value: SqlValue, type: string): unknown {
  if (value instanceof SqlTimestamp) return type.endsWith('ZONE') ? formatTime(value.micros) : formatTime(value.micros).slice(0, -1)
  if (value instanceof SqlDecimal) return value.toNumber()
  if (value instanceof SqlOther) return value.text
  if (value instanceof SqlStruct) return Object.fromEntries([...value.fields].map(([name, field]) => [name, plain(field, '')]))
  return Array.isArray(value) ? value.map((item: SqlValue) => plain(item, '')) : value
}
