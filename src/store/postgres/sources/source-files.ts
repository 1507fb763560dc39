/**
 * A source with a file and no table in the database gets one, so that definitions made on a laptop serve as they are. A table that Fabra did not
 * make is never touched: where there is one, it is the source.
 */

import { SqlError, type TableColumn } from '../../ports/source-engine.ts'
import { fileName } from '../../ports/source-file-list.ts'
import {
  type AppendedRows,
  type SourceFileFacts,
  SourceFileProblem,
  type SourceFileReader,
  type SourceFiles,
} from '../../ports/source-file-reader.ts'
import type { Postgres, Transaction } from '../connection/postgres.ts'
import { copyRows, copyText, HOLD_SOURCE, insertRows, quoteName } from './source-rows-sql.ts'
import { type AppendColumn, type AppendTable, asking, findAppendTable, type TableLookup } from './source-rows-table.ts'
import { type FileLoader, LoadProblem, postgresType, type SourceInput, splitName } from './source-tables.ts'

export interface SourceFilesOptions {
  /** May make tables. */
  readonly owner: Postgres
  readonly reader: SourceFileReader
  /** Told when a file was loaded. */
  readonly onLoaded: (source: string, file: string, rows: number) => void
}

const LOAD_MS = 30 * 60_000
/** Rows of one statement. */
const STATEMENT_ROWS = 5_000
/** Begins the comment of tables that Fabra made: who takes such a table over removes it. */
const MADE_BY = 'Loaded by Fabra from '

const READ_FILE = 'SELECT path, size, modified_us, content_hash, settings_hash FROM fabra.source_files WHERE source = $1'
const REMEMBER_FILE = `
INSERT INTO fabra.source_files (source, path, size, modified_us, content_hash, settings_hash, loaded_at)
VALUES ($1, $2, $3::bigint, $4::bigint, $5, $6, clock_timestamp())
ON CONFLICT (source) DO UPDATE SET path = excluded.path, size = excluded.size, modified_us = excluded.modified_us,
  content_hash = excluded.content_hash, settings_hash = excluded.settings_hash, loaded_at = excluded.loaded_at`

interface SourceFile {
  readonly input: SourceInput
  readonly file: SourceFiles
  readonly facts: SourceFileFacts
}

export function createSourceFiles(options: SourceFilesOptions): FileLoader {
  const { owner, reader, onLoaded } = options
  return async (input, file) => {
    try {
      const before = await findAppendTable(asking(owner), input.source)
      if (before && !isOurs(before)) return false
      const one = { input, file, facts: await reader.facts(input, file) }
      if (before && (await isLoaded(asking(owner), reader, one))) return true
      const loading = (holdsAppends: boolean) =>
        owner.transaction({ timeoutMs: LOAD_MS }, async (statements) => {
          // Of several processes that start at once, one loads.
          await statements.run(HOLD_SOURCE, [input.source.name])
          const ask: TableLookup = (text, parameters) => statements.run(text, parameters)
          const now = await findAppendTable(ask, input.source)
          if (now && (!isOurs(now) || (await isLoaded(ask, reader, one)))) return null
          if (now && holdsAppends) await statements.run(`LOCK TABLE ${now.name} IN SHARE ROW EXCLUSIVE MODE`)
          return load(statements, reader, one, now)
        })
      const rows = await loading(false).catch((error: unknown) =>
        error instanceof AppendedMeanwhile ? loading(true) : Promise.reject(error),
      )
      if (rows !== null) onLoaded(input.source.name, fileName(file), rows)
      return true
    } catch (error) {
      throw error instanceof SourceFileProblem ? new LoadProblem(error.message, error.hint, error) : error
    }
  }
}

/** Rows came while the file was read; they wait the next time. */
class AppendedMeanwhile extends Error {}

/** Fabra made it, and makes it anew when the file changes. */
export function isOurs({ kind, comment }: AppendTable): boolean {
  return kind !== 'view' && comment?.startsWith(MADE_BY) === true
}

/** Machines have files of one content at other paths, written at other times. */
async function isLoaded(ask: TableLookup, reader: SourceFileReader, { input, file, facts }: SourceFile): Promise<boolean> {
  const { rows } = await ask(READ_FILE, [input.source.name])
  const [path, size, modified, hash, settings] = rows[0] ?? []
  if (settings !== facts.settings || Number(size) !== facts.size) return false
  if (path === fileName(file) && Number(modified) === facts.modified) return true
  return (await reader.hash(file)) === hash
}

async function load(
  statements: Transaction,
  reader: SourceFileReader,
  { input, file, facts }: SourceFile,
  before: AppendTable | undefined,
): Promise<number> {
  const { source } = input
  const name = fileName(file)
  // It may be written to while it is read: then it is loaded once more, the next time.
  const hash = await reader.hash(file)
  let count = 0
  let table: { readonly name: string; readonly columns: readonly AppendColumn[] } | undefined
  const appended = appendedRows(statements, source.name, before)
  await reader.read({ input, file, appended }, async (columns) => {
    const made = await makeTable(statements, input, columns, before)
    table = made
    const text = insertRows(made, made.columns)
    const isCopied = made.columns.every(({ isArray }) => !isArray)
    return async (rows, from) => {
      if (from === 'files') count += rows.length
      if (isCopied) {
        await inWords(name, () => statements.copy(copyRows(made, made.columns), copyText(rows)))
        return
      }
      for (let from = 0; from < rows.length; from += STATEMENT_ROWS) {
        const piece = rows.slice(from, from + STATEMENT_ROWS)
        const texts = made.columns.map((_, c) => piece.map((row) => row[c] ?? null))
        await inWords(name, () => statements.run(text, texts))
      }
    }
  })
  if (before) await statements.run(`LOCK TABLE ${table?.name ?? before.name} IN SHARE ROW EXCLUSIVE MODE`)
  if ((await countAppended(statements, source.name)) !== appended.count()) throw new AppendedMeanwhile()
  if (table) await finish(statements, input, table)
  await statements.run(REMEMBER_FILE, [source.name, name, facts.size, facts.modified, hash, facts.settings])
  if (table) await statements.script(`COMMENT ON TABLE ${table.name} IS '${MADE_BY}${name.replaceAll("'", "''")}'`)
  return count
}

/** Rows that came by request, which stay what they are. */
function appendedRows(statements: Transaction, source: string, before: AppendTable | undefined): AppendedRows & { count(): number } {
  let count = 0
  const plain = (type: string) =>
    type
      .replace(/\(.*?\)/, '')
      .replace(' without time zone', '')
      .trim()
  return {
    count: () => count,
    rows: (async function* () {
      await statements.run(`DECLARE appended NO SCROLL CURSOR FOR SELECT row FROM fabra.source_rows WHERE source = $1`, [source])
      for (;;) {
        const { rows } = await statements.run(`FETCH ${STATEMENT_ROWS} FROM appended`)
        if (rows.length === 0) break
        count += rows.length
        yield rows.map(([row]) => String(row))
      }
      await statements.run('CLOSE appended')
    })(),
    typeNow(column) {
      const now = before?.columns.find(({ name }) => name.toLowerCase() === column.name.toLowerCase())
      return now && plain(now.cast) === plain(fileType(column.type)) ? column.type : now?.type
    },
  }
}

async function countAppended(statements: Transaction, source: string): Promise<number> {
  const { rows } = await statements.run('SELECT count(*) FROM fabra.source_rows WHERE source = $1', [source])
  return Number(rows[0]?.[0])
}

/** Emptied where its columns stay: rights that were given on it stay too, and nobody waits. */
async function makeTable(
  statements: Transaction,
  { source }: SourceInput,
  columns: readonly TableColumn[],
  before: AppendTable | undefined,
): Promise<{ readonly name: string; readonly columns: readonly AppendColumn[] }> {
  const typed = columns.map(({ name, type }): AppendColumn => {
    const cast = fileType(type)
    return { name, type, cast, isArray: cast.endsWith('[]'), zone: cast === 'timestamp' ? 'UTC' : null, hasDefault: false }
  })
  const { schema, name } = splitName(source.name)
  const quoted = schema === null ? quoteName(name) : `${quoteName(schema)}.${quoteName(name)}`
  if (before) {
    const there = await statements.run(
      'SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum',
      [before.name],
    )
    const wanted = await statements.run('SELECT format_type(to_regtype(t), NULL) FROM unnest($1::text[]) AS t', [
      typed.map(({ cast }) => cast),
    ])
    const isSame =
      there.rows.length === typed.length &&
      typed.every((column, i) => there.rows[i]?.[0] === column.name && there.rows[i]?.[1]?.replace(/\(.*\)/, '') === wanted.rows[i]?.[0])
    if (isSame) {
      await statements.script(`DELETE FROM ${before.name}`)
      return { name: before.name, columns: typed }
    }
    await statements.script(`DROP TABLE ${before.name}`)
  }
  if (schema !== null) await statements.script(`CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}`)
  await statements.script(`CREATE TABLE ${quoted} (${typed.map((column) => `${quoteName(column.name)} ${column.cast}`).join(', ')})`)
  return { name: quoted, columns: typed }
}

async function finish(
  statements: Transaction,
  { source, keyTypes }: SourceInput,
  table: { readonly name: string; readonly columns: readonly AppendColumn[] },
): Promise<void> {
  const names = table.columns.map(({ name }) => name)
  const named = (wanted: string | null) => names.filter((name) => name.toLowerCase() === wanted?.toLowerCase()).slice(0, 1)
  const keys = names.filter((name) => Object.keys(keyTypes).some((key) => key.toLowerCase() === name.toLowerCase()))
  for (const columns of [...keys.map((key) => [key, ...named(source.timestamp)]), named(source.id)]) {
    if (columns.length === 0) continue
    const list = columns.map(quoteName).join(', ')
    const index = quoteName(`${columns.join('_')}_fabra_${Bun.hash(`${table.name} ${list}`).toString(36)}`.slice(-60))
    await statements.script(`CREATE INDEX IF NOT EXISTS ${index} ON ${table.name} (${list})`)
  }
  await statements.script(`ANALYZE ${table.name}`)
}

/** A type of a file's column, which DuckDB named. */
export function fileType(type: string): string {
  const upper = type.toUpperCase()
  if (/^(STRUCT|MAP|UNION)\b/.test(upper) || /\[[^\]]*\]\[|^(STRUCT|MAP|UNION).*\]$/.test(upper) || upper === 'JSON') return 'jsonb'
  if (upper.startsWith('ENUM')) return 'text'
  if (upper === 'VARCHAR') return 'text'
  if (upper === 'BIT') return 'bit varying'
  if (upper === 'UHUGEINT') return 'numeric'
  return postgresType(upper.replace(/\[\d+\]$/, '[]')).toLowerCase()
}

async function inWords<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind !== 'runtime') throw error
    throw new LoadProblem(
      `${file} holds what PostgreSQL does not take: ${error.message}.`,
      'Mend the file, or give the column another type: columns: { … }.',
      error,
    )
  }
}
