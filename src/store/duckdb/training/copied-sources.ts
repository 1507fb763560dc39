/**
 * Rows of sources on another machine, copied into a file of the workspace's folder. There features are computed over all label rows at once, as on a
 * laptop, instead of label by label over there.
 */
import { link, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { CopiedKeys, CopiedTable, CopyRows, WantedRows } from '../../ports/copied-rows.ts'
import { type RunOptions, type SourceEngine, SqlError, SqlTimestamp, type TableColumn } from '../../ports/source-engine.ts'
import { type Database, openDatabase } from '../connection/database.ts'
import { createDuckdbSourceEngine } from '../sources/source-engine.ts'
import { quoteName, quoteText } from '../sql.ts'
import { localSources, type SourcesAccess, type WorkspaceState } from './local-stores.ts'
import { MAKE_QUOTIENTS } from './quotients.ts'

/** A value computed over there costs at least as much as so many rows that come over (130 µs and 4 µs on a busy machine). */
const ROWS_PER_VALUE = 30
/** So few are computed over there sooner than anything is copied. */
const LEAST_VALUES = 2_000
/** Of more, rows of all keys are copied: the list itself would be what takes long. */
const MOST_KEYS = 250_000
/** Bytes of text that come over at most, for each byte of memory that putting the set together may take. */
const BYTES_PER_MEMORY = 16
const KEY_CHUNKS = 50

export interface CopiedSources {
  readonly engine: SourceEngine
  readonly compute: SourcesAccess['compute']
  readonly canCompute: SourcesAccess['canCompute']
  close(): Promise<void>
}

export interface CopyWork {
  readonly state: WorkspaceState
  readonly copyRows: CopyRows
  readonly memory: number
  /** How many values are to be computed over them. */
  readonly values: number
}

/** @returns why nothing was copied, where it is not worth it or may not mean the same. @throws SqlError */
export async function copySources(wanted: readonly WantedRows[], work: CopyWork, options: RunOptions): Promise<CopiedSources | string> {
  if (work.values < LEAST_VALUES) return `${work.values.toLocaleString('en')} values are sooner computed there than rows are copied`
  const { state } = work
  const folder = join(state.folder, 'copied')
  // The other half is for putting the set together.
  const database = await openDatabase({ file: join(folder, 'copied.duckdb'), memoryLimit: Math.floor(work.memory / 2) })
  try {
    const refusal = await copyInto(database, wanted, work, options)
    if (refusal === null) return await openCopied(database, state)
    await discard(database, folder)
    return refusal
  } catch (error) {
    await discard(database, folder)
    // A value that the engine here has no room for: over there it has its answer.
    if (error instanceof TooMuch) return error.message
    if (error instanceof SqlError && (error.kind === 'runtime' || error.kind === 'internal'))
      return 'a row of its sources has no equal here'
    throw error
  }
}

async function discard(database: Database, folder: string): Promise<void> {
  await database.close()
  await rm(folder, { recursive: true, force: true })
}

async function openCopied(database: Database, state: WorkspaceState): Promise<CopiedSources> {
  const sources = localSources(database)
  const rows = join(database.loadDir, 'rows.parquet')
  await link(join(state.folder, 'rows.parquet'), rows)
  const file = (name: string) => join(database.loadDir, `${name}-${crypto.randomUUID()}.parquet`)
  return {
    engine: createDuckdbSourceEngine(database),
    canCompute: sources.canCompute,
    compute: (request, from, options) => sources.compute(request, { ...from, file, rows: quoteText(rows) }, options),
    close: () => database.close(),
  }
}

class TooMuch extends Error {}

/** @returns why nothing was copied. */
export async function copyInto(
  database: Database,
  wanted: readonly WantedRows[],
  work: CopyWork,
  options: RunOptions,
): Promise<string | null> {
  const tables: CopiedTable[] = []
  for (const one of wanted) tables.push(await tableOf(one, work.state, options))
  const files = tables.map((_, i) => join(database.loadDir, `rows-${i}.csv`))
  const sinks = files.map((file) => Bun.file(file).writer())
  const most = work.memory * BYTES_PER_MEMORY
  let bytes = 0
  try {
    const refusal = await work.copyRows(
      tables,
      {
        begin(guessed) {
          const rows = guessed.reduce((sum, count) => sum + count, 0)
          if (rows <= ROWS_PER_VALUE * work.values) return null
          return `about ${rows.toLocaleString('en')} rows would have to be copied for ${work.values.toLocaleString('en')} values`
        },
        async take(table, text) {
          bytes += Buffer.byteLength(text)
          if (bytes > most) throw new TooMuch(`its rows are more than ${Math.round(most / 1024 ** 3)} GiB`)
          sinks[table]?.write(text)
          await sinks[table]?.flush()
        },
      },
      options,
    )
    if (refusal !== null) return refusal
  } finally {
    for (const sink of sinks) await sink.end()
  }
  await database.loader.use(options, (session, left) => session.execute(MAKE_QUOTIENTS, left))
  for (const [i, { source, table }] of wanted.entries()) {
    await makeTable(database, { source, columns: table.columns, file: files[i] ?? '' }, options)
    await rm(files[i] ?? '', { force: true })
  }
  return null
}

async function tableOf({ table, keys, times }: WantedRows, state: WorkspaceState, options: RunOptions): Promise<CopiedTable> {
  const { rows } = await state.session.read(`SELECT min(__fabra_as_of), max(__fabra_as_of) FROM read_parquet(${state.rows})`, [], options)
  const [from, to] = (rows[0] ?? []).map((time) => (time instanceof SqlTimestamp ? time.micros : 0))
  return {
    ...table,
    keys: keys && (await keysOf(keys, state, options)),
    times: times && { column: times.column, from: from ?? 0, to: to ?? 0, spans: times.spans ?? [] },
  }
}

/** Null for too many. */
async function keysOf(
  { columns, entity, parts, types }: NonNullable<WantedRows['keys']>,
  state: WorkspaceState,
  options: RunOptions,
): Promise<CopiedKeys | null> {
  const names = parts.map((part) => `CAST(__fabra_e${entity}_k${part} AS VARCHAR)`)
  const text = `SELECT DISTINCT ${names.join(', ')} FROM read_parquet(${state.rows}) LIMIT ${MOST_KEYS + 1}`
  const found = await state.session.open(text, [], options)
  const values = columns.map((): string[] => [])
  for (let from = 0; from < found.chunkCount; from += KEY_CHUNKS)
    for (const row of found.rows(from, Math.min(found.chunkCount, from + KEY_CHUNKS)))
      for (const [i, value] of row.entries()) values[i]?.push(String(value))
  return (values[0]?.length ?? 0) > MOST_KEYS ? null : { columns, types, values }
}

/** Numbers of PostgreSQL without a scale: as many digits after the point as there are. */
const PLAIN = "'-?[0-9]+(\\.[0-9]+)?'"
const MOST_DIGITS = 38
/** Digits of one machine word. */
const WORD_DIGITS = 18

async function makeTable(
  database: Database,
  { source, columns, file }: { readonly source: string; readonly columns: readonly TableColumn[]; readonly file: string },
  options: RunOptions,
): Promise<void> {
  const struct = ['bracket', ...columns.map((_, i) => `c${i}`), 'end'].map((column) => `'${column}': 'VARCHAR'`).join(', ')
  const rows = `read_csv(${quoteText(file)}, columns = {${struct}}, auto_detect = false, header = false, delim = ',', new_line = '\\n', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, strict_mode = true)`
  const name = source.split('.').map(quoteName).join('.')
  await database.loader.use(options, async (session, left) => {
    const types: string[] = []
    for (const [i, { type }] of columns.entries()) types.push(TYPES[type] ?? (await decimalOf(type, `c${i}`, rows)))
    async function decimalOf(type: string, column: string, from: string): Promise<string> {
      const given = /^NUMERIC\((\d+),(\d+)\)$/.exec(type)
      if (given && Number(given[1]) <= MOST_DIGITS && Number(given[2]) <= Number(given[1])) return `DECIMAL(${given[1]}, ${given[2]})`
      if (!type.startsWith('NUMERIC')) return 'VARCHAR'
      const { rows: found } = await session.read(
        `SELECT COALESCE(bool_and(regexp_full_match(${column}, ${PLAIN})), TRUE), COALESCE(max(strlen(ltrim(split_part(${column}, '.', 1), '-'))), 1),
          COALESCE(max(strlen(split_part(${column}, '.', 2))), 0) FROM ${from}`,
        [],
        left,
      )
      const [whole, fraction] = [Number(found[0]?.[1]), Number(found[0]?.[2])]
      if (found[0]?.[0] !== true || whole + fraction > MOST_DIGITS) throw new SqlError('runtime', 'A number has too many digits.', null)
      return `DECIMAL(${Math.max(whole + fraction, WORD_DIGITS)}, ${fraction})`
    }
    const select = columns.map(({ name: column }, i) => `${writtenAs(`c${i}`, types[i] ?? '')} AS ${quoteName(column)}`)
    if (source.includes('.')) await session.execute(`CREATE SCHEMA IF NOT EXISTS ${name.slice(0, name.lastIndexOf('.'))}`, left)
    await session.execute(`CREATE TABLE ${name} AS SELECT ${select.join(', ')} FROM ${rows}`, left)
  })
}

function writtenAs(column: string, type: string): string {
  if (type !== 'VARCHAR') return `CAST(${column} AS ${type})`
  return `replace(replace(replace(${column}, '\\r', chr(13)), '\\n', chr(10)), '\\s', '\\')`
}

const TYPES: Readonly<Record<string, string>> = {
  SMALLINT: 'SMALLINT',
  INTEGER: 'INTEGER',
  BIGINT: 'BIGINT',
  'DOUBLE PRECISION': 'DOUBLE',
  BOOLEAN: 'BOOLEAN',
  UUID: 'UUID',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
  'TIMESTAMP WITHOUT TIME ZONE': 'TIMESTAMP',
  'TIMESTAMP WITH TIME ZONE': 'TIMESTAMPTZ',
}
