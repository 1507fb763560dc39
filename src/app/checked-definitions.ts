/** What is wrong with definition files, found without serving and without leaving a trace, against the database that serving would use. */
import { join } from 'node:path'
import type { Micros } from '../clock.ts'
import { keysFaults } from '../compute/sql/keys-sql.ts'
import { keptRowsProblems } from '../compute/sql/reach/kept-rows.ts'
import { createSqlDefinitions, type SqlDefinitions } from '../compute/sql/sql-definitions.ts'
import { unpreparedProblems } from '../compute/sql/unprepared.ts'
import type { Config } from '../config/config.ts'
import type { PythonSettings } from '../config/python-settings.ts'
import type { Problem, Registry, Source } from '../definition/model.ts'
import { InvalidDefinitions } from '../definition/problems.ts'
import { inItsLanguage } from '../definition/python-words.ts'
import { FabraError } from '../errors.ts'
import { cronProblem } from '../refresh/schedule.ts'
import { createRuntime, type LoadedDefinitions } from '../runtime/runtime.ts'
import { type Database, openDatabase } from '../store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../store/duckdb/sources/source-engine.ts'
import { makeShapes, tableShapes } from '../store/duckdb/sources/table-shapes.ts'
import type { SourceEngine, TableColumn } from '../store/ports/source-engine.ts'
import type { PostgresAddresses } from './check-stores.ts'
import { loadSources } from './loaded-sources.ts'
import { DATA_FILE } from './open-stores.ts'
import { type RecordedKeysOptions, wordsOfAuto } from './recorded-keys.ts'

/** Where SQL is prepared. `unprepared`: for a PostgreSQL that is not there to be asked. */
export type CheckPlace =
  | ({ readonly kind: 'duckdb'; readonly dataFile: string } & Kept)
  | ({ readonly kind: 'postgres' } & Kept & PostgresAddresses)
  | { readonly kind: 'unprepared' }

/** What is recorded, and how long rows stay; null: for ever. Without `history` it is not told. */
interface Kept {
  readonly rowsKeep?: Micros | null
  readonly history?: Pick<RecordedKeysOptions, 'historyMode' | 'historySample'>
}

export interface CheckedProject {
  readonly registry: Registry
  readonly problems: readonly Problem[]
  /** What works, but not in every way: a table that no source declares, for example. */
  readonly warnings: readonly Problem[]
  /** By feature, what `history: "auto"` comes to and why; none where SQL could not be prepared. */
  readonly recorded: ReadonlyMap<string, string>
}

const NOTHING_TOLD: ReadonlyMap<string, string> = new Map()

/** Where serving with this configuration would prepare. @param against The address of another PostgreSQL; null: none was named. */
export function checkPlace(config: Config, against: string | null): CheckPlace {
  const { env, postgresUrl, sourceUrl, dataDir, rowsKeep, historyMode, historySample } = config
  const kept = { rowsKeep, history: { historyMode, historySample } }
  if (against !== null) return { kind: 'postgres', postgresUrl: against, sourceUrl: null, ...kept }
  if (postgresUrl !== null) return { kind: 'postgres', postgresUrl, sourceUrl, ...kept }
  return env === 'production' ? { kind: 'unprepared' } : { kind: 'duckdb', dataFile: join(dataDir, DATA_FILE), ...kept }
}

const NOT_PREPARED: Problem = {
  location: null,
  subject: 'SQL',
  message: 'it was read as PostgreSQL reads it, but not prepared: there is no database to ask.',
  hint: 'Set FABRA_POSTGRES_URL, or use --against postgres://user:password@host:5432/database.',
}

export async function checkProject(files: readonly string[], location: CheckPlace, python?: PythonSettings): Promise<CheckedProject> {
  const runtime = createRuntime({ files, python, log: () => undefined })
  const database = await openDatabase({ file: ':memory:' })
  const local = createDuckdbSourceEngine(database)
  try {
    const loaded = await runtime.load()
    try {
      const found = await checkedIn(location, loaded, { database, store: local })
      return { ...found, problems: found.problems.map(inItsLanguage), warnings: found.warnings.map(inItsLanguage) }
    } catch (error) {
      if (error instanceof InvalidDefinitions)
        return { registry: loaded.registry, problems: error.problems, warnings: [], recorded: NOTHING_TOLD }
      if (error instanceof FabraError)
        return { registry: loaded.registry, problems: [...loaded.problems, asProblem(error)], warnings: [], recorded: NOTHING_TOLD }
      throw error
    }
  } finally {
    await runtime.close()
    await database.close()
  }
}

interface Local {
  readonly database: Database
  readonly store: SourceEngine
}

async function checkedIn(location: CheckPlace, loaded: LoadedDefinitions, { database, store: local }: Local): Promise<CheckedProject> {
  if (location.kind === 'unprepared') return unprepared(loaded, local)
  const look = async (store: SourceEngine) => {
    const rowsKeep = location.rowsKeep ?? null
    const definitions = await checkedDefinitions(loaded, store, rowsKeep)
    const { registry, warnings } = definitions
    const recorded = location.history ? wordsOfAuto(definitions, { ...location.history, rowsKeep }) : NOTHING_TOLD
    return { registry, problems: [], warnings, recorded }
  }
  if (location.kind === 'duckdb') {
    return look(local).catch(async (error: unknown) => {
      if (!(error instanceof InvalidDefinitions) || !error.problems.some(({ message }) => message.startsWith('There is no table')))
        throw error
      // Somebody may have made it in the data file. A server that starts meanwhile would find the file taken, so it is opened for that alone.
      await makeShapes(database, await tableShapes(location.dataFile))
      return look(local)
    })
  }
  const { LoadProblem, withPostgresSources } = await import('./check-stores.ts')
  const notes: Problem[] = []
  const columnsOf = async ({ source }: Parameters<SourceEngine['load']>[0][number]) => {
    const found = await loadSources({ ...loaded.registry, sources: new Map([[source.name, source]]) }, local)
    const [problem] = found.problems
    if (problem) throw new LoadProblem(problem.message, problem.hint)
    notes.push(...found.notes)
    return localColumns(source, local)
  }
  const found = await withPostgresSources(location, columnsOf, look)
  return { ...found, warnings: [...notes, ...found.warnings] }
}

async function unprepared(loaded: LoadedDefinitions, local: SourceEngine): Promise<CheckedProject> {
  const { registry, problems: own } = loaded
  if (own.some(({ subject }) => !subject.startsWith('feature "'))) throw new InvalidDefinitions(own)
  const { createPostgresParser } = await import('../store/postgres/sources/parser.ts')
  const { readStatement } = await import('../store/postgres/sources/user-statement.ts')
  const parser = createPostgresParser()
  const parse = async (text: string) => {
    const tree = await parser.parse(text)
    readStatement(tree)
    return tree
  }
  // Files are read here, whoever holds their rows later.
  const files = new Map([...registry.sources].filter(([, { file }]) => file !== null))
  const found = await loadSources({ ...registry, sources: files }, local)
  const problems = [...own, ...found.problems, ...cronProblems(registry), ...(await unpreparedProblems(registry, parse))]
  return { registry, problems, warnings: [NOT_PREPARED, ...loaded.warnings, ...found.notes], recorded: NOTHING_TOLD }
}

async function localColumns({ name }: Source, local: SourceEngine): Promise<readonly TableColumn[]> {
  const known = (await local.tables()).find((table) => {
    return [table.name, `${table.schema}.${table.name}`].some((one) => one.toLowerCase() === name.toLowerCase())
  })
  return known?.columns ?? []
}

/** The database that was named cannot be asked. */
function asProblem({ message, hint }: FabraError): Problem {
  return { location: null, subject: 'PostgreSQL', message, hint: hint ?? '' }
}

/**
 * Sources loaded, SQL bound, cron patterns read: every problem at once, those of the files included. Where sources are wrong, SQL is not
 * looked at: it would only be told of tables that are not there.
 * @param rowsKeep How long rows of sources stay; null: for ever.
 */
export async function checkedDefinitions(
  loaded: LoadedDefinitions,
  sourceEngine: SourceEngine,
  rowsKeep: Micros | null = null,
): Promise<SqlDefinitions> {
  const { registry } = loaded
  const problems: Problem[] = [...loaded.problems]
  if (problems.some((problem) => !problem.subject.startsWith('feature "'))) throw new InvalidDefinitions(problems)
  const sources = await loadSources(registry, sourceEngine)
  problems.push(...sources.problems, ...cronProblems(registry))
  if (problems.some((problem) => problem.subject.startsWith('source "'))) throw new InvalidDefinitions(problems)
  const definitions = await createSqlDefinitions(registry, sourceEngine)
  problems.push(...definitions.problems, ...(await keysProblems(registry, sourceEngine)))
  if (problems.length === 0) problems.push(...(await keptRowsProblems(definitions, sourceEngine, rowsKeep)))
  if (problems.length > 0) throw new InvalidDefinitions(problems)
  return { ...definitions, warnings: [...loaded.warnings, ...sources.notes, ...definitions.warnings] }
}

export function cronProblems(registry: Registry): Problem[] {
  const problems: Problem[] = []
  for (const { name, location, refresh } of registry.features.values()) {
    const wrong = refresh?.kind === 'cron' ? cronProblem(refresh.pattern) : undefined
    if (refresh?.kind !== 'cron' || wrong === undefined) continue
    const message = `refresh "${refresh.pattern}" is not a cron pattern: ${wrong}.`
    problems.push({ location, subject: `feature "${name}"`, message, hint: 'Write minute, hour, day, month and weekday: "0 6 * * *".' })
  }
  return problems
}

/** The queries that list an entity's keys must bind too. */
async function keysProblems(registry: Registry, sourceEngine: SourceEngine): Promise<Problem[]> {
  return [...(await keysFaults(registry, sourceEngine))].map(([name, { message, hint }]) => {
    const location = registry.entities.get(name)?.location ?? null
    return { location, subject: `entity "${name}"`, message: `its keys query is refused: ${message}`, hint }
  })
}
