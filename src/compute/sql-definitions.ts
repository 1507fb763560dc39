/**
 * What `fabra check` and every start say about SQL features, before any of them runs:
 *
 *     const definitions = await createSqlDefinitions(registry, sourceStore)   // after sourceStore.load(…)
 *     definitions.problems    // must be empty to serve; all of them at once
 *     definitions.warnings    // tables that no source declares, sources without a time
 *     definitions.registry    // the registry with the types of SQL features filled in
 *     definitions.get('spend')?.past   // null, or why it cannot be computed for the past
 */
import type { Entity, Feature, KeyType, Problem, Registry, Source, ValueType } from '../definition/model.ts'
import { suggest } from '../errors.ts'
import { type SourceStore, SqlError, type TableColumn } from '../store/source-store.ts'
import { type AnalysedSql, analyseSql, pastRefusal, readWorld, type SqlWorld, tableOf } from './sql-analysis.ts'
import type { SqlFault } from './sql-checks.ts'
import { lineAndColumn } from './sql-edits.ts'
import { timeColumnProblem } from './sql-shadow.ts'
import { aloneFor, bodyFor, type RowReference, rowStatement, setStatement } from './sql-statement.ts'
import { castHint, fitsType, inferType } from './sql-values.ts'

export interface SqlDefinition {
  readonly feature: Feature
  readonly entity: Entity
  /** In the order of `feature.columns`. `index`: place among the columns of the user's statement. */
  readonly columns: readonly { readonly name: string | null; readonly type: ValueType; readonly sqlType: string; readonly index: number }[]
  /** Declared sources it reads. */
  readonly sources: readonly Source[]
  /** Tables and views it reads that no source declares. */
  readonly undeclared: readonly string[]
  /** Null when it can be computed as of any time; else why not. */
  readonly past: string | null
  /** Over the row list; null with the engine's reason when it takes the statement only row by row. */
  readonly set: { readonly text: string; readonly refusal: null } | { readonly text: null; readonly refusal: string }
  readonly row: RowSql
  readonly alwaysOneRow: boolean
}

/** A statement for one row and what its `$1`, `$2`, … stand for. */
export interface RowSql {
  readonly text: string
  readonly parameters: readonly RowParameter[]
}

export type RowParameter =
  | { readonly kind: 'asOf' }
  | { readonly kind: 'key'; readonly index: number }
  | { readonly kind: 'input'; readonly name: string }

export interface SqlDefinitions {
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  readonly registry: Registry
  get(feature: string): SqlDefinition | undefined
}

/** SQL types of key columns, the same in both engines. */
const KEY_SQL: Readonly<Record<KeyType, string>> = { string: 'VARCHAR', int: 'BIGINT', uuid: 'UUID' }
const INPUT_SQL: Readonly<Record<ValueType, string>> = {
  ...{
    int: 'BIGINT',
    float: 'DOUBLE PRECISION',
    string: 'VARCHAR',
    bool: 'BOOLEAN',
    timestamp: 'TIMESTAMPTZ',
    list: 'JSON',
    dict: 'JSON',
    json: 'JSON',
  },
}

/** @throws SqlError unavailable when the engine cannot be reached. What is wrong with the definitions is in `problems`. */
export async function createSqlDefinitions(registry: Registry, store: SourceStore): Promise<SqlDefinitions> {
  const world = await readWorld(store, registry.sources)
  const problems = [...registry.sources.values()].flatMap((source) => checkSource(source, world))
  const warnings: Problem[] = []
  const definitions = new Map<string, SqlDefinition>()
  for (const feature of registry.features.values()) {
    const entity = registry.entities.get(feature.entity)
    if (feature.computation.kind !== 'sql' || !entity) continue
    const checked = await checkFeature({ feature, entity, store, world })
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
  readonly store: SourceStore
  readonly world: SqlWorld
}

async function checkFeature(checking: Checking): Promise<SqlDefinition | SqlFault[]> {
  const { feature, store, world } = checking
  try {
    const sql = await analyseSql(sqlTextOf(feature, world.dialect), store, world)
    const faults = [...sql.faults, ...unknownParameters(sql, checking)]
    if (faults.length > 0) return faults
    const natural = await prepareAlone(sql, checking)
    const columns = matchColumns(feature, natural)
    return 'faults' in columns ? columns.faults : await compile(sql, checking, columns.columns, natural)
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return [{ message: sentence(error.message), hint: 'Mend the SQL.', at: error.position }]
  }
}

/** The statement without anything of ours: what does not bind here is the user's mistake, and its place is a place of the user's text. */
async function prepareAlone(sql: AnalysedSql, checking: Checking): Promise<readonly TableColumn[]> {
  const alone = aloneFor(sql, (written) => `CAST(NULL AS ${parameterType(written, checking) ?? 'VARCHAR'})`)
  try {
    return (await checking.store.prepare(alone.text)).columns
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    throw new SqlError(error.kind, error.message, error.position === null ? null : alone.originOf(error.position), error)
  }
}

async function compile(
  sql: AnalysedSql,
  checking: Checking,
  columns: SqlDefinition['columns'],
  natural: readonly TableColumn[],
): Promise<SqlDefinition | SqlFault[]> {
  const { feature, entity, store } = checking
  const fault = await checkRewritten(sql, checking, natural)
  if (fault) return [fault]
  const setText = setStatement(bodyFor(sql, sql.shadows, lateralRow(checking)).text)
  const refusal =
    Object.keys(feature.inputs).length > 0 ? 'inputs differ from row to row' : await refusalOf(store, setPrelude(entity) + setText)
  return {
    feature,
    entity,
    columns,
    sources: [...new Set(sql.shadows.map((shadow) => shadow.source))],
    undeclared: [...new Set(sql.undeclared.map(({ table }) => table.name))],
    past: pastRefusal(sql),
    set: refusal === null ? { text: setText, refusal } : { text: null, refusal },
    row: rowSqlOf(sql, checking),
    alwaysOneRow: sql.tree.alwaysOneRow,
  }
}

/** The shadowed statement must mean what the user's does: the same columns of the same types. */
async function checkRewritten(sql: AnalysedSql, checking: Checking, natural: readonly TableColumn[]): Promise<SqlFault | null> {
  const nulls: RowReference = {
    asOf: 'CAST(NULL AS TIMESTAMPTZ)',
    parameter: (written) => `CAST(NULL AS ${parameterType(written, checking) ?? 'VARCHAR'})`,
  }
  const body = bodyFor(sql, sql.shadows, nulls)
  try {
    const { columns } = await checking.store.prepare(body.text)
    const changed = columns.find((column, i) => column.type !== natural[i]?.type)
    if (!changed && columns.length === natural.length) return null
    const hint = 'Cast the column to the type it should have.'
    return {
      message: `"${changed?.name ?? ''}" would change its type to ${changed?.type ?? 'another'} when held back in time.`,
      hint,
      at: null,
    }
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    const hint = 'Sources are read through a query that hides later rows: name their columns, and not rowid or the table itself.'
    return {
      message: `It cannot be held back in time: ${sentence(error.message)}`,
      hint,
      at: error.position === null ? null : body.originOf(error.position),
    }
  }
}

async function refusalOf(store: SourceStore, text: string): Promise<string | null> {
  try {
    await store.prepare(text)
    return null
  } catch (error) {
    if (!(error instanceof SqlError) || error.kind === 'unavailable') throw error
    return sentence(error.message)
  }
}

/** Stands for the row list while a statement is only prepared. */
function setPrelude(entity: Entity): string {
  const keys = entity.key.map((column, i) => `CAST(NULL AS ${KEY_SQL[column.type]}) AS __fabra_k${i}`)
  return `WITH __fabra_row AS (SELECT CAST(0 AS BIGINT) AS __fabra_ord, ${keys.join(', ')}, CAST(NULL AS TIMESTAMPTZ) AS __fabra_as_of)\n`
}

function lateralRow(checking: Checking): RowReference {
  return {
    asOf: '__fabra_row.__fabra_as_of',
    parameter: (written) => `__fabra_row.__fabra_k${keyIndex(written, checking.entity)}`,
  }
}

/** Placeholders are numbered as they come to stand in the text: an engine refuses to be given one that it does not meet. */
function rowSqlOf(sql: AnalysedSql, checking: Checking): RowSql {
  const { entity, feature } = checking
  const row: RowReference = {
    asOf: 'CAST(__fabra_asof_ AS TIMESTAMPTZ)',
    parameter(written) {
      const index = keyIndex(written, entity)
      const type = parameterType(written, checking) ?? 'VARCHAR'
      return `CAST(${index === -1 ? `__fabra_input_${inputName(written, feature)}` : `__fabra_key_${index}`} AS ${type})`
    },
  }
  const parameters = new Map<string, RowParameter>()
  const text = rowStatement(bodyFor(sql, sql.shadows, row).text).replace(
    /__fabra_(asof|input|key)_(\w*)/g,
    (mark, kind: string, name: string) => {
      if (kind === 'asof') parameters.set(mark, { kind: 'asOf' })
      else parameters.set(mark, kind === 'key' ? { kind: 'key', index: Number(name) } : { kind: 'input', name })
      return `$${[...parameters.keys()].indexOf(mark) + 1}`
    },
  )
  return { text, parameters: [...parameters.values()] }
}

function keyIndex(written: string, entity: Entity): number {
  return entity.key.findIndex((column) => column.name.toLowerCase() === written.slice(1).toLowerCase())
}

function inputName(written: string, feature: Feature): string | undefined {
  return Object.keys(feature.inputs).find((name) => name.toLowerCase() === written.slice(1).toLowerCase())
}

/** SQL type of `$name`; undefined when the feature has no such parameter. */
function parameterType(written: string, { entity, feature }: Checking): string | undefined {
  const column = entity.key[keyIndex(written, entity)]
  if (column) return KEY_SQL[column.type]
  const type = feature.inputs[inputName(written, feature) ?? '']
  return type && INPUT_SQL[type]
}

function unknownParameters(sql: AnalysedSql, checking: Checking): SqlFault[] {
  const names = [...checking.entity.key.map((column) => column.name), ...Object.keys(checking.feature.inputs)].map((name) => `$${name}`)
  const unknown = sql.tokens.filter((token) => token.kind === 'parameter' && parameterType(token.text, checking) === undefined)
  return unknown.map((token) => {
    const message = `The parameter ${token.text} is no key column of ${checking.entity.name}.`
    return { message, hint: /^\$[a-z_]/i.test(token.text) ? suggest(token.text, names) : `Write ${names.join(', ')}.`, at: token.start }
  })
}

function matchColumns(feature: Feature, found: readonly TableColumn[]): { columns: SqlDefinition['columns'] } | { faults: SqlFault[] } {
  const faults: SqlFault[] = []
  const fail = (message: string, hint: string) => faults.push({ message, hint, at: null })
  const names = found.map((column) => column.name)
  const single = feature.columns.length === 1 && feature.columns[0]?.name === null
  if (single && found.length !== 1) {
    const hint = `Select one column, or declare columns: { ${names.map((name) => `${name}: "${inferType(found.find((c) => c.name === name)?.type ?? '') ?? 'string'}"`).join(', ')} }.`
    fail(`It gives ${found.length} columns (${names.join(', ')}), but the feature has one value.`, hint)
  }
  const columns = feature.columns.map((declared) => {
    const wanted = (name: string) => declared.name === null || name.toLowerCase() === declared.name.toLowerCase()
    const index = found.findIndex((column) => wanted(column.name))
    const column = found[index]
    if (!column) fail(`It gives no column "${declared.name}".`, suggest(declared.name ?? '', names))
    const sqlType = column?.type ?? ''
    const type = declared.type ?? inferType(sqlType)
    if (column && (type === null || !fitsType(type, sqlType))) {
      const subject = declared.name === null ? 'Its value' : `"${declared.name}"`
      fail(
        `${subject} is ${sqlType}${type === null ? ', which JSON has no form for' : `, not ${type}`}.`,
        castHint(type ?? 'string', sqlType),
      )
    }
    if (declared.name !== null && found.filter((other) => wanted(other.name)).length > 1)
      fail(`It gives "${declared.name}" twice.`, 'Give each column its own name with AS.')
    return { name: declared.name, type: type ?? 'json', sqlType, index }
  })
  for (const name of single ? [] : names) {
    const known = feature.columns.some((declared) => declared.name?.toLowerCase() === name.toLowerCase())
    if (!known)
      fail(
        `It gives a column "${name}" that is not declared.`,
        `Add it to columns, or select only ${feature.columns.map((c) => c.name).join(', ')}.`,
      )
  }
  return faults.length > 0 ? { faults } : { columns }
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
    return [{ place: source.place, subject, message: `There is no table "${source.name}".`, hint }]
  }
  const problem = timeColumnProblem(source, table)
  return problem ? [{ place: source.place, subject, ...problem }] : []
}

function warningsOf(definition: SqlDefinition): Problem[] {
  if (definition.past === null) return []
  const message = `It is served, but not for training: ${definition.past}`
  return [
    {
      place: definition.feature.place,
      subject: `feature "${definition.feature.name}"`,
      message,
      hint: 'See "sources" in the documentation.',
    },
  ]
}

function asProblem(feature: Feature, world: SqlWorld, fault: SqlFault): Problem {
  const text = sqlTextOf(feature, world.dialect)
  const at = fault.at === null ? '' : placeIn(text, fault.at)
  return { place: feature.place, subject: `feature "${feature.name}"`, message: fault.message + at, hint: fault.hint }
}

function placeIn(text: string, position: number): string {
  const { line, column } = lineAndColumn(text, position)
  const shown = (text.split('\n')[line - 1] ?? '').trim()
  return ` (line ${line}, column ${column} of its SQL: ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown})`
}

function sqlTextOf(feature: Feature, dialect: SourceStore['dialect']): string {
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

/** An engine's message as one sentence: its advice and its copy of the text are dropped. */
function sentence(message: string): string {
  const [first = message] = message.replace(/^[A-Z][\w ]+ Error: /, '').split('\n\nLINE ')
  const line = first
    .split('\n')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .join(' ')
  return /[.!?]$/.test(line) ? line : `${line}.`
}
