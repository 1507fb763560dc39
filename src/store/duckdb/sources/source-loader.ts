import { dirname } from 'node:path'
import { suggest } from '../../../errors.ts'
import type { LoadFinding, LoadWatch, SourceEngine, TableColumn } from '../../ports/source-engine.ts'
import { fileName } from '../../ports/source-file-list.ts'
import { type Database, ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { engineMessage } from '../connection/sql-errors.ts'
import { fullDisk } from '../damage/file-damage.ts'
import { FORGET_FILE, LIST_TABLES, quoteName, quoteTable, READ_FILE, REMEMBER_FILE } from '../sql.ts'
import { checkColumns, type SourceColumns, timeColumns } from './column-plan.ts'
import { duckdbType } from './column-types.ts'
import { fileFacts, hashFiles, settingsHash } from './file-facts.ts'
import { type FilePlan, planFile, readingProblem, selectRows } from './file-reader.ts'
import { dropStage, stageFiles } from './file-set.ts'
import { findKeptRows, keptMisfits, misfitProblem, ownTypes, selectKept, type TypeNow } from './kept-rows.ts'
import { type LentFiles, lendFiles } from './lent-files.ts'
import { keySqlType } from './row-table.ts'
import { SourceProblem } from './source-problem.ts'
import { tableColumns } from './table-columns.ts'

/** No column of a file is called so: users' SQL may not hold the name. */
const FILE_ROW = '__fabra_file_row'
const LOAD = ownDeadline(30 * 60_000)
const UNWATCHED: LoadWatch = { signal: new AbortController().signal, began: () => undefined }
/** An interrupt that comes before the engine has begun is forgotten by it. */
const INTERRUPT_EVERY_MS = 10

/** Sources one after another: each load already uses every core. */
export async function loadSources(
  database: Database,
  inputs: readonly SourceColumns[],
  watch: LoadWatch = UNWATCHED,
): ReturnType<SourceEngine['load']> {
  const problems: LoadFinding[] = []
  await giveBack(database, '1MB')
  for (const input of inputs) {
    try {
      const notes = await database.loader.use(LOAD, (session) =>
        untilEnded(watch.signal, session, () => loadSource(session, database.loadDir, input, watch)),
      )
      const hint = 'Write ids as whole numbers or as texts, and there is nothing to be told.'
      for (const message of notes) problems.push({ source: input.source.name, message, hint, isNote: true })
    } catch (error) {
      watch.signal.throwIfAborted()
      const full = fullDisk(error, dirname(database.loadDir))
      if (full) throw full
      const hint = error instanceof SourceProblem ? error.hint : 'Check the source and its file.'
      problems.push({ source: input.source.name, message: error instanceof SourceProblem ? error.message : engineMessage(error), hint })
    }
  }
  await giveBack(database, '8MB')
  return problems
}

/** Whoever ends it does not wait for statements of half an hour; the transaction they are in is rolled back. */
async function untilEnded<T>(signal: AbortSignal, session: Session, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted()
  let telling: Timer | undefined
  const end = () => {
    telling ??= setInterval(() => session.connection.interrupt(), INTERRUPT_EVERY_MS)
  }
  signal.addEventListener('abort', end)
  try {
    return await work()
  } finally {
    signal.removeEventListener('abort', end)
    clearInterval(telling)
  }
}

/**
 * All memory that is free goes back to the system at once when so much is let go of. While files are loaded that is soon; later not below what any join
 * or grouping holds, or each statement would fetch its memory anew, which costs more than all else about it.
 */
async function giveBack(database: Database, atLeast: '1MB' | '8MB'): Promise<void> {
  const text = `SET GLOBAL allocator_bulk_deallocation_flush_threshold = '${atLeast}'`
  // A database that has failed tells so where its answer matters.
  await database.loader.use(LOAD, (session) => session.execute(text, LOAD)).catch(() => undefined)
}

/** @returns what is to be known of how its file was read. */
async function loadSource(session: Session, loadDir: string, input: SourceColumns, watch: LoadWatch): Promise<readonly string[]> {
  const { source } = input
  if (source.file !== null) return loadFile(session, loadDir, { ...input, file: source.file }, watch)
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
    return `${quoteName(name)} ${times.has(name) ? 'TIMESTAMPTZ' : key && !type ? keySqlType(key) : duckdbType(type)}`
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

async function loadFile(
  session: Session,
  loadDir: string,
  input: SourceColumns & { readonly file: string | readonly string[] },
  watch: LoadWatch,
): Promise<readonly string[]> {
  const { source, file } = input
  const facts = await fileFacts(file)
  const name = fileName(file)
  const settings = settingsHash(input)
  const { rows } = await session.read(READ_FILE, [source.name], LOAD)
  const [path, size, modified, contentHash, settingsBefore] = rows[0] ?? []
  let hash: string | undefined
  const before = await sourceColumns(session, source.name)
  const loaded = path === name && settingsBefore === settings && before.length > 0
  if (loaded && size === facts.size && modified === facts.modified) return []
  if (loaded && size === facts.size) hash = await hashFiles(file)
  const remember = async (content: string) => {
    await session.read(FORGET_FILE, [source.name], LOAD)
    await session.read(REMEMBER_FILE, [source.name, name, facts.size, facts.modified, content, settings], LOAD)
  }
  if (hash !== undefined && hash === contentHash) {
    await inTransaction(session, () => remember(hash ?? ''))
    return []
  }

  watch.began(source.name, facts.size)
  const content = hash === undefined ? hashFiles(file) : Promise.resolve(hash)
  // It is awaited only where the file could be read.
  content.catch(() => undefined)
  const lent = await lendFiles(facts.list, loadDir, source.name)
  try {
    const {
      plan,
      selectKept: appended,
      explain,
    } = await planSource(session, input, lent, ({ name: column }) => before.find((one) => sameName(one.name, column))?.type)
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
      if (appended !== null) await session.execute(`INSERT INTO ${quoteTable(source.name)} ${appended}`, LOAD)
      await remember(await content)
    }).catch(async (error: unknown) => {
      throw failure === undefined ? error : await explain(failure.error)
    })
    return plan.plans.flatMap(({ note }) => note ?? [])
  } finally {
    await dropStage(session)
    await lent.giveBack()
  }
}

export interface SourcePlan {
  readonly plan: FilePlan
  /** Gives the rows that were appended, in the columns' order; null: there are none. */
  readonly selectKept: string | null
  /** What stopped the reading. */
  readonly explain: (error: unknown) => Promise<SourceProblem>
}

/**
 * Decides on the columns that hold the files' rows and those that were appended, which do not change.
 * @param typeNow Of columns of the table as it is. @throws SourceProblem
 */
export async function planSource(session: Session, input: SourceColumns, lent: LentFiles, typeNow: TypeNow): Promise<SourcePlan> {
  const rejected = new Map<string, readonly string[]>()
  const [one] = lent.files
  for (;;) {
    const readable = { ...input, file: one?.file ?? '', readFrom: one?.readFrom ?? '', rejected }
    const isSet = lent.files.length > 1 || (one?.partition.length ?? 0) > 0
    const plan = isSet ? await stageFiles(session, { ...input, rejected }, lent) : await planFile(session, readable)
    const explain = (error: unknown) => readingProblem(session, readable, plan, error)
    const kept = await findKeptRows(session, input.source.name, plan.plans)
    if (!kept) return { plan, selectKept: null, explain }
    const columns = await ownTypes(session, plan.plans)
    const misfits = await keptMisfits(session, kept, columns, typeNow)
    const [first] = misfits
    if (!first) return { plan, selectKept: selectKept(kept, columns), explain }
    for (const misfit of misfits) {
      const tried = rejected.get(misfit.column) ?? []
      // A type that is not ours to choose, or was chosen all the same.
      if (!plan.isChosen(misfit.column) || tried.includes(misfit.type)) throw misfitProblem(input.source.name, misfit)
      rejected.set(misfit.column, [...tried, misfit.type])
    }
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

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

async function sourceColumns(session: Session, source: string): Promise<TableColumn[]> {
  const dot = source.indexOf('.')
  return (await tableColumns(session, dot < 0 ? 'main' : source.slice(0, dot), source.slice(dot + 1))) ?? []
}

function createSchema(source: string): string {
  const dot = source.indexOf('.')
  return dot < 0 ? '' : `CREATE SCHEMA IF NOT EXISTS ${quoteName(source.slice(0, dot))};`
}
