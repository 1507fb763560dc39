/**
 * What one SELECT names, and where: read from the syntax tree of DuckDB's `json_serialize_sql` (PostgreSQL's: `sql-tree-postgres.ts`). The tree is an undocumented format of another
 * program, so it is walked by shape, not by schema: whatever is nested anywhere is found, and a table reference that this code does not
 * understand is reported instead of skipped.
 */
import { byteOffsets } from '../rewrite/edits.ts'
import {
  asList,
  asObject,
  type ColumnRef,
  type FunctionRef,
  isSet,
  type Json,
  type SqlTree,
  type TableRef,
  type TimeWord,
  textOf,
} from '../rewrite/sql-tree.ts'

const TIME_WORDS = new Set(['now', 'today', 'yesterday', 'tomorrow'])
const TIME_TYPE = /^(?:DATE|TIME|TIMESTAMP)/
const FROM_TYPES = new Set(['BASE_TABLE', 'SUBQUERY', 'JOIN', 'TABLE_FUNCTION', 'EXPRESSION_LIST', 'EMPTY', 'EMPTY_FROM', 'PIVOT'])
/** Locations at or beyond this are the parser's way to say "unknown". */
const NO_LOCATION = 2 ** 53

/** @param ast One statement of the serialised tree: its `node`. */
export function readTree(text: string, ast: unknown): SqlTree {
  return new TreeReader(text).read(ast)
}

class TreeReader {
  private readonly tables: TableRef[] = []
  private readonly functions: FunctionRef[] = []
  private readonly columns: ColumnRef[] = []
  private readonly timeWords: TimeWord[] = []
  private readonly refused: { what: string; at: number | null }[] = []
  private readonly characterAt: (byte: number) => number

  constructor(text: string) {
    this.characterAt = byteOffsets(text)
  }

  read(ast: unknown): SqlTree {
    const root = asObject(ast) ?? {}
    this.visit(root, new Set())
    const { tables, functions, columns, timeWords, refused } = this
    return {
      tables,
      functions,
      columns,
      timeWords,
      refused,
      operators: [],
      attributes: [],
      unnamedCount: 0,
      timeCasts: [],
      alwaysOneRow: isPlainAggregate(root),
      root,
    }
  }

  private visit(value: unknown, hidden: ReadonlySet<string>): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, hidden)
      return
    }
    const node = asObject(value)
    if (!node) return
    this.note(node, hidden)
    const inner = this.visitCtes(node, hidden)
    for (const [key, child] of Object.entries(node)) {
      if (key === 'cte_map' || typeof child !== 'object') continue
      this.visit(child, inner.get(key) ?? inner.rest)
    }
  }

  /** A CTE sees those before it, never itself, except in the repeated part of a recursive one. */
  private visitCtes(
    node: Json,
    hidden: ReadonlySet<string>,
  ): { get(key: string): ReadonlySet<string> | undefined; rest: ReadonlySet<string> } {
    let scope = hidden
    for (const entry of asList(asObject(node['cte_map'])?.['map'])) {
      const cte = asObject(entry)
      this.visit(cte?.['value'], scope)
      scope = new Set([...scope, String(cte?.['key'] ?? '').toLowerCase()])
    }
    const recursive = node['type'] === 'RECURSIVE_CTE_NODE' ? new Set([...scope, String(node['cte_name']).toLowerCase()]) : undefined
    return { get: (key) => (key === 'right' ? recursive : undefined), rest: scope }
  }

  private note(node: Json, hidden: ReadonlySet<string>): void {
    const at = this.locate(node)
    this.noteFrom(node['from_table'], at)
    if (isSet(node['sample'])) this.refused.push({ what: 'TABLESAMPLE (a sample differs each time)', at })
    if (isSet(node['at_clause'])) this.refused.push({ what: 'AT (a version of a table)', at })
    if ('show_type' in node || node['type'] === 'SHOW_REF') this.refused.push({ what: 'DESCRIBE, SHOW and SUMMARIZE', at })
    if (node['type'] === 'BASE_TABLE') this.noteTable(node, at, hidden)
    else if (node['type'] === 'TABLE_FUNCTION') this.noteFunction(asObject(node['function']) ?? {}, true)
    else if (node['type'] === 'JOIN') for (const side of ['left', 'right']) this.noteFrom(node[side], at)
    else if (node['class'] === 'FUNCTION' || node['class'] === 'WINDOW') this.noteFunction(node, false)
    else if (node['class'] === 'COLUMN_REF') this.columns.push({ names: asList(node['column_names']).map(String), at })
    else if (node['class'] === 'CAST') this.noteCast(node)
    else if (node['class'] === 'CONSTANT') this.noteConstant(node, at)
  }

  private noteFrom(value: unknown, at: number | null): void {
    const from = asObject(value)
    if (from && !FROM_TYPES.has(String(from['type']))) {
      const what = from['type'] === 'SHOW_REF' ? 'DESCRIBE, SHOW and SUMMARIZE' : `${String(from['type'])} in FROM`
      this.refused.push({ what, at: this.locate(from) ?? at })
    }
  }

  private noteTable(node: Json, at: number | null, hidden: ReadonlySet<string>): void {
    const [catalog, schema, name] = [textOf(node['catalog_name']), textOf(node['schema_name']), textOf(node['table_name'])]
    if (catalog === '' && schema === '' && hidden.has(name.toLowerCase())) return
    if (at === null) this.refused.push({ what: `the table "${name}" where its place in the text is unknown`, at })
    else this.tables.push({ catalog, schema, name, alias: textOf(node['alias']), at })
  }

  private noteFunction(node: Json, table: boolean): void {
    const name = textOf(node['function_name']).toLowerCase()
    const argumentCount = asList(node['children']).length
    const at = node['is_operator'] === true ? null : this.locate(node)
    if (!table && this.functions.some((known) => known.table && known.at === at && known.name === name)) return
    this.functions.push({ schema: textOf(node['schema']), name, table, argumentCount, at })
  }

  private noteCast(node: Json): void {
    if (!TIME_TYPE.test(textOf(asObject(node['cast_type'])?.['id']))) return
    let child = asObject(node['child'])
    while (child?.['class'] === 'CAST') child = asObject(child['child'])
    const word = child?.['class'] === 'CONSTANT' ? timeWord(child) : null
    if (word !== null) this.timeWords.push({ text: word, cast: true, at: this.locate(child ?? {}) ?? this.locate(node) })
  }

  private noteConstant(node: Json, at: number | null): void {
    const word = timeWord(node)
    if (word !== null) this.timeWords.push({ text: word, cast: false, at })
  }

  private locate(node: Json): number | null {
    const location = node['query_location']
    return typeof location === 'number' && location < NO_LOCATION ? this.characterAt(location) : null
  }
}

function timeWord(constant: Json): string | null {
  const value = asObject(constant['value'])?.['value']
  return typeof value === 'string' && TIME_WORDS.has(value.trim().toLowerCase()) ? value : null
}

/** SELECT of one group: an aggregate at the top, and no GROUP BY, HAVING, QUALIFY or LIMIT. */
function isPlainAggregate(root: Json): boolean {
  if (root['type'] !== 'SELECT_NODE' || asList(root['modifiers']).length > 0) return false
  const grouped = asList(root['group_expressions']).length > 0 || asList(root['group_sets']).length > 0
  if (grouped || isSet(root['having']) || isSet(root['qualify'])) return false
  return asList(root['select_list']).some(holdsAggregate)
}

/** An aggregate by itself or within an expression; those of subqueries and windows are not the statement's. */
function holdsAggregate(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsAggregate)
  const node = asObject(value)
  if (!node || node['class'] === 'SUBQUERY' || node['class'] === 'WINDOW') return false
  if (node['class'] === 'FUNCTION' && AGGREGATES.has(textOf(node['function_name']).toLowerCase())) return true
  return Object.values(node).some(holdsAggregate)
}

const AGGREGATES = new Set([
  'count_star',
  'count',
  'sum',
  'avg',
  'min',
  'max',
  'bool_and',
  'bool_or',
  'string_agg',
  'list',
  'array_agg',
  'median',
])
