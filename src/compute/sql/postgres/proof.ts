/** The walk of the proof over a tree of libpg_query: a node is an object with its kind as its only key, and kinds that are not known are unexpected. */
import { canonical, isOurs, NOW, nothingYet, type Ours, PRESENT, type Remains } from '../rewrite/proof-tree.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import { isTime, KNOWN, nameOf, timeWord } from './tree-reader.ts'

const TIME_CALL = /^(?:date|time|timetz|timestamp|timestamptz)$/
const TEXT_TYPE = /^(?:text|varchar)$/
const GUARD_PATTERN = 'now|today|yesterday|tomorrow'

export function remainsInPostgres(body: unknown, ours: Ours): Remains {
  const walk = new Walk(ours)
  walk.visit(body, new Set())
  return walk.remains
}

class Walk {
  readonly remains = nothingYet()
  private readonly ours: Ours
  /** Calls of ours around texts that become times. */
  private readonly guards = new WeakSet<Json>()
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
    if (!node || this.isParameter(node)) return
    if (this.ours.isAsOf(node)) {
      this.remains.words.push(NOW)
      return
    }
    const [kind = ''] = Object.keys(node)
    if (!/^[A-Z]/.test(kind)) {
      this.visitParts(node, names)
      return
    }
    const content = asObject(node[kind]) ?? {}
    const shown = kind === 'RangeSubselect' ? this.ours.shadowOf(content['subquery']) : undefined
    if (shown !== undefined) {
      this.noteNames(asObject(content['alias']) ?? {})
      this.remains.shadows++
      this.remains.shows.push(shown)
      this.remains.words.push(textOf(asObject(content['alias'])?.['aliasname']))
      return
    }
    if (this.guards.has(content)) {
      this.visit(asList(content['args'])[0], names)
      return
    }
    this.note(kind, content, names)
    this.visitParts(content, names)
  }

  private visitParts(node: Json, names: ReadonlySet<string>): void {
    this.noteNames(node)
    const scope = this.visitCtes(asObject(node['withClause']), names)
    for (const [key, child] of Object.entries(node)) if (key !== 'withClause' && typeof child === 'object') this.visit(child, scope)
  }

  private isParameter(node: Json): boolean {
    const name = this.ours.parameterOf(node)
    if (name !== undefined) this.remains.words.push(name)
    return name !== undefined
  }

  private visitCtes(clause: Json | undefined, names: ReadonlySet<string>): ReadonlySet<string> {
    const ctes = asList(clause?.['ctes']).map((entry) => asObject(asObject(entry)?.['CommonTableExpr']) ?? {})
    const all = new Set([...names, ...ctes.map((cte) => textOf(cte['ctename']))])
    const seen = new Set(names)
    for (const cte of ctes) {
      // After RECURSIVE all of them see each other; else each sees those before it.
      this.visitParts(cte, clause?.['recursive'] === true ? all : new Set(seen))
      seen.add(textOf(cte['ctename']))
    }
    return clause ? all : names
  }

  private note(kind: string, node: Json, names: ReadonlySet<string>): void {
    const { remains } = this
    if (!KNOWN.has(kind) || kind === 'RangeTableSample' || node['intoClause'] || node['lockingClause']) remains.unexpected.push(kind)
    if (kind === 'RangeVar') this.noteTable(node, names)
    else if (kind === 'RangeFunction') this.noteTableFunctions(node)
    else if (kind === 'FuncCall') this.noteFunction(node)
    else if (kind === 'SQLValueFunction') this.notePresent(textOf(node['op']))
    else if (kind === 'ColumnRef') this.noteColumn(asList(node['fields']).map(nameOf))
    else if (kind === 'ParamRef') remains.unexpected.push(`$${String(node['number'])}`)
    else if (kind === 'A_Const') this.noteConstant(node)
    else if (kind === 'TypeCast') this.noteCast(node)
  }

  private noteTable(node: Json, names: ReadonlySet<string>): void {
    const [catalog, schema, name] = [textOf(node['catalogname']), textOf(node['schemaname']), textOf(node['relname'])]
    if (node['inh'] !== true) this.remains.unexpected.push('ONLY')
    this.remains.words.push(textOf(asObject(node['alias'])?.['aliasname']) || name)
    if (catalog === '' && schema === '' && names.has(name)) return
    this.remains.tables.push({ catalog, schema, name })
  }

  private noteTableFunctions(node: Json): void {
    for (const entry of asList(node['functions'])) {
      const [first] = asList(asObject(asObject(entry)?.['List'])?.['items'])
      const call = asObject(asObject(first)?.['FuncCall'])
      if (call) this.remains.tableFunctions.add(nameOf(asList(call['funcname']).at(-1)).toLowerCase())
      else if (!this.ours.isAsOf(asObject(first) ?? {})) this.remains.unexpected.push('an expression in FROM')
    }
  }

  private noteFunction(node: Json): void {
    const name = nameOf(asList(node['funcname']).at(-1)).toLowerCase()
    const [argument, ...more] = asList(node['args'])
    this.remains.functions.add(name)
    const isAge = name === 'age' && more.length === 0
    if (isAge || PRESENT.test(name)) this.remains.presents.push(name)
    this.remains.words.push(...(isAge ? [name, NOW] : PRESENT.test(name) ? [NOW] : [name]))
    if (TIME_CALL.test(name) && argument && more.length === 0) this.noteTime(asObject(argument) ?? {})
  }

  private noteColumn(fields: readonly string[]): void {
    this.remains.words.push(fields.at(-1) ?? '')
    if (fields.some(isOurs)) this.remains.borrowed.push(fields.join('.'))
  }

  private notePresent(op: string): void {
    this.remains.presents.push(op)
    this.remains.words.push(NOW)
  }

  private noteConstant(node: Json): void {
    if (timeWord(node) !== null && !this.texts.has(node)) this.remains.presents.push("'now'")
    this.remains.words.push(canonical(node))
  }

  private noteCast(node: Json): void {
    const argument = asObject(node['arg']) ?? {}
    const constant = asObject(argument['A_Const'])
    const names = asList(asObject(node['typeName'])?.['names'])
    if (constant && TEXT_TYPE.test(nameOf(names.at(-1)))) this.texts.add(constant)
    if (isTime(node['typeName'])) this.noteTime(argument)
  }

  /** Something becomes a time. */
  private noteTime(argument: Json): void {
    const inner = asObject(argument['TypeCast'])
    const constant = asObject(withoutCasts(argument)['A_Const'])
    if (constant && timeWord(constant) !== null) this.remains.presents.push("'now'")
    if (this.ours.isAsOf(argument) || constant || (inner && isTime(inner['typeName']))) return
    const call = asObject(argument['FuncCall'])
    const pattern = asObject(asObject(asList(call?.['args'])[1])?.['A_Const'])
    const isGuarded =
      nameOf(asList(call?.['funcname']).at(-1)) === 'regexp_replace' && textOf(asObject(pattern?.['sval'])?.['sval']) === GUARD_PATTERN
    if (isGuarded && call) this.guards.add(call)
    this.remains.timeCasts[isGuarded ? 'guarded' : 'open']++
  }

  /** Subqueries that the server wants named bear names of ours. */
  private noteNames(node: Json): void {
    for (const name of [node['aliasname'], node['ctename'], ...asList(node['colnames']).map(nameOf)]) {
      if (isOurs(name) && !/^__fabra_unnamed\d+$/.test(name)) this.remains.borrowed.push(name)
    }
    if ('typeName' in node && !('arg' in node) && isTime(node['typeName']))
      this.remains.unexpected.push('a time among the columns of a function')
  }
}

function withoutCasts(expression: Json): Json {
  const cast = asObject(expression['TypeCast'])
  return cast ? withoutCasts(asObject(cast['arg']) ?? {}) : expression
}
