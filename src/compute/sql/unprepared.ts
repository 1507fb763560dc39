/** What can be said of the SQL of definitions without a database: whether PostgreSQL can read it, and whether it holds what no feature may. */
import type { Feature, Problem, Registry } from '../../definition/model.ts'
import { type SourceEngine, SqlError, type Table } from '../../store/ports/source-engine.ts'
import { sentence } from './binding.ts'
import { type AnalysedSql, analyseSql, type SqlWorld } from './rewrite/analysis.ts'
import type { SqlFault } from './rewrite/forbidden.ts'
import { unknownParameters } from './rewrite/parameters.ts'
import { locationIn } from './sql-definitions.ts'

/** @param parse Of PostgreSQL's grammar. @throws SqlError syntax */
export async function unpreparedProblems(registry: Registry, parse: SourceEngine['parse']): Promise<Problem[]> {
  const store = readerOf(parse)
  const world: SqlWorld = { dialect: 'postgres', sources: registry.sources, tables: [...registry.sources.keys()].map(tableNamed) }
  const problems: Problem[] = []
  const look = async (text: string, owner: Pick<Problem, 'location' | 'subject'>, more: (sql: AnalysedSql) => readonly SqlFault[]) => {
    for (const { message, hint, at } of await faultsOf(text, { store, world }, more)) {
      problems.push({ ...owner, message: message + (at === null ? '' : locationIn(text, at)), hint })
    }
  }
  for (const feature of registry.features.values()) {
    const entity = registry.entities.get(feature.entity)
    const text = postgresText(feature)
    if (text === null || entity === undefined) continue
    const owner = { location: feature.location, subject: `feature "${feature.name}"` }
    await look(text, owner, (sql) => unknownParameters(sql, { feature, entity }))
  }
  for (const { name, location, keys } of registry.entities.values()) {
    if (keys !== null) await look(keys, { location, subject: `entity "${name}"` }, () => [])
  }
  return problems
}

async function faultsOf(
  text: string,
  { store, world }: { readonly store: SourceEngine; readonly world: SqlWorld },
  more: (sql: AnalysedSql) => readonly SqlFault[],
): Promise<readonly SqlFault[]> {
  try {
    const sql = await analyseSql(text, store, world)
    // Whether a table is there is what a database would have to be asked.
    const isUnknown = ({ message, at }: SqlFault) =>
      message.startsWith('There is no table "') && sql.tree.tables.some((table) => table.at === at && !/[./\\]/.test(table.name))
    return [...sql.faults.filter((fault) => !isUnknown(fault)), ...more(sql)]
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    return [
      {
        message: sentence(error.message),
        hint: 'Mend the SQL; where the dialects differ, write sql: { duckdb: "…", postgres: "…" }.',
        at: error.position,
      },
    ]
  }
}

function postgresText({ computation }: Feature): string | null {
  if (computation.kind !== 'sql') return null
  return typeof computation.sql === 'string' ? computation.sql : computation.sql.postgres
}

function tableNamed(source: string): Table {
  const dot = source.indexOf('.')
  const [schema, name] = dot < 0 ? ['public', source] : [source.slice(0, dot), source.slice(dot + 1)]
  return { schema, name, kind: 'table', isOnPath: dot < 0, columns: [], indexed: null }
}

/** Knows the grammar and nothing else. */
function readerOf(parse: SourceEngine['parse']): SourceEngine {
  const nothing = () => Promise.reject(new SqlError('unavailable', 'There is no database.', null))
  return {
    dialect: 'postgres',
    parse,
    load: async () => [],
    tables: async () => [],
    functions: async () => [],
    prepare: async () => ({ columns: [], parameters: [] }),
    query: nothing,
    queryInto: nothing,
    queryOver: nothing,
    copies: null,
    close: async () => {},
  }
}
