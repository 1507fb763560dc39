import type { Source } from '../../../definition/model.ts'
import { suggest } from '../../../errors.ts'
import type { SourceEngine, Table } from '../../../store/ports/source-engine.ts'
import { readTree } from '../duckdb/tree-reader.ts'
import { guardTimeCasts } from '../postgres/time-casts.ts'
import { readPostgresTree } from '../postgres/tree-reader.ts'
import { nameSubqueries } from '../postgres/unnamed-subqueries.ts'
import { applyEdits } from './edits.ts'
import { catalogueOf, checkText, type FunctionCatalogue, type SqlFault } from './forbidden.ts'
import { type Token, tokenize } from './lexer.ts'
import { asList, asObject, type TableRef } from './sql-tree.ts'
import { type ParsedSql, type Shadow, withoutSemicolon } from './statement.ts'
import { plainText } from './text.ts'

/** What there is to read, taken once when definitions are loaded. */
export interface SqlWorld {
  readonly dialect: SourceEngine['dialect']
  readonly sources: ReadonlyMap<string, Source>
  readonly tables: readonly Table[]
}

/** Whose text it is: a client's reads declared sources only. */
export type SqlOwner = 'definition' | 'client'

export interface AnalysedSql extends ParsedSql {
  readonly owner: SqlOwner
  /** Things that become a time: texts, which lose the words that mean the present, and what is a time already (PostgreSQL). */
  readonly casts: { readonly guarded: number; readonly times: number }
  readonly shadows: readonly Shadow[]
  /** Tables and views that no source declares. */
  readonly undeclared: readonly { readonly ref: TableRef; readonly table: Table }[]
  readonly faults: readonly SqlFault[]
}

export async function readWorld(store: SourceEngine, sources: ReadonlyMap<string, Source>): Promise<SqlWorld> {
  return { dialect: store.dialect, sources, tables: await store.tables() }
}

/**
 * Reads one user's SELECT. What is wrong with it is in `faults`, all at once.
 * @throws SqlError syntax, with the place in the text.
 */
export async function analyseSql(
  written: string,
  store: SourceEngine,
  world: SqlWorld,
  owner: SqlOwner = 'definition',
): Promise<AnalysedSql> {
  const plain = plainText(written, store.dialect)
  if (plain.text === null) return { ...NOTHING, owner, text: written, faults: [plain.fault] }
  const text = withoutSemicolon(plain.text)
  const { sql, count } = await (store.dialect === 'postgres' ? parsePostgres : parseDuckdb)(text, store)
  if (count !== 1) return { ...sql, owner, shadows: [], undeclared: [], casts: NO_CASTS, faults: [countFault(text, count)] }
  const { shadows, undeclared, faults } = owner === 'client' ? resolveForClient(sql, world) : resolveTables(sql, world)
  const { tree } = sql
  const called = [...tree.functions.map((ref) => ref.name), ...tree.operators, ...tree.attributes]
  const functions = catalogueOf(await store.functions(called))
  const found = [...reservedNames(sql), ...checkText(sql, functions), ...hiddenCalls(sql, functions, world), ...faults]
  const guards = found.length === 0 ? await guardTimeCasts(sql, store) : NO_GUARDS
  if (guards === null) found.push(CAST_FAULT)
  const { edits, guarded, times } = guards ?? NO_GUARDS
  return { ...sql, owner, bridges: [...sql.bridges, ...edits], casts: { guarded, times }, shadows, undeclared, faults: found }
}

const NO_CASTS = { guarded: 0, times: 0 }
const NO_GUARDS = { edits: [], ...NO_CASTS }
/** Of a text that cannot be read at all. */
const NOTHING = {
  tokens: [],
  tree: {
    ...{ tables: [], functions: [], columns: [], timeWords: [], operators: [], attributes: [], timeCasts: [], refused: [] },
    ...{ unnamedCount: 0, alwaysOneRow: false, root: {} },
  },
  bridges: [],
  parameterNames: new Map<string, string>(),
  casts: NO_CASTS,
  shadows: [],
  undeclared: [],
}

const CAST_FAULT: SqlFault = {
  message: 'A text becomes a time in a way that cannot be held back in time.',
  hint: 'Write it as CAST(… AS TIMESTAMPTZ), one at a time.',
  at: null,
}

interface Parsed {
  readonly sql: ParsedSql
  readonly count: number
}

async function parseDuckdb(text: string, store: SourceEngine): Promise<Parsed> {
  const statements = asList(asObject(await store.parse(text))?.['statements'])
  const tree = readTree(text, asObject(statements[0])?.['node'])
  const tokens = tokenize(text)
  const parameterNames = new Map(parametersIn(tokens).map((written) => [written, written.slice(1)]))
  return { sql: { text, tokens, tree, bridges: [], parameterNames }, count: statements.length }
}

/** Distinct, in lower case. */
function parametersIn(tokens: readonly Token[]): string[] {
  return [...new Set(tokens.filter((token) => token.kind === 'parameter').map((token) => token.text.toLowerCase()))]
}

/** Its grammar knows no `$name`, so the parser is shown numbers and blanks of the same length. A lone `?` is always an operator of jsonb. */
async function parsePostgres(text: string, store: SourceEngine): Promise<Parsed> {
  const tokens = tokenize(text).map((token): Token => (token.text === '?' ? { ...token, kind: 'symbol' } : token))
  const named = tokens.filter((token) => token.kind === 'parameter')
  const parameterNames = new Map(parametersIn(tokens).map((written, i) => [written, numberFor(written, i)]))
  const shown = applyEdits(
    text,
    named.map(({ start, end, text: written }) => ({
      start,
      end,
      text: `$${parameterNames.get(written.toLowerCase()) ?? 1}`.padEnd(end - start),
    })),
  ).text
  const statements = asList(asObject(await store.parse(shown))?.['stmts'])
  const tree = readPostgresTree(shown, asObject(statements[0])?.['stmt'])
  const bridges = nameSubqueries(tokens, tree.unnamedCount)
  return { sql: { text, tokens, tree, bridges, parameterNames }, count: statements.length }
}

/** Its own number where it has one; of names the next one, as long as it takes no more room than the name. */
function numberFor(written: string, index: number): string {
  if (/^\$\d/.test(written)) return written.slice(1)
  const number = String(index + 1)
  return number.length < written.length ? number : '1'
}

/** Functions of DuckDB that are called without parentheses, where there is no column of the name. */
const SESSION_WORD = /^(?:current_(?:catalog|database|role|schema|user)|session_user)$/i

/** Users' functions behind an operator, or read as a column of a row (`t.f` is `f(t)`). */
function hiddenCalls({ tree }: ParsedSql, functions: FunctionCatalogue, world: SqlWorld): SqlFault[] {
  const own = (name: string) => functions.get(name)?.some((entry) => !entry.builtIn) ?? false
  const isColumn = (name: string) => world.tables.some((table) => table.columns.some((column) => same(column.name, name)))
  const operators = tree.operators.filter(own).map((name) => `The operator ${name}`)
  const attributes = tree.attributes.filter((name) => own(name) && !isColumn(name)).map((name) => `.${name}`)
  const session = tree.columns.filter(({ names: [only = '', ...more] }) => more.length === 0 && SESSION_WORD.test(only) && !isColumn(only))
  return [
    ...session.map(({ names, at }) => {
      const message = `${names.join('.')} depends on who runs the query.`
      return { message, hint: 'A feature depends on its key, its time and its sources only.', at }
    }),
    ...[...operators, ...attributes].map((what) => {
      const message = `${what} is a function of the database's own: it could read anything.`
      return { message, hint: 'Write out what it does.', at: null }
    }),
  ]
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
    const table = world.dialect === 'postgres' ? exactTable(world, ref) : findTable(world, ref.schema, ref.name)
    const source = table ? sourceOf(world, table) : findSource(world, ref)
    if (source && table) shadows.push({ ref, source, table, dialect: world.dialect })
    else if (source)
      faults.push({ message: `The source "${source.name}" could not be loaded.`, hint: 'Mend the source first.', at: ref.at })
    else if (table) undeclared.push({ ref, table })
    else faults.push(unknownTable(ref, world))
  }
  return { shadows, undeclared, faults }
}

/** To a client only what is declared is there. */
function resolveForClient(sql: ParsedSql, world: SqlWorld): Pick<AnalysedSql, 'shadows' | 'undeclared' | 'faults'> {
  const { shadows, undeclared, faults } = resolveTables(sql, world)
  const undeclaredRefs = [...undeclared.map(({ ref }) => ref), ...sql.tree.tables.filter((ref) => faults.some(({ at }) => at === ref.at))]
  const clientFaults = undeclaredRefs.map((ref) => ({
    message: `No source is called "${ref.schema === '' ? ref.name : `${ref.schema}.${ref.name}`}".`,
    hint: `Declare it in the definitions to read it. ${suggest(ref.name, [...world.sources.keys()])}`,
    at: ref.at,
  }))
  return { shadows, undeclared: [], faults: clientFaults }
}

/** The source that declares the table, whatever either is called by. */
function sourceOf(world: SqlWorld, table: Table): Source | undefined {
  return [...world.sources.values()].find((source) => tableOf(source, world) === table)
}

/** The source by its name, where there is no table to tell. */
function findSource(world: SqlWorld, ref: TableRef): Source | undefined {
  return [...world.sources.values()].find((source) => {
    const { schema, name } = splitName(source.name)
    return same(name, ref.name) && same(schema, ref.schema)
  })
}

function findTable(world: SqlWorld, schema: string, name: string): Table | undefined {
  const there = world.tables.filter((table) => (schema === '' ? table.isOnPath : same(table.schema, schema)))
  return there.find((table) => table.name === name) ?? there.find((table) => same(table.name, name))
}

/** PostgreSQL's parser has made names lower case that are so without quotes. */
function exactTable(world: SqlWorld, { schema, name }: TableRef): Table | undefined {
  return world.tables.find((table) => table.name === name && (schema === '' ? table.isOnPath : table.schema === schema))
}

function unknownTable(ref: TableRef, world: SqlWorld): SqlFault {
  const written = ref.schema === '' ? ref.name : `${ref.schema}.${ref.name}`
  const known = new Set([
    ...world.sources.keys(),
    ...world.tables.map((table) => (table.isOnPath ? table.name : `${table.schema}.${table.name}`)),
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
