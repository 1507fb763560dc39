import { constants, createReadStream } from 'node:fs'
import { copyFile, link, readdir, realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { suggest } from '../../errors.ts'
import type { LoadFinding, SourceStore, TableColumn } from '../source-store.ts'
import { checkColumns, type SourceColumns, timeColumns } from './column-plan.ts'
import { type Database, ownDeadline } from './database.ts'
import { type FilePlan, planFile, readingProblem, selectRows } from './file-reader.ts'
import { keySqlType } from './row-table.ts'
import type { Session } from './session.ts'
import { SourceProblem } from './source-problem.ts'
import { restoreRows } from './source-rows.ts'
import { FORGET_FILE, LIST_TABLES, quoteName, quoteTable, READ_FILE, REMEMBER_FILE } from './sql.ts'
import { engineMessage } from './sql-errors.ts'
import { tableColumns } from './table-columns.ts'

/** No column of a file is called so: users' SQL may not hold the name. */
const FILE_ROW = '__fabra_file_row'
const LOAD = ownDeadline(30 * 60_000)

/** Sources one after another: each load already uses every core. */
export async function loadSources(database: Database, inputs: readonly SourceColumns[]): ReturnType<SourceStore['load']> {
  const problems: LoadFinding[] = []
  for (const input of inputs) {
    try {
      const notes = await database.loader.use(LOAD, (session) => loadSource(session, database.loadDir, input))
      const hint = 'Write ids as whole numbers or as texts, and there is nothing to be told.'
      for (const message of notes) problems.push({ source: input.source.name, message, hint, isNote: true })
    } catch (error) {
      const hint = error instanceof SourceProblem ? error.hint : 'Check the source and its file.'
      problems.push({ source: input.source.name, message: error instanceof SourceProblem ? error.message : engineMessage(error), hint })
    }
  }
  return problems
}

/** @returns what is to be known of how its file was read. */
async function loadSource(session: Session, loadDir: string, input: SourceColumns): Promise<readonly string[]> {
  const { source } = input
  if (source.file !== null) return loadFile(session, loadDir, input, source.file)
  const existing = await sourceColumns(session, source.name)
  if (existing.length > 0) checkTable(input, existing)
  else if (source.columns) await createTable(session, input, source.columns)
  else throw await unknownTable(session, source.name)
  return []
}

async function unknownTable(session: Session, name: string): Promise<SourceProblem> {
  const { rows } = await session.read(LIST_TABLES, [], LOAD)
  const known = rows.map(([, other]) => String(other))
  return new SourceProblem(
    `There is no table "${name}".`,
    `Give the source a file (file: "./data/${name}.csv") or columns (columns: { … }). ${known.length > 0 ? suggest(name, known) : ''}`.trim(),
  )
}

function checkTable({ source }: SourceColumns, existing: readonly { name: string; type: string }[]): void {
  checkColumns(
    { ...source, columns: null },
    existing.map((column) => column.name),
    `The table "${source.name}"`,
  )
  for (const { option, name } of timeColumns(source)) {
    const type = existing.find((column) => column.name === name)?.type ?? ''
    if (!/^(TIMESTAMP|DATE)/.test(type))
      throw new SourceProblem(`Column "${name}" (${option} of the source) is ${type}, not a time.`, 'Name a column of timestamps.')
  }
}

async function createTable(
  session: Session,
  { source, keyTypes }: SourceColumns,
  columns: Readonly<Record<string, string>>,
): Promise<void> {
  checkColumns({ ...source, columns: null }, Object.keys(columns), `columns of source "${source.name}"`)
  const times = new Set(timeColumns(source).map(({ name }) => name))
  const typed = Object.entries(columns).map(([name, type]) => {
    const key = keyTypes[name]
    return `${quoteName(name)} ${times.has(name) ? 'TIMESTAMPTZ' : key && !type ? keySqlType(key) : type}`
  })
  try {
    await session.execute(`${createSchema(source.name)} CREATE TABLE IF NOT EXISTS ${quoteTable(source.name)} (${typed.join(', ')})`, LOAD)
  } catch (error) {
    throw new SourceProblem(
      `The table "${source.name}" cannot be made: ${engineMessage(error).split('\n', 1)[0]}`,
      'columns maps each column to an SQL type: { user_id: "VARCHAR" }.',
      error,
    )
  }
}

async function loadFile(session: Session, loadDir: string, input: SourceColumns, file: string): Promise<readonly string[]> {
  const { source } = input
  const facts = await fileFacts(file)
  const settings = settingsHash(input)
  const { rows } = await session.read(READ_FILE, [source.name], LOAD)
  const [path, size, modified, contentHash, settingsBefore] = rows[0] ?? []
  let hash: string | undefined
  const loaded = path === file && settingsBefore === settings && (await sourceColumns(session, source.name)).length > 0
  if (loaded && size === facts.size && modified === facts.modified) return []
  if (loaded && size === facts.size) hash = await hashFile(file)
  const remember = async (content: string) => {
    await session.read(FORGET_FILE, [source.name], LOAD)
    await session.read(REMEMBER_FILE, [source.name, file, facts.size, facts.modified, content, settings], LOAD)
  }
  if (hash !== undefined && hash === contentHash) {
    await inTransaction(session, () => remember(hash ?? ''))
    return []
  }

  const content = hash === undefined ? hashFile(file) : Promise.resolve(hash)
  // It is awaited only where the file could be read.
  content.catch(() => undefined)
  const readFrom = await lendFile(file, loadDir, source.name)
  try {
    const readable = { ...input, file, readFrom, size: facts.size }
    const plan = await planFile(session, readable)
    let failure: { readonly error: unknown } | undefined
    await inTransaction(session, async () => {
      try {
        await session.execute(
          `${createSchema(source.name)} CREATE OR REPLACE TABLE ${quoteTable(source.name)} AS ${selectSorted(input, plan)}`,
          LOAD,
        )
      } catch (error) {
        failure = { error }
        throw error
      }
      await restoreRows(session, source.name, await sourceColumns(session, source.name))
      await remember(await content)
    }).catch(async (error: unknown) => {
      throw failure === undefined ? error : await readingProblem(session, readable, plan, failure.error)
    })
    return plan.plans.flatMap(({ note }) => note ?? [])
  } finally {
    await rm(readFrom, { force: true })
  }
}

/**
 * Puts the file where the engine may read, for as long as it is loaded: users' SQL never has access to any other. A second name costs nothing;
 * where the disk has none, it is a copy. (The engine follows symbolic links and refuses what is behind them.)
 */
export async function lendFile(file: string, loadDir: string, source: string): Promise<string> {
  const lent = join(loadDir, `${Bun.hash(source).toString(16)}${extname(file).toLowerCase()}`)
  await rm(lent, { force: true })
  try {
    const real = await realpath(file)
    await link(real, lent).catch(() => copyFile(real, lent, constants.COPYFILE_FICLONE))
    return lent
  } catch (error) {
    throw new SourceProblem(
      `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      'Check its permissions.',
      error,
    )
  }
}

/**
 * Sorted by key and time, ties in the file's order: the engine keeps the least and greatest value of every block, so a query for one key reads
 * a few blocks instead of all of them.
 */
export function selectSorted({ source, keyTypes }: SourceColumns, plan: FilePlan): string {
  const key = plan.plans.find(({ name }) => Object.hasOwn(keyTypes, name))
  const order = [key?.name, source.timestamp ?? undefined].filter((name) => name !== undefined).map(quoteName)
  const columns = plan.plans.map(({ name }) => quoteName(name)).join(', ')
  const rows = `SELECT ${columns} FROM (${selectRows(plan, FILE_ROW)})`
  return order.length === 0 ? rows : `${rows} ORDER BY ${[...order, FILE_ROW].join(', ')}`
}

async function inTransaction(session: Session, work: () => Promise<void>): Promise<void> {
  await session.execute('BEGIN', LOAD)
  try {
    await work()
    await session.execute('COMMIT', LOAD)
  } catch (error) {
    await session.execute('ROLLBACK', LOAD).catch(() => undefined)
    throw error
  }
}

async function sourceColumns(session: Session, source: string): Promise<TableColumn[]> {
  const dot = source.indexOf('.')
  return (await tableColumns(session, dot < 0 ? 'main' : source.slice(0, dot), source.slice(dot + 1))) ?? []
}

function createSchema(source: string): string {
  const dot = source.indexOf('.')
  return dot < 0 ? '' : `CREATE SCHEMA IF NOT EXISTS ${quoteName(source.slice(0, dot))};`
}

export async function fileFacts(file: string): Promise<{ size: number; modified: number }> {
  try {
    const facts = await stat(file)
    if (facts.isFile()) return { size: facts.size, modified: Math.floor(facts.mtimeMs * 1000) }
    throw new SourceProblem(`${file} is not a file.`, 'file names one CSV, Parquet or JSON-lines file.')
  } catch (error) {
    if (error instanceof SourceProblem) throw error
    if ((error as { code?: unknown }).code !== 'ENOENT') {
      throw new SourceProblem(
        `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        'Check its permissions.',
        error,
      )
    }
    const siblings = await readdir(dirname(file)).catch(() => undefined)
    const hint = siblings ? suggest(basename(file), siblings) : `The folder ${dirname(file)} does not exist either.`
    throw new SourceProblem(`The file ${file} does not exist.`, `${hint} Paths are relative to the file that defines the source.`, error)
  }
}

export async function hashFile(file: string): Promise<string> {
  const hasher = new Bun.CryptoHasher('sha256')
  for await (const bytes of createReadStream(file, { highWaterMark: 1 << 20 })) hasher.update(bytes)
  return hasher.digest('hex')
}

/** Everything that decides what the table holds, besides the file itself. */
export function settingsHash({ source, keyTypes }: SourceColumns): string {
  const { timestamp, available, until, timezone, columns } = source
  return Bun.hash(JSON.stringify([2, timestamp, available, until, timezone, columns, keyTypes])).toString(16)
}
