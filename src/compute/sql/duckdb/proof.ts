/** The walk of the proof over a tree of DuckDB's `json_serialize_sql`. */
import { canonical, isOurs, NOW, nothingYet, type Ours, PRESENT, PRESENT_WORD, type Remains } from '../rewrite/proof-tree.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'

const FROM_KINDS = new Set(['BASE_TABLE', 'SUBQUERY', 'JOIN', 'TABLE_FUNCTION', 'EXPRESSION_LIST', 'EMPTY', 'EMPTY_FROM', 'PIVOT'])
/** Where one table expression holds others. */
const FROM_PLACES: Readonly<Record<string, readonly string[]>> = { JOIN: ['left', 'right'], PIVOT: ['source'] }
const TIME_WORD = /^\s*(?:now|today|yesterday|tomorrow)\s*$/i

export function remainsInDuckdb(body: unknown, ours: Ours): Remains {
  const walk = new Walk(ours)
  walk.visit(body, new Set())
  return walk.remains
}

class Walk {
  readonly remains = nothingYet()
  private readonly ours: Ours
  /** Constants that are said to be texts. */
  private readonly texts = new WeakSet<Json>()

  constructor(ours: Ours) {
    this.ours = ours
  }

  visit(value: unknown, names: ReadonlySet<string>): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, names)
      return
    }
    const node = asObject(value)
    if (!node) return
    this.noteNames(node)
    if (this.ours.isAsOf(node)) {
      this.remains.words.push(NOW)
      return
    }
    if (this.isParameter(node)) return
    const shown = node['type'] === 'SUBQUERY' && 'subquery' in node ? this.ours.shadowOf(node['subquery']) : undefined
    if (shown !== undefined) {
      if (node['sample'] !== null) this.remains.unexpected.push('a sample')
      this.remains.shadows++
      this.remains.shows.push(shown)
      this.remains.words.push(textOf(node['alias']).toLowerCase())
      return
    }
    this.note(node, names)
    const scope = this.visitCtes(node, names)
    for (const [key, child] of Object.entries(node)) {
      if (key === 'cte_map' || typeof child !== 'object') continue
      // Only the repeated part of a recursive WITH sees its own name.
      const isRepeated = node['type'] === 'RECURSIVE_CTE_NODE' && key === 'right'
      this.visit(child, isRepeated ? new Set([...scope, textOf(node['cte_name']).toLowerCase()]) : scope)
    }
  }

  private isParameter(node: Json): boolean {
    const name = this.ours.parameterOf(node)
    if (name !== undefined) this.remains.words.push(name)
    return name !== undefined
  }

  private visitCtes(node: Json, names: ReadonlySet<string>): ReadonlySet<string> {
    let scope = names
    for (const entry of asList(asObject(node['cte_map'])?.['map'])) {
      const cte = asObject(entry) ?? {}
      this.visit(cte['value'], scope)
      if (isOurs(cte['key'])) this.remains.borrowed.push(cte['key'])
      scope = new Set([...scope, textOf(cte['key']).toLowerCase()])
    }
    return scope
  }

  private note(node: Json, names: ReadonlySet<string>): void {
    const { remains } = this
    for (const location of ['from_table', ...(FROM_PLACES[textOf(node['type'])] ?? [])]) {
      const from = asObject(node[location])
      if (from && !FROM_KINDS.has(textOf(from['type']))) remains.unexpected.push(textOf(from['type']))
    }
    if ('show_type' in node) remains.unexpected.push('SHOW')
    if (node['sample'] !== undefined && node['sample'] !== null) remains.unexpected.push('a sample')
    if (node['type'] === 'BASE_TABLE') this.noteTable(node, names)
    else if (node['type'] === 'TABLE_FUNCTION')
      remains.tableFunctions.add(textOf(asObject(node['function'])?.['function_name']).toLowerCase())
    else if ('function_name' in node) this.noteFunction(node)
    else if (node['class'] === 'COLUMN_REF') this.noteColumn(asList(node['column_names']).map(String))
    else if (node['class'] === 'PARAMETER') remains.unexpected.push(`$${textOf(node['identifier'])}`)
    else if (node['class'] === 'CONSTANT') this.noteConstant(node)
  }

  private noteConstant(node: Json): void {
    if (saysNow(node) && !this.texts.has(node)) this.remains.presents.push("'now'")
    this.remains.words.push(canonical(node['value']))
  }

  private noteTable(node: Json, names: ReadonlySet<string>): void {
    const [catalog, schema, name] = [textOf(node['catalog_name']), textOf(node['schema_name']), textOf(node['table_name'])]
    if (node['at_clause'] !== null) this.remains.unexpected.push('AT')
    this.remains.words.push((textOf(node['alias']) || name).toLowerCase())
    if (catalog === '' && schema === '' && names.has(name.toLowerCase())) return
    this.remains.tables.push({ catalog, schema, name })
  }

  private noteFunction(node: Json): void {
    const name = textOf(node['function_name']).toLowerCase()
    this.remains.functions.add(name)
    const isAge = name === 'age' && asList(node['children']).length < 2
    if (isAge || PRESENT.test(name)) this.remains.presents.push(name)
    this.remains.words.push(...(isAge ? [name, NOW] : PRESENT.test(name) ? [NOW] : [name]))
  }

  private noteColumn(names: readonly string[]): void {
    const [first = ''] = names
    const isPresent = names.length === 1 && PRESENT_WORD.test(first)
    if (isPresent) this.remains.presents.push(first)
    this.remains.words.push(isPresent ? NOW : (names.at(-1) ?? '').toLowerCase())
    if (names.some(isOurs)) this.remains.borrowed.push(names.join('.'))
  }

  /** Names that are given; a text that is said to be a text says nothing of the present. */
  private noteNames(node: Json): void {
    for (const name of [node['alias'], node['cte_name'], ...asList(node['column_name_alias'])]) {
      if (isOurs(name)) this.remains.borrowed.push(name)
    }
    const constant = asObject(node['child'])
    const isText = node['class'] === 'CAST' && asObject(node['cast_type'])?.['id'] === 'VARCHAR'
    if (isText && constant) this.texts.add(constant)
  }
}

function saysNow(constant: Json): boolean {
  const value = asObject(constant['value'])?.['value']
  return typeof value === 'string' && TIME_WORD.test(value)
}
