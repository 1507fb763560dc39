/**
 * What `fabra check` and every start say about SQL features, before any of them runs:
 *
 *     const definitions = await createSqlDefinitions(registry, sourceStore)   // after sourceStore.load(…)
 *     definitions.problems    // must be empty to serve; all of them at once
 *     definitions.warnings    // tables that no source declares, sources without a time
 *     definitions.registry    // the registry with the types of SQL features filled in
 *     definitions.get('spend')?.past   // null, or why it cannot be computed for the past
 */
import { takesInputs } from '../../definition/feature-traits.ts'
import type { Entity, Feature, Problem, Registry, Source } from '../../definition/model.ts'
import { suggest } from '../../errors.ts'
import { type SourceEngine, SqlError, type TableColumn } from '../../store/ports/source-engine.ts'
import { bindAlone, bindShadowed, refusalOf, sentence } from './binding.ts'
import { type CopiedForm, copiedFormOf } from './copied-form.ts'
import { type LatestRow, latestRowOf } from './duckdb/latest-row.ts'
import { setRefusal } from './duckdb/set-refusal.ts'
import { type PlainAggregate, plainAggregateOf } from './duckdb/windowed-aggregate.ts'
import { writeSql } from './gate.ts'
import { groupedForm } from './grouped-form.ts'
import { keyTypesOf } from './key-types.ts'
import { type Portability, type PortableOwner, portabilityOf } from './portable/portable.ts'
import { reachesOf, type SourceReach } from './reach/reach.ts'
import { matchColumns, type SqlColumn } from './result-columns.ts'
import { type AnalysedSql, analyseSql, pastRefusal, readWorld, type SqlWorld, tableOf } from './rewrite/analysis.ts'
import { lineAndColumn } from './rewrite/edits.ts'
import type { SqlFault } from './rewrite/forbidden.ts'
import { lateralRow, likeRowSqlOf, type RowSql, setPrelude, unknownParameters } from './rewrite/parameters.ts'
import { setStatement } from './rewrite/statement.ts'
import { timeColumnProblem } from './rewrite/visibility.ts'

export interface SqlDefinition {
  readonly feature: Feature
  readonly entity: Entity
  /** In the order of `feature.columns`. */
  readonly columns: readonly SqlColumn[]
  /** Declared sources it reads. */
  readonly sources: readonly Source[]
  /** Tables and views it reads that no source declares. */
  readonly undeclared: readonly string[]
  /** Null when it can be computed as of any time; else why not. */
  readonly past: string | null
  /** Over the row list; null with the engine's reason when it takes the statement only row by row. */
  readonly set: { readonly text: string; readonly refusal: null } | { readonly text: null; readonly refusal: string }
  /** The same by a join: in PostgreSQL where the table would be read once for each row of the list, in DuckDB because LATERAL takes longer. */
  readonly grouped: string | null
  readonly row: RowSql
  /** The same over copies of what is visible of one key; null where the engine needs none, or its rows cannot be told from others. */
  readonly copied: CopiedForm | null
  /** SQL type of each key column in the row list. */
  readonly keyTypes: readonly string[]
  /** Its shape when it is a plain windowed aggregate. */
  readonly plain: PlainAggregate | null
  /** Its shape when it is the latest row of a key. */
  readonly latest: LatestRow | null
  readonly alwaysOneRow: boolean
  /** How far back it looks into its sources. */
  readonly reaches: readonly SourceReach[]
  /** It reads a view, and with it what the view reads. */
  readonly hidesReads: boolean
  /** On PostgreSQL: how it is computed in DuckDB over a copy of the rows that it reads, or why it may not mean the same there. */
  readonly portability: Portability | null
}

export interface SqlDefinitions {
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  readonly registry: Registry
  get(feature: string): SqlDefinition | undefined
}

/** @throws SqlError unavailable when the engine cannot be reached. What is wrong with the definitions is in `problems`. */
export async function createSqlDefinitions(registry: Registry, store: SourceEngine): Promise<SqlDefinitions> {
  const world = await readWorld(store, registry.sources)
  const problems = [...registry.sources.values()].flatMap((source) => checkSource(source, world))
  const warnings: Problem[] = []
  const definitions = new Map<string, SqlDefinition>()
  const all = [...registry.features.values()].filter((feature) => feature.computation.kind === 'sql')
  // All at once: the store runs as many as it has sessions.
  const checks = all.map(async (feature) => {
    const entity = registry.entities.get(feature.entity)
    return entity && (await checkFeature({ feature, entity, store, world }))
  })
  for (const [i, checked] of (await Promise.all(checks)).entries()) {
    const feature = all[i]
    if (!feature || !checked) continue
    if (Array.isArray(checked)) problems.push(...checked.map((fault) => asProblem(feature, world, fault)))
    else {
      definitions.set(feature.name, checked)
      warnings.push(...warningsOf(checked))
    }
  }
  return { problems, warnings, registry: withTypes(registry, definitions), get: (name) => definitions.get(name) }
}

interface Checking {
  readonly feature: Feature
  readonly entity: Entity
  readonly store: SourceEngine
  readonly world: SqlWorld
}

async function checkFeature(checking: Checking): Promise<SqlDefinition | SqlFault[]> {
  const { feature, store, world } = checking
  try {
    const sql = await analyseSql(sqlTextOf(feature, world.dialect), store, world)
    const faults = [...sql.faults, ...unknownParameters(sql, checking)]
    if (faults.length > 0) return faults
    const keyTypes = await keyTypesOf(sql, checking, store)
    const natural = await bindAlone(sql, { ...checking, keyTypes }, store)
    const columns = matchColumns(feature, natural)
    return 'faults' in columns ? columns.faults : await compile(sql, { ...checking, keyTypes }, columns.columns, natural)
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return [{ message: sentence(error.message), hint: 'Mend the SQL.', at: error.position }]
  }
}

async function compile(
  sql: AnalysedSql,
  checking: Checking & { readonly keyTypes: readonly string[] },
  columns: readonly SqlColumn[],
  natural: readonly TableColumn[],
): Promise<SqlDefinition | SqlFault[]> {
  const { feature, entity, store, world, keyTypes } = checking
  const fault = await bindShadowed(sql, checking, store, natural)
  if (fault) return [fault]
  const gate = { store, world }
  const { row, likeness } = await likeRowSqlOf(sql, checking, gate)
  const past = pastRefusal(sql)
  const inputs = takesInputs(feature) ? 'inputs differ from row to row' : null
  const setText = inputs === null ? await writeSql(sql, { row: lateralRow(checking), frame: setStatement }, gate) : ''
  const refusal =
    inputs ?? (world.dialect === 'duckdb' ? setRefusal(sql) : null) ?? (await refusalOf(store, setPrelude(keyTypes) + setText))
  return {
    feature,
    entity,
    columns,
    sources: [...new Set(sql.shadows.map((shadow) => shadow.source))],
    undeclared: [...new Set(sql.undeclared.map(({ table }) => table.name))],
    past,
    set: refusal === null ? { text: setText, refusal } : { text: null, refusal },
    grouped: refusal === null ? await groupedForm(sql, { row: lateralRow(checking), keyTypes, columns: natural }, store) : null,
    row,
    copied: past === null && inputs === null ? copiedFormOf(sql, { ...checking, natural }, likeness) : null,
    keyTypes,
    plain: world.dialect === 'duckdb' && refusal === null ? plainAggregateOf(sql, entity) : null,
    latest: world.dialect === 'duckdb' && refusal === null ? latestRowOf(sql, entity) : null,
    alwaysOneRow: sql.tree.alwaysOneRow,
    reaches: reachesOf(sql, world.dialect),
    hidesReads: [...sql.undeclared, ...sql.shadows].some(({ table }) => table.kind === 'view'),
    portability: world.dialect === 'postgres' ? portabilityIn(sql, { entity, keyTypes, natural }, past ?? inputs) : null,
  }
}

/** @param refusal Why it is not computed for many rows of the past at all. */
function portabilityIn(sql: AnalysedSql, owner: PortableOwner, refusal: string | null): Portability {
  return refusal === null ? portabilityOf(sql, owner) : { portable: null, refusal }
}

function checkSource(source: Source, world: SqlWorld): Problem[] {
  const table = tableOf(source, world)
  const subject = `source "${source.name}"`
  if (!table) {
    const hint =
      source.file === null
        ? `Create the table, or give the source a file or columns. ${suggest(
            source.name,
            world.tables.map((t) => t.name),
          )}`
        : 'Mend its file.'
    return [{ location: source.location, subject, message: `There is no table "${source.name}".`, hint }]
  }
  const problem = timeColumnProblem(source, table)
  return problem ? [{ location: source.location, subject, ...problem }] : []
}

/** What works, but not in every way, or hardly as it is meant. */
function warningsOf({ feature, entity, past, row, alwaysOneRow }: SqlDefinition): Problem[] {
  const warn = (message: string, hint: string) => ({ location: feature.location, subject: `feature "${feature.name}"`, message, hint })
  const used = new Set(row.parameters.map((parameter) => (parameter.kind === 'key' ? parameter.index : -1)))
  const unused = entity.key.filter((_, i) => !used.has(i)).map(({ name }) => `$${name}`)
  return [
    ...(past === null ? [] : [warn(`It is served, but not for training: ${past}`, 'docs/sources.md says what a feature can see.')]),
    ...(unused.length === 0
      ? []
      : [
          warn(
            `Its SQL never uses ${unused.join(', ')}, so it has the same value for every ${entity.name}${unused.length < entity.key.length ? ' that differs in nothing else' : ''}.`,
            `Compare a column with it: WHERE … = ${unused[0]}.`,
          ),
        ]),
    ...(feature.defaults === null || !alwaysOneRow
      ? []
      : [
          warn(
            'Its default is never used: an aggregate gives a row for every key, if only with null or 0.',
            'The default stands in where there is no row. For null, write COALESCE in its SQL.',
          ),
        ]),
  ]
}

function asProblem(feature: Feature, world: SqlWorld, fault: SqlFault): Problem {
  const text = sqlTextOf(feature, world.dialect)
  const at = fault.at === null ? '' : locationIn(text, fault.at)
  return { location: feature.location, subject: `feature "${feature.name}"`, message: fault.message + at, hint: fault.hint }
}

/** Where in its SQL, and the line itself. */
export function locationIn(text: string, position: number): string {
  const { line, column } = lineAndColumn(text, position)
  const shown = (text.split('\n')[line - 1] ?? '').trim()
  return ` (line ${line}, column ${column} of its SQL: ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown})`
}

function sqlTextOf(feature: Feature, dialect: SourceEngine['dialect']): string {
  if (feature.computation.kind !== 'sql') return ''
  return typeof feature.computation.sql === 'string' ? feature.computation.sql : feature.computation.sql[dialect]
}

function withTypes(registry: Registry, definitions: ReadonlyMap<string, SqlDefinition>): Registry {
  const features = new Map<string, Feature>()
  for (const [name, feature] of registry.features) {
    const definition = definitions.get(name)
    const columns = definition?.columns.map(({ name: column, type }) => ({ name: column, type })) ?? feature.columns
    features.set(name, definition ? { ...feature, columns } : feature)
  }
  return { ...registry, features }
}
