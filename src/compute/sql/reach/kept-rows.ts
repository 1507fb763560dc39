/** Whether rows of sources may leave when they are so old: only where every reader is proved to look back less far. */
import type { Micros } from '../../../clock.ts'
import type { Problem, Registry, Source } from '../../../definition/model.ts'
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import { analyseSql, readWorld } from '../rewrite/analysis.ts'
import type { SqlDefinition, SqlDefinitions } from '../sql-definitions.ts'
import { type Reach, reachesOf } from './reach.ts'
import { DAY } from './span.ts'

/** Processes' clocks differ, and a computation may have begun a while ago. */
const SLACK: Micros = 3_600_000_000

/** Why it is not known how far back a feature looks, and what to write in its place, up to what is said. */
interface Unknown {
  readonly reason: string
  readonly instead: string
}

const FUNCTION: Unknown = {
  reason: 'it is a function that reads db',
  instead: 'Write what it reads as an SQL feature, ask for its value by get, and say',
}
const VIEW: Unknown = {
  reason: 'it reads a view, which may read anything',
  instead: 'Read the tables themselves in place of the view, and say',
}

/** Sources whose rows come by request alone, into a table that is made for them, and have a time. */
export function mayLoseRows({ file, columns, timestamp, ...source }: Source): boolean {
  return file === null && columns !== null && timestamp !== null && !source.static
}

/** How far back a feature looks into each source that it may read; null: for ever, or it is not known. */
export function reachIn(definition: SqlDefinition | undefined, readsDb: boolean, source: string): Reach | undefined {
  if (!definition) return readsDb ? null : undefined
  if (definition.hidesReads) return null
  return definition.reaches.find((one) => one.source.name === source)?.reach
}

/** @throws SqlError unavailable */
export async function keptRowsProblems(definitions: SqlDefinitions, store: SourceEngine, keep: Micros | null): Promise<readonly Problem[]> {
  const { registry } = definitions
  const losing = [...registry.sources.values()].filter(mayLoseRows)
  if (keep === null || losing.length === 0) return []
  const problems: Problem[] = []
  for (const { name, location, readsDb = false, ...feature } of registry.features.values()) {
    const isFunction = feature.computation.kind === 'function'
    const definition = definitions.get(name)
    const why = isFunction ? FUNCTION : definition?.hidesReads ? VIEW : null
    const found = losing.flatMap((source) => problemOf(reachIn(definition, isFunction && readsDb, source.name), source, keep, why) ?? [])
    problems.push(...found.map((one) => ({ location, subject: `feature "${name}"`, ...one })))
  }
  for (const { name, location, reaches } of await keysReaches(registry, store)) {
    const found = losing.flatMap((source) => problemOf(reaches.get(source.name), source, keep, null) ?? [])
    problems.push(
      ...found.map((one) => ({ ...one, location, subject: `entity "${name}"`, message: `its keys query is refused: ${one.message}` })),
    )
  }
  return problems
}

function problemOf(reach: Reach | undefined, source: Source, keep: Micros, why: Unknown | null): Pick<Problem, 'message' | 'hint'> | null {
  if (reach === undefined || (reach !== null && reach + SLACK <= keep)) return null
  const setting = `FABRA_ROWS_KEEP=${days(keep)}`
  const gone = `rows of "${source.name}" would leave that it needs, with ${setting}`
  if (reach !== null)
    return {
      message: `${gone}: it looks back as far as ${days(reach)}.`,
      hint: `Keep rows for longer: FABRA_ROWS_KEEP=${days(reach + SLACK)}.`,
    }
  const bound = `${source.timestamp} > NOW() - INTERVAL '${Math.max(1, Math.ceil(keep / DAY) - 1)} days'`
  return {
    message: `${gone}: how far back it looks is not known${why === null ? '' : `, for ${why.reason}`}.`,
    hint: `${why?.instead ?? 'Say'} it beside the FROM that reads "${source.name}", in the outermost AND of its WHERE: ${bound}. Or unset FABRA_ROWS_KEEP: rows then stay for ever.`,
  }
}

/** Rounded up. */
function days(micros: Micros): string {
  return `${Math.ceil(micros / DAY)}d`
}

async function keysReaches({ entities, sources }: Registry, store: SourceEngine) {
  const all = [...entities.values()].filter(({ keys }) => keys !== null)
  if (all.length === 0) return []
  const world = await readWorld(store, sources)
  return Promise.all(
    all.map(async ({ name, location, keys }) => {
      const sql = await analyseSql(keys ?? '', store, world)
      return { name, location, reaches: new Map(reachesOf(sql, world.dialect).map(({ source, reach }) => [source.name, reach])) }
    }),
  )
}
