import { keysFaults } from '../compute/sql/keys-sql.ts'
import { createSqlDefinitions, type SqlDefinitions } from '../compute/sql/sql-definitions.ts'
import type { Problem, Registry } from '../definition/model.ts'
import { InvalidDefinitions } from '../definition/problems.ts'
import { cronProblem } from '../refresh/schedule.ts'
import { createRuntime, type LoadedDefinitions } from '../runtime/runtime.ts'
import { openDatabase } from '../store/duckdb/connection/database.ts'
import { createDuckdbSourceEngine } from '../store/duckdb/sources/source-engine.ts'
import type { SourceEngine } from '../store/ports/source-engine.ts'
import { loadSources } from './loaded-sources.ts'

/** What is wrong with definition files, found without serving and without touching the data folder. */
export async function checkProject(
  files: readonly string[],
): Promise<{ readonly registry: Registry; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] }> {
  const runtime = createRuntime({ files, log: () => undefined })
  const database = await openDatabase({ file: ':memory:' })
  try {
    const loaded = await runtime.load()
    try {
      const definitions = await checkedDefinitions(loaded, createDuckdbSourceEngine(database))
      return { registry: definitions.registry, problems: [], warnings: definitions.warnings }
    } catch (error) {
      if (error instanceof InvalidDefinitions) return { registry: loaded.registry, problems: error.problems, warnings: [] }
      throw error
    }
  } finally {
    await runtime.close()
    await database.close()
  }
}

/**
 * Sources loaded, SQL bound, cron patterns read: every problem at once, those of the files included. Where sources are wrong, SQL is not
 * looked at: it would only be told of tables that are not there.
 */
export async function checkedDefinitions(loaded: LoadedDefinitions, sourceEngine: SourceEngine): Promise<SqlDefinitions> {
  const { registry } = loaded
  const problems: Problem[] = [...loaded.problems]
  if (problems.some((problem) => !problem.subject.startsWith('feature "'))) throw new InvalidDefinitions(problems)
  const sources = await loadSources(registry, sourceEngine)
  problems.push(...sources.problems, ...cronProblems(registry))
  if (problems.some((problem) => problem.subject.startsWith('source "'))) throw new InvalidDefinitions(problems)
  const definitions = await createSqlDefinitions(registry, sourceEngine)
  problems.push(...definitions.problems, ...(await keysProblems(registry, sourceEngine)))
  if (problems.length > 0) throw new InvalidDefinitions(problems)
  return { ...definitions, warnings: [...sources.notes, ...definitions.warnings] }
}

function cronProblems(registry: Registry): Problem[] {
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
