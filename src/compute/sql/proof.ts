/**
 * The proof that every text passes before it is run. The text that the rewrite has made is parsed again, by the parser of the engine that will
 * run it, and its tree is compared with what it must be: around it exactly our frame; in it shadows, each equal to the one that the source
 * calls for and made of the conditions of the visibility rule; and beside them no table, no function and no form of the present that does not
 * belong there. No place in a text is believed, and nothing that the rewrite has counted. What cannot be proved is not run.
 */
import { type SourceEngine, SqlError, type Table } from '../../store/ports/source-engine.ts'
import { remainsInDuckdb } from './duckdb/proof.ts'
import type { PlainAggregate } from './duckdb/windowed-aggregate.ts'
import { remainsInPostgres } from './postgres/proof.ts'
import type { AnalysedSql, SqlWorld } from './rewrite/analysis.ts'
import { TABLE_FUNCTIONS } from './rewrite/forbidden.ts'
import { showsOnlyVisible, visibleWhere } from './rewrite/proof-shadow.ts'
import { canonical, HOLE, type Ours, type Remains, withinFrame } from './rewrite/proof-tree.ts'
import { asList, asObject, type Json, textOf } from './rewrite/sql-tree.ts'
import { physicalName } from './rewrite/statement.ts'
import { shadowOf } from './rewrite/visibility.ts'

export interface Rewritten {
  readonly text: string
  /** Puts the user's part into the statement, as it was made. */
  readonly frame: (body: string) => string
  /** SQL of the row's as-of time. */
  readonly asOf: string
  /** SQL of what stands for a parameter of the user's text, as it was written. */
  readonly parameter: (written: string) => string
}

/** For trees in which nothing is put for anything. */
const NOTHING: Ours = { shadowOf: () => undefined, isAsOf: () => false, parameterOf: () => undefined }
const JOINED_FUNCTIONS = [
  ...['count', 'count_star', 'max', 'min', 'row_number', 'range', 'unnest', 'greatest', 'least', 'epoch_us', 'isfinite'],
  ...['+', '-', '*', '/', '//'],
]
/** Trees of our own texts, by the text. */
const MAX_KEPT = 2_000

/**
 * @returns what it says beside what is ours in it: the same of two texts that differ in nothing but that.
 * @throws SqlError binding where it cannot be proved.
 */
export async function prove(sql: AnalysedSql, rewritten: Rewritten, store: SourceEngine, world: SqlWorld): Promise<string> {
  const grammar = grammarOf(store)
  const ours = await oursOf(sql, rewritten, grammar)
  const actual = grammar.statement(await store.parse(rewritten.text))
  const frame = await grammar.own(rewritten.frame(`SELECT 1 AS "${HOLE}"`))
  const around = grammar.remains(frame, NOTHING)
  const reads = around.tables.some(({ catalog, schema, name }) => catalog !== '' || schema !== '' || name !== '__fabra_row')
  const body = withinFrame(frame, actual, grammar.isHole)
  if (reads || around.functions.size > 0 || body === undefined) throw new UnprovenSql('it is not what was to be put around it')
  const remains = grammar.remains(body, ours)
  const why = whyNot(remains, sql, world)
  if (why !== null) throw new UnprovenSql(why)
  if (remains.words.join('\0') !== wordsOf(sql, grammar).join('\0')) throw new UnprovenSql('it no longer says what it did')
  return likenessOf(remains)
}

/**
 * Several texts that read copies of what shadows show: each must say what the text that was proved with the shadows says.
 * @param copies The table that each copy shows a part of. @returns which of them do.
 */
export async function areLike(
  rewritten: Omit<Rewritten, 'text'> & { readonly texts: readonly string[]; readonly parameters: readonly string[] },
  { copies, likenesses }: { readonly copies: ReadonlyMap<string, string>; readonly likenesses: readonly string[] },
  store: SourceEngine,
): Promise<readonly boolean[]> {
  const grammar = grammarOf(store)
  const { texts, frame, asOf, parameter, parameters } = rewritten
  const trees = new Map<string, string>()
  for (const [copy, table] of copies)
    trees.set(canonical(grammar.subquery(await grammar.own(`SELECT 1 FROM (SELECT * FROM ${copy}) AS "__fabra_shadow"`))), table)
  const ours = await oursIn(trees, { asOf, parameter }, parameters, grammar)
  const hole = await grammar.own(frame(`SELECT 1 AS "${HOLE}"`))
  const parsed = asList(asObject(await store.parse(texts.join(';\n')))?.['statements'])
  return texts.map((_, i) => {
    const body = withinFrame(hole, asObject(parsed[i])?.['node'], grammar.isHole)
    if (parsed.length !== texts.length || body === undefined) return false
    const remains = grammar.remains(body, ours)
    return remains.tables.length === 0 && likenessOf(remains) === likenesses[i]
  })
}

/** In short. */
function likenessOf({ words, shows, presents, unexpected, borrowed, tables }: Remains): string {
  const text = JSON.stringify([words, shows, presents, unexpected, borrowed, tables])
  return new Bun.CryptoHasher('sha256').update(text).digest('base64')
}

/** What the user's own text says. */
function wordsOf({ tree, parameterNames }: AnalysedSql, grammar: Grammar): readonly string[] {
  const names = new Map([...parameterNames].map(([written, name]) => [name, written]))
  const parameterOf = (node: Json) => names.get(grammar.parameter(node) ?? '')
  return grammar.remains(tree.root, { ...NOTHING, parameterOf }).words
}

/** Of a plain aggregate's events as they stand in the table. */
export function proveJoined(text: string, plans: readonly PlainAggregate[], store: SourceEngine): Promise<void> {
  const functions = [...JOINED_FUNCTIONS, ...plans.flatMap((plan) => [...plan.functions])]
  return proveOwn(text, { tables: plans.map(({ shadow: { table } }) => table), functions }, store)
}

/**
 * Of a statement of our own with pieces of users' expressions in it, written by the engine. Those pieces read nothing: the only tables are the list
 * of rows and the source's.
 */
export async function proveOwn(
  text: string,
  {
    tables: known,
    functions: calls,
  }: { readonly tables: readonly Pick<Table, 'schema' | 'name'>[]; readonly functions: readonly string[] },
  store: SourceEngine,
): Promise<void> {
  const grammar = grammarOf(store)
  const { tables, functions, tableFunctions, presents, unexpected } = grammar.remains(grammar.statement(await store.parse(text)), NOTHING)
  const callable = new Set(calls)
  const isOurs = ({ catalog, schema, name }: Remains['tables'][number]) =>
    catalog === '' && ((schema === '' && name === '__fabra_row') || known.some((table) => schema === table.schema && name === table.name))
  const foreign = tables.find((table) => !isOurs(table))
  const call = [...functions].find((name) => !callable.has(name))
  const why = foreign?.name ?? call ?? [...tableFunctions][0] ?? presents[0] ?? unexpected[0]
  if (why !== undefined) throw new UnprovenSql(`${why} is in it`)
}

/** A text that is not run, because what it would read is not certain. */
export class UnprovenSql extends SqlError {
  constructor(why: string) {
    super('binding', `It is not certain that it reads only what was there at the time: ${why}. Write it in a plainer way.`, null)
  }
}

function whyNot(remains: Remains, sql: AnalysedSql, world: SqlWorld): string | null {
  const { tables, functions, tableFunctions, presents, unexpected, borrowed, timeCasts } = remains
  const [foreign] = tables.filter((table) => sql.owner === 'client' || !isUndeclared(table, world))
  if (foreign) return `it would read "${foreign.name}" itself`
  // What was not seen to be read would not be refused for the past.
  if (tables.length !== sql.undeclared.length) return 'it reads tables that were not seen'
  if (remains.shadows !== sql.shadows.length) return `${remains.shadows} of ${sql.shadows.length} sources are held back in time`
  const known = new Set(sql.tree.functions.map(({ name }) => name))
  const call = [...functions].find((name) => !known.has(name))
  if (call !== undefined) return `it would call ${call}()`
  const table = [...tableFunctions].find((name) => !TABLE_FUNCTIONS.has(name))
  if (table !== undefined) return `it would call ${table}()`
  if (presents[0] !== undefined) return `${presents[0]} would be the present of whoever runs it`
  if (unexpected[0] !== undefined) return `it holds ${unexpected[0]}`
  if (borrowed[0] !== undefined) return `it uses the name ${borrowed[0]}`
  const isGuarded = timeCasts.guarded === sql.casts.guarded && timeCasts.open <= sql.casts.times
  return isGuarded ? null : 'a text would become a time'
}

/** A table that no source declares, whichever of its name the engine takes. */
function isUndeclared(ref: Remains['tables'][number], world: SqlWorld): boolean {
  const exact = world.dialect === 'postgres'
  const same = (a: string, b: string) => (exact ? a === b : a.toLowerCase() === b.toLowerCase())
  const meant = world.tables.filter(
    ({ name, schema, isOnPath }) => same(name, ref.name) && (ref.schema === '' ? isOnPath : same(schema, ref.schema)),
  )
  const isDeclared = meant.some((table) => [...world.sources.keys()].some((source) => mayBe(source, table)))
  return meant.length > 0 && !isDeclared && ref.schema.toLowerCase() !== 'fabra'
}

function mayBe(source: string, { schema, name, isOnPath }: SqlWorld['tables'][number]): boolean {
  const [last = '', first] = source.toLowerCase().split('.').reverse()
  return last === name.toLowerCase() && (first === undefined ? isOnPath : first === schema.toLowerCase())
}

/** The shadows as they must be, each proved to show only what is visible. */
async function oursOf({ shadows, parameterNames }: AnalysedSql, { asOf, parameter }: Rewritten, grammar: Grammar): Promise<Ours> {
  const trees = new Map<string, string>()
  for (const shadow of shadows) {
    const made = grammar.subquery(await grammar.own(`SELECT 1 FROM ${shadowOf(shadow, physicalName(shadow), asOf)} AS "__fabra_shadow"`))
    const conditions = visibleWhere(shadow, asOf)
    const wanted = await grammar.own(`SELECT 1${conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''}`)
    if (!showsOnlyVisible(grammar.dialect, { shadow: made, wanted: grammar.asSubquery(wanted) }, shadow)) {
      throw new UnprovenSql(`what hides the later rows of "${shadow.source.name}" does not hide them all`)
    }
    trees.set(canonical(made), physicalName(shadow))
  }
  return oursIn(trees, { asOf, parameter }, [...parameterNames.keys()], grammar)
}

async function oursIn(
  trees: ReadonlyMap<string, string>,
  { asOf, parameter }: Pick<Rewritten, 'asOf' | 'parameter'>,
  names: readonly string[],
  grammar: Grammar,
): Promise<Ours> {
  const written = async (expression: string) => unnamed(grammar.expression(await grammar.own(`SELECT ${expression}`)))
  const time = await written(asOf)
  const parameters = new Map<string, string>()
  for (const name of names) parameters.set(await written(parameter(name)), name)
  return {
    shadowOf: (subquery) => trees.get(canonical(subquery)),
    isAsOf: (expression) => grammar.mayBeOurs(expression) && unnamed(expression) === time,
    parameterOf: (expression) => (grammar.mayBeOurs(expression) ? parameters.get(unnamed(expression)) : undefined),
  }
}

/** An expression without the name that a SELECT gives it. */
function unnamed(expression: Json): string {
  return canonical('alias' in expression ? { ...expression, alias: '' } : expression)
}

/** How to find one's way in the trees of an engine. */
interface Grammar {
  readonly dialect: SourceEngine['dialect']
  /** The tree of a text of ours, which are few. */
  own(text: string): Promise<unknown>
  /** The one statement of a parsed text. */
  statement(parsed: unknown): unknown
  /** The first subquery in FROM. */
  subquery(statement: unknown): unknown
  asSubquery(statement: unknown): unknown
  /** The first expression of a SELECT. */
  expression(statement: unknown): Json
  isHole(node: Json): boolean
  /** A quick look before the thorough one. */
  mayBeOurs(node: Json): boolean
  /** The name of a bound parameter. */
  parameter(node: Json): string | undefined
  remains(body: unknown, ours: Ours): Remains
}

const grammars = new WeakMap<SourceEngine, Grammar>()

function grammarOf(store: SourceEngine): Grammar {
  const known = grammars.get(store) ?? (store.dialect === 'duckdb' ? duckdbGrammar(store) : postgresGrammar(store))
  grammars.set(store, known)
  return known
}

function duckdbGrammar(store: SourceEngine): Grammar {
  const statement = (parsed: unknown) => only(asObject(parsed)?.['statements'])?.['node']
  return {
    dialect: 'duckdb',
    own: memoized(async (text) => statement(await store.parse(text))),
    statement,
    subquery: (node) => asObject(asObject(node)?.['from_table'])?.['subquery'],
    asSubquery: (node) => ({ node }),
    expression: (node) => asObject(asList(asObject(node)?.['select_list'])[0]) ?? {},
    isHole: (node) => asObject(asList(node['select_list'])[0])?.['alias'] === HOLE,
    mayBeOurs: (node) => node['class'] === 'CAST' || node['class'] === 'COLUMN_REF' || node['class'] === 'PARAMETER',
    parameter: (node) => (node['class'] === 'PARAMETER' ? textOf(node['identifier']).toLowerCase() : undefined),
    remains: remainsInDuckdb,
  }
}

function postgresGrammar(store: SourceEngine): Grammar {
  const statement = (parsed: unknown) => only(asObject(parsed)?.['stmts'])?.['stmt']
  const select = (node: unknown) => asObject(asObject(node)?.['SelectStmt']) ?? {}
  const target = (node: Json) => asObject(asObject(asList(node['targetList'])[0])?.['ResTarget'])
  return {
    dialect: 'postgres',
    own: memoized(async (text) => statement(await store.parse(text))),
    statement,
    subquery: (node) => asObject(asObject(asList(select(node)['fromClause'])[0])?.['RangeSubselect'])?.['subquery'],
    asSubquery: (node) => node,
    expression: (node) => asObject(target(select(node))?.['val']) ?? {},
    isHole: (node) => target(select(node))?.['name'] === HOLE,
    mayBeOurs: (node) => 'TypeCast' in node || 'ColumnRef' in node || 'ParamRef' in node,
    parameter: (node) => ('ParamRef' in node ? String(asObject(node['ParamRef'])?.['number'] ?? 0) : undefined),
    remains: remainsInPostgres,
  }
}

/** Undefined where there is not exactly one. */
function only(list: unknown): Json | undefined {
  const [first, ...more] = asList(list)
  return more.length === 0 ? asObject(first) : undefined
}

/** Keeps what is read again and again; a failure is not kept. */
function memoized(read: (text: string) => Promise<unknown>): (text: string) => Promise<unknown> {
  const kept = new Map<string, Promise<unknown>>()
  return (text) => {
    const known = kept.get(text)
    if (known) return known
    if (kept.size >= MAX_KEPT) kept.clear()
    const reading = read(text)
    kept.set(text, reading)
    reading.catch(() => kept.delete(text))
    return reading
  }
}
