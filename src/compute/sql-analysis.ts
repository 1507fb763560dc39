import type { Source } from '../definition/model.ts'
import { suggest } from '../errors.ts'
import type { SourceStore, Table } from '../store/source-store.ts'
import { catalogueOf, checkText, type SqlFault } from './sql-checks.ts'
import { tokenize } from './sql-lexer.ts'
import { type ParsedSql, type Shadow, withoutSemicolon } from './sql-statement.ts'
import { asList, asObject, readTree, type TableRef } from './sql-tree.ts'

/** What there is to read, taken once when definitions are loaded. */
export interface SqlWorld {
  readonly dialect: SourceStore['dialect']
  readonly sources: ReadonlyMap<string, Source>
  readonly tables: readonly Table[]
}

export interface AnalysedSql extends ParsedSql {
  readonly shadows: readonly Shadow[]
  /** Tables and views that no source declares. */
  readonly undeclared: readonly { readonly ref: TableRef; readonly table: Table }[]
  readonly faults: readonly SqlFault[]
}

const DEFAULT_SCHEMA = { duckdb: 'main', postgres: 'public' } as const

export async function readWorld(store: SourceStore, sources: ReadonlyMap<string, Source>): Promise<SqlWorld> {
  return { dialect: store.dialect, sources, tables: await store.tables() }
}

/**
 * Reads one user's SELECT. What is wrong with it is in `faults`, all at once.
 * @throws SqlError syntax, with the place in the text.
 */
export async function analyseSql(written: string, store: SourceStore, world: SqlWorld): Promise<AnalysedSql> {
  const text = withoutSemicolon(written)
  const tokens = tokenize(text)
  const statements = asList(asObject(await store.parse(text))?.['statements'])
  const tree = readTree(text, asObject(statements[0])?.['node'])
  const sql: ParsedSql = { text, tokens, tree }
  if (statements.length !== 1) return { ...sql, shadows: [], undeclared: [], faults: [countFault(text, statements.length)] }
  const { shadows, undeclared, faults } = resolveTables(sql, world)
  const functions = catalogueOf(await store.functions(tree.functions.map((ref) => ref.name)))
  return { ...sql, shadows, undeclared, faults: [...reservedNames(sql), ...checkText(sql, functions), ...faults] }
}

/** The table of a source, as the engine has it. */
export function tableOf(source: Source, world: SqlWorld): Table | undefined {
  const { schema, name } = splitName(source.name)
  return findTable(world, schema, name)
}

/** Why it cannot be computed for the past; null when it can. */
export function pastRefusal(sql: AnalysedSql): string | null {
  const [stranger] = sql.undeclared
  if (stranger) {
    const what = stranger.table.kind === 'view' ? 'view' : 'table'
    return `it reads the ${what} "${stranger.table.name}", which no source declares: its rows have no known time. Declare it with a timestamp, or as static.`
  }
  const timeless = sql.shadows.find(({ source }) => source.timestamp === null && !source.static)
  return timeless ? `its source "${timeless.source.name}" has no timestamp. Declare one, or declare the source static.` : null
}

function resolveTables(sql: ParsedSql, world: SqlWorld): Pick<AnalysedSql, 'shadows' | 'undeclared' | 'faults'> {
  const shadows: Shadow[] = []
  const undeclared: { ref: TableRef; table: Table }[] = []
  const faults: SqlFault[] = []
  for (const ref of sql.tree.tables) {
    const source = findSource(world, ref)
    const table = findTable(world, ref.schema, ref.name)
    if (source && table) shadows.push({ ref, source, table, dialect: world.dialect })
    else if (source)
      faults.push({ message: `The source "${source.name}" could not be loaded.`, hint: 'Mend the source first.', at: ref.at })
    else if (table) undeclared.push({ ref, table })
    else faults.push(unknownTable(ref, world))
  }
  return { shadows, undeclared, faults }
}

function findSource(world: SqlWorld, ref: TableRef): Source | undefined {
  for (const source of world.sources.values()) {
    const named = splitName(source.name)
    const schema = named.schema === '' ? DEFAULT_SCHEMA[world.dialect] : named.schema
    const wanted = ref.schema === '' ? DEFAULT_SCHEMA[world.dialect] : ref.schema
    if (same(named.name, ref.name) && same(schema, wanted)) return source
  }
  return undefined
}

function findTable(world: SqlWorld, schema: string, name: string): Table | undefined {
  const wanted = schema === '' ? DEFAULT_SCHEMA[world.dialect] : schema
  return (
    world.tables.find((table) => table.name === name && same(table.schema, wanted)) ??
    world.tables.find((table) => same(table.name, name) && same(table.schema, wanted))
  )
}

function unknownTable(ref: TableRef, world: SqlWorld): SqlFault {
  const written = ref.schema === '' ? ref.name : `${ref.schema}.${ref.name}`
  const main = DEFAULT_SCHEMA[world.dialect]
  const known = new Set([
    ...world.sources.keys(),
    ...world.tables.map((table) => (table.schema === main ? table.name : `${table.schema}.${table.name}`)),
  ])
  if (/[./\\]/.test(ref.name)) {
    const hint = `Declare it: source("name", { timestamp: …, file: ${JSON.stringify(ref.name)} }), and read it by that name.`
    return { message: `A feature cannot read the file ${JSON.stringify(ref.name)} itself.`, hint, at: ref.at }
  }
  return { message: `There is no table "${written}".`, hint: suggest(written, [...known]), at: ref.at }
}

function countFault(text: string, count: number): SqlFault {
  if (count === 0) return { message: 'The SQL is empty.', hint: 'Write one SELECT.', at: null }
  const tokens = tokenize(text)
  const at = tokens.find((token) => token.text === ';')?.start ?? null
  return { message: `The SQL holds ${count} statements.`, hint: 'A feature is one SELECT.', at }
}

/** Names of ours in a text of theirs could bind to what they should not see, however they are written. */
function reservedNames(sql: ParsedSql): SqlFault[] {
  const hint = "Names that start with __fabra_ are Fabra's own."
  const token = sql.tokens.find((candidate) => /__fabra_/i.test(candidate.text))
  if (token) return [{ message: `The SQL uses "${token.text.slice(0, 60)}".`, hint, at: token.start }]
  const hidden = /__fabra_/i.test(JSON.stringify(sql.tree.root))
  return hidden ? [{ message: 'The SQL uses a name with __fabra_ in it.', hint, at: null }] : []
}

function splitName(name: string): { readonly schema: string; readonly name: string } {
  const dot = name.indexOf('.')
  return dot === -1 ? { schema: '', name } : { schema: name.slice(0, dot), name: name.slice(dot + 1) }
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
