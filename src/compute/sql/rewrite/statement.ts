/**
 * The rewrite: one user's SELECT becomes the body of a computation that sees the world from a row's as-of time. Only three kinds of places change:
 * references to declared sources, the present, and parameters. Everything else of the text stays byte by byte, so an engine's error points into it.
 * All that Fabra adds is named `__fabra_…`, which users' texts may not hold: nothing of theirs can bind to ours by accident.
 */
import { applyEdits, type Edit, type Edited } from './edits.ts'
import { identifierOf, isSymbol, isWord, quoteName, type Token, tokenize } from './lexer.ts'
import { isAgeFromToday, isBarePresent, presentFunction } from './now-functions.ts'
import type { SqlTree, TableRef } from './sql-tree.ts'
import { type Shadowed, shadowOf } from './visibility.ts'

/** How a body speaks of the row it is computed for: columns of the row list, or bound parameters. */
export interface RowReference {
  /** SQL of type TIMESTAMPTZ. */
  readonly asOf: string
  /** SQL of a parameter as written (`$user_id`, `$1`, `?`); `index` counts the parameters of the text from 0. */
  parameter(written: string, index: number): string
}

export interface ParsedSql {
  /** Without the closing semicolon. */
  readonly text: string
  readonly tokens: readonly Token[]
  readonly tree: SqlTree
  /** What the engine's dialect needs, wherever the text is used. */
  readonly bridges: readonly Edit[]
  /** What the tree calls the parameters, by their texts in lower case. */
  readonly parameterNames: ReadonlyMap<string, string>
}

/** Table references that are to be shadowed: where declared sources are read. */
export interface Shadow extends Shadowed {
  readonly ref: TableRef
}

/** Cuts the semicolons at the end; what follows a semicolon in the middle is a second statement, which the parser reports. */
export function withoutSemicolon(text: string): string {
  const tokens = tokenize(text)
  let last = tokens.length
  while (last > 0 && isSymbol(tokens[last - 1], ';')) last--
  return text.slice(0, tokens[last - 1]?.end ?? 0)
}

/** The name of the table that holds what is visible of a source, where one stands in for it. */
export type CopyOf = (shadow: Shadow) => string | null

export interface BodyOptions {
  /** More to put into it, where nothing else is changed. */
  readonly added?: readonly Edit[]
  readonly copyOf?: CopyOf | undefined
}

/** The user's statement for one row. */
export function bodyFor(sql: ParsedSql, shadows: readonly Shadow[], row: RowReference, options: BodyOptions = {}): Edited {
  const edits = [
    ...(options.added ?? []),
    ...shadows.flatMap((shadow) => shadowEdits(sql, shadow, visiblePart(shadow, row.asOf, options.copyOf))),
    ...qualifiedColumnEdits(sql, shadows),
    ...presentEdits(sql, row.asOf),
    ...parameterEdits(sql, row),
    ...timeWordEdits(sql),
    ...sql.bridges,
  ]
  return applyEdits(sql.text, edits)
}

/** The user's statement with its parameters alone: no shadows, the engine's own present. What does not bind so is the user's mistake. */
export function aloneFor(sql: ParsedSql, parameter: RowReference['parameter']): Edited {
  return applyEdits(sql.text, [...parameterEdits(sql, { asOf: '', parameter }), ...sql.bridges])
}

/** Every row of the list against the body: a row without a hit is missing, one with two is an error. The line break ends a comment of the user's. */
export function setStatement(body: string): string {
  return (
    'SELECT __fabra_row.__fabra_ord, __fabra_answer.*\nFROM __fabra_row JOIN LATERAL (\n' +
    `SELECT 1 AS __fabra_hit, __fabra_body.* FROM (\n${body}\n) AS __fabra_body\n) AS __fabra_answer ON TRUE`
  )
}

/** One row's body: two rows are enough to know that there is more than one. */
export function rowStatement(body: string): string {
  return `SELECT 1 AS __fabra_hit, __fabra_body.* FROM (\n${body}\n) AS __fabra_body\nLIMIT 2`
}

/** The table with its schema, so that it is the one that was looked up, whatever the session would find by its name. */
export function physicalName({ ref, table }: Shadow): string {
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`
  return ref.catalog === '' ? name : `${quoteName(ref.catalog)}.${name}`
}

/** A derived table of the rows that are visible. */
export function visiblePart(shadow: Shadow, asOf: string, copyOf: CopyOf | undefined): string {
  const copy = copyOf?.(shadow) ?? null
  return copy === null ? shadowOf(shadow, physicalName(shadow), asOf) : `(SELECT * FROM ${copy})`
}

function shadowEdits(sql: ParsedSql, { ref }: Shadow, shadow: string): Edit[] {
  const name = nameAt(sql.tokens, ref.at)
  if (!name) return []
  const alias = ref.alias === '' ? ` AS ${quoteName(ref.name)}` : ''
  const keyword = isWord(sql.tokens[name.first - 1], 'table') ? sql.tokens[name.first - 1] : undefined
  if (keyword) return [{ start: keyword.start, end: name.end, text: `SELECT * FROM ${shadow}${alias}` }]
  return [{ start: name.start, end: name.end, text: shadow + alias }]
}

/** `main.transactions.amount` would not find the derived table: its schema goes. */
function qualifiedColumnEdits(sql: ParsedSql, shadows: readonly Shadow[]): Edit[] {
  const edits: Edit[] = []
  for (const column of sql.tree.columns) {
    if (column.at === null || column.names.length < 3) continue
    const [first, second, third] = column.names.map((name) => name.toLowerCase())
    const shadow = shadows.find(({ ref, table }) => {
      if (ref.alias !== '') return false
      const [catalog, schema, name] = [ref.catalog, ref.schema || table.schema, ref.name].map((part) => part.toLowerCase())
      return (schema === first && name === second) || (catalog === first && schema === second && name === third && column.names.length > 3)
    })
    const location = shadow && nameAt(sql.tokens, column.at)
    if (!location) continue
    const parts = shadow.ref.name.toLowerCase() === second ? 2 : 3
    const end = sql.tokens[location.first + (parts - 1) * 2]?.end ?? location.end
    edits.push({ start: location.start, end, text: quoteName(shadow.ref.name) })
  }
  return edits
}

function presentEdits(sql: ParsedSql, asOf: string): Edit[] {
  const edits: Edit[] = []
  for (const ref of sql.tree.functions) {
    if (ref.at === null) continue
    const present = ref.argumentCount === 0 ? presentFunction(ref.name) : undefined
    const name = nameAt(sql.tokens, ref.at)
    const open = name ? sql.tokens[name.last + 1] : undefined
    if (!name || !isSymbol(open, '(')) continue
    const close = sql.tokens[name.last + 2]
    if (present && close && isSymbol(close, ')')) edits.push({ start: name.start, end: close.end, text: present(asOf) })
    if (isAgeFromToday(ref)) edits.push({ start: open?.end ?? 0, end: open?.end ?? 0, text: `CAST(${asOf} AS DATE), ` })
  }
  for (const column of sql.tree.columns) {
    const [only] = column.names
    if (column.at === null || column.names.length !== 1 || only === undefined || !isBarePresent(only)) continue
    const name = nameAt(sql.tokens, column.at)
    const present = presentFunction(only.toLowerCase())
    if (name && present && sql.tokens[name.first]?.kind === 'word') edits.push({ start: name.start, end: name.end, text: present(asOf) })
  }
  return edits
}

/** Beside a time, a bare 'now' would become the present (in PostgreSQL). As a declared text it is a text, or does not bind. */
function timeWordEdits(sql: ParsedSql): Edit[] {
  const words = sql.tokens.filter(
    (token) => token.kind === 'string' && sql.tree.timeWords.some((word) => !word.cast && word.at === token.start),
  )
  return words.map((token) => ({ start: token.start, end: token.end, text: `CAST(${token.text} AS VARCHAR)` }))
}

function parameterEdits(sql: ParsedSql, row: RowReference): Edit[] {
  const parameters = sql.tokens.filter((token) => token.kind === 'parameter')
  return parameters.map((token, index) => ({ start: token.start, end: token.end, text: row.parameter(token.text, index) }))
}

export interface NameSpan {
  readonly start: number
  readonly end: number
  /** Token indexes of its first and last part. */
  readonly first: number
  readonly last: number
}

/** The possibly qualified name that starts at a character, spaces and comments between its parts included. */
export function nameAt(tokens: readonly Token[], at: number): NameSpan | null {
  const first = tokens.findIndex((token) => token.start === at)
  const head = tokens[first]
  if (!head || identifierOf(head) === null) return null
  let last = first
  while (isSymbol(tokens[last + 1], '.') && identifierOf(tokens[last + 2]) !== null) last += 2
  return { start: head.start, end: tokens[last]?.end ?? head.end, first, last }
}
