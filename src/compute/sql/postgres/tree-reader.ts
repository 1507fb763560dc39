/**
 * The same reading of a SELECT as `sql-tree.ts`, from PostgreSQL's own syntax tree. Kinds of nodes that are not known here are refused: what is
 * not understood could read a table.
 */
import { byteOffsets } from '../rewrite/edits.ts'
import {
  asList,
  asObject,
  type ColumnRef,
  type FunctionRef,
  type Json,
  type SqlTree,
  type TableRef,
  type TimeCast,
  type TimeWord,
  textOf,
} from '../rewrite/sql-tree.ts'

/** Expressions and parts of a SELECT that hold no names of their own, or whose names are looked at below. */
export const KNOWN = new Set(
  (
    'A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star BitString BoolExpr Boolean BooleanTest CTECycleClause CTESearchClause CaseExpr ' +
    'CaseWhen CoalesceExpr CollateClause ColumnDef ColumnRef CommonTableExpr Float FuncCall GroupingFunc GroupingSet Integer JoinExpr ' +
    'JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr ' +
    'JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr ' +
    'JsonTable JsonTableColumn JsonTablePathSpec JsonValueExpr List MinMaxExpr NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect ' +
    'RangeTableFunc RangeTableFuncCol RangeVar ResTarget RowExpr SQLValueFunction SelectStmt SortBy String SubLink TypeCast TypeName ' +
    'WindowDef XmlExpr XmlSerialize'
  ).split(' '),
)

/** Later servers read these as syntax, earlier ones as calls of functions of that name, which a user may have made. */
const CALLS: Readonly<Record<string, string>> = {
  JsonArrayAgg: 'json_arrayagg',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonObjectConstructor: 'json_object',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
}

const BARE_PRESENT: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_CURRENT_TIMESTAMP: 'current_timestamp',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
}

/** Types whose texts name what is in the catalogue: whether a cast succeeds tells what is there. */
const NAMING_TYPE = /^reg(?:class|proc|procedure|oper|operator|role|namespace|type|collation)$/
/** Types whose texts may say "now": times, and what holds times. */
const TIME_TYPE = /^(?:date|time|timetz|timestamp|timestamptz|(?:date|ts|tstz)(?:multi)?range)$/
const TIME_WORD = /\b(?:now|today|yesterday|tomorrow)\b/i
/** Words that may stand beside one in a text that is a time. */
const BESIDE =
  /^(?:now|today|yesterday|tomorrow|utc|gmt|z|zulu|am|pm|t|at|on|infinity|epoch|allballs|[ecmpwa][sd]t|[cewm]es?t|bst|msk|[a-z_]+\/[a-z_/]+)$/i
const AGGREGATES = new Set('count sum avg min max bool_and bool_or every string_agg array_agg json_agg jsonb_agg'.split(' '))

/** @param statement One of the tree's statements: `{ SelectStmt: … }`. */
export function readPostgresTree(text: string, statement: unknown): SqlTree {
  return new TreeReader(text).read(asObject(statement) ?? {})
}

class TreeReader {
  private readonly tables: TableRef[] = []
  private readonly functions: FunctionRef[] = []
  private readonly columns: ColumnRef[] = []
  private readonly timeWords: TimeWord[] = []
  private readonly operators = new Set<string>()
  private readonly attributes = new Set<string>()
  private readonly refused: { what: string; at: number | null }[] = []
  private readonly timeCasts: TimeCast[] = []
  private unnamedCount = 0
  private readonly characterAt: (byte: number) => number

  constructor(text: string) {
    this.characterAt = byteOffsets(text)
  }

  read(root: Json): SqlTree {
    this.visit(root, new Set())
    const { tables, functions, columns, timeWords, refused } = this
    const names = {
      operators: [...this.operators],
      attributes: [...this.attributes],
      unnamedCount: this.unnamedCount,
      timeCasts: this.timeCasts,
    }
    return { tables, functions, columns, timeWords, refused, ...names, alwaysOneRow: isPlainAggregate(asObject(root['SelectStmt'])), root }
  }

  /** A node is an object with its kind as its only key; parts of one kind only are written without it. */
  private visit(value: unknown, hidden: ReadonlySet<string>): void {
    if (Array.isArray(value)) {
      for (const item of value) this.visit(item, hidden)
      return
    }
    const node = asObject(value)
    if (!node) return
    const [kind = ''] = Object.keys(node)
    if (/^[A-Z]/.test(kind)) {
      const content = asObject(node[kind]) ?? {}
      this.note(kind, content, hidden)
      this.visitParts(content, hidden)
    } else this.visitParts(node, hidden)
  }

  private visitParts(node: Json, hidden: ReadonlySet<string>): void {
    const scope = this.visitCtes(asObject(node['withClause']), hidden)
    if ('typeName' in node && !('arg' in node) && isTime(node['typeName'])) {
      this.refuse('A time among the columns of a function (take it as TEXT, and cast it)', this.locate(node))
    }
    if (node['intoClause']) this.refuse('SELECT INTO', null)
    for (const [key, child] of Object.entries(node)) {
      if (key !== 'withClause' && typeof child === 'object') this.visit(child, scope)
    }
  }

  /** A CTE sees those before it; after RECURSIVE all of them see each other. */
  private visitCtes(clause: Json | undefined, hidden: ReadonlySet<string>): ReadonlySet<string> {
    if (!clause) return hidden
    const ctes = asList(clause['ctes']).map((entry) => asObject(asObject(entry)?.['CommonTableExpr']) ?? {})
    const names = ctes.map((cte) => textOf(cte['ctename']))
    const recursive = clause['recursive'] === true
    let scope = recursive ? new Set([...hidden, ...names]) : hidden
    for (const [i, cte] of ctes.entries()) {
      this.visit(cte['ctequery'], scope)
      this.visit(cte['search_clause'], scope)
      this.visit(cte['cycle_clause'], scope)
      scope = new Set([...scope, names[i] ?? ''])
    }
    return scope
  }

  private note(kind: string, node: Json, hidden: ReadonlySet<string>): void {
    const at = this.locate(node)
    if (kind === 'RangeVar') this.noteTable(node, at, hidden)
    else if (kind === 'FuncCall') this.noteFunction(node, at)
    else if (kind === 'RangeFunction') this.noteTableFunctions(node)
    else if (kind === 'ColumnRef') this.noteColumn(node, at)
    else if (kind === 'SQLValueFunction') this.notePresent(textOf(node['op']), at)
    else if (kind === 'TypeCast') this.noteCast(node)
    else if (kind === 'A_Const') this.noteConstant(node, at)
    else if (kind === 'A_Indirection') for (const part of asList(node['indirection'])) this.noteAttribute(part)
    else if (kind === 'A_Expr') this.noteOperator(node['name'])
    else if (kind === 'RangeSubselect' && !node['alias']) this.unnamedCount++
    else if (kind === 'SubLink') this.noteOperator(node['operName'])
    else if (kind === 'SortBy') this.noteOperator(node['useOp'])
    else if (kind === 'RangeTableSample') this.refuse('TABLESAMPLE (a sample differs each time)', at)
    else if (kind === 'LockingClause') this.refuse('FOR UPDATE or FOR SHARE', at)
    else if (!KNOWN.has(kind)) this.refuse(kind.endsWith('Stmt') ? `${kind.slice(0, -4).toUpperCase()} inside a query` : kind, at)
    const call = CALLS[kind] ?? (kind === 'JsonFuncExpr' ? CALLS[textOf(node['op'])] : undefined)
    if (call) this.functions.push({ schema: '', name: call, table: false, argumentCount: 1, at: null })
  }

  private refuse(what: string, at: number | null): void {
    this.refused.push({ what, at })
  }

  private noteTable(node: Json, at: number | null, hidden: ReadonlySet<string>): void {
    const [catalog, schema, name] = [textOf(node['catalogname']), textOf(node['schemaname']), textOf(node['relname'])]
    if (catalog === '' && schema === '' && hidden.has(name)) return
    if (node['inh'] !== true) this.refuse(`ONLY ${name}`, at)
    else if (at === null) this.refuse(`the table "${name}" where its place in the text is unknown`, at)
    else this.tables.push({ catalog, schema, name, alias: textOf(asObject(node['alias'])?.['aliasname']), at })
  }

  private noteFunction(node: Json, at: number | null): void {
    const parts = asList(node['funcname']).map(nameOf)
    const name = (parts.at(-1) ?? '').toLowerCase()
    const argumentList = asList(node['args'])
    const location = node['funcformat'] === 'COERCE_EXPLICIT_CALL' ? at : null
    if (this.functions.some((known) => known.table && known.at === at && known.name === name)) return
    this.functions.push({ schema: parts.at(-2) ?? '', name, table: false, argumentCount: argumentList.length, at: location })
    // timestamptz('now') is a cast.
    if (TIME_TYPE.test(name) && argumentList.length === 1) this.noteCastOf(asObject(argumentList[0]) ?? {}, at)
  }

  private noteTableFunctions(node: Json): void {
    for (const entry of asList(node['functions'])) {
      const [first] = asList(asObject(asObject(entry)?.['List'])?.['items'])
      const call = asObject(asObject(first)?.['FuncCall'])
      if (call) {
        const parts = asList(call['funcname']).map(nameOf)
        const name = (parts.at(-1) ?? '').toLowerCase()
        const argumentCount = asList(call['args']).length
        this.functions.push({ schema: parts.at(-2) ?? '', name, table: true, argumentCount, at: this.locate(call) })
      } else if (!asObject(first)?.['SQLValueFunction']) this.refuse('An expression in FROM', this.locate(node))
    }
  }

  private noteColumn(node: Json, at: number | null): void {
    const fields = asList(node['fields'])
    this.columns.push({ names: fields.map((field) => (asObject(field)?.['A_Star'] ? '*' : nameOf(field))), at })
    // PostgreSQL reads t.f as f(t) where there is no such column.
    if (fields.length > 1) this.noteAttribute(fields.at(-1))
  }

  private noteAttribute(part: unknown): void {
    const name = nameOf(part)
    if (name !== '') this.attributes.add(name.toLowerCase())
  }

  private noteOperator(names: unknown): void {
    const name = nameOf(asList(names).at(-1))
    if (name !== '') this.operators.add(name)
  }

  private notePresent(op: string, at: number | null): void {
    const bare = BARE_PRESENT[op]
    const precise = BARE_PRESENT[op.replace(/_N$/, '')]
    if (bare) this.columns.push({ names: [bare], at })
    else if (precise) this.functions.push({ schema: '', name: precise, table: false, argumentCount: 1, at })
    else this.refuse(`${op.replace('SVFOP_', '')} (it depends on who runs the query)`, at)
  }

  private noteCast(node: Json): void {
    const names = asList(asObject(node['typeName'])?.['names']).map(nameOf)
    if (names[0] === 'fabra' || NAMING_TYPE.test(names.at(-1) ?? '')) {
      this.refuse(`A cast to ${names.join('.')}`, this.locate(node))
    }
    if (isTime(node['typeName'])) this.noteCastOf(asObject(node['arg']) ?? {}, this.locate(node))
  }

  private noteCastOf(argument: Json, at: number | null): void {
    let child = argument
    while (asObject(child['TypeCast'])) child = asObject(asObject(child['TypeCast'])?.['arg']) ?? {}
    const constant = asObject(child['A_Const'])
    const word = constant && timeWord(constant)
    if (constant && word) this.timeWords.push({ text: word, cast: true, at: this.locate(constant) ?? at })
    const inner = asObject(argument['TypeCast'])
    if (constant || (inner && isTime(inner['typeName']))) return
    const first = firstPosition(argument)
    if (at === null || first === undefined) this.refuse('A cast to a time whose place in the text is unknown', at)
    else this.timeCasts.push({ at, argumentAt: this.characterAt(first), isParameter: 'ParamRef' in child })
  }

  private noteConstant(node: Json, at: number | null): void {
    const word = timeWord(node)
    if (word !== null) this.timeWords.push({ text: word, cast: false, at })
  }

  /** A place of 0 is left out; a place of -1 is none. */
  private locate(node: Json): number | null {
    const location = node['location'] ?? 0
    return typeof location === 'number' && location >= 0 ? this.characterAt(location) : null
  }
}

/** The least place within a node. */
function firstPosition(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  let first: number | undefined
  for (const [key, child] of Object.entries(node)) {
    const location = key === 'location' && typeof child === 'number' && child >= 0 ? child : firstPosition(child)
    if (location !== undefined && (first === undefined || location < first)) first = location
  }
  return first
}

export function nameOf(value: unknown): string {
  return textOf(asObject(asObject(value)?.['String'])?.['sval'])
}

export function isTime(typeName: unknown): boolean {
  return TIME_TYPE.test(nameOf(asList(asObject(typeName)?.['names']).at(-1)))
}

/** "now", "today 10:00", "[now,infinity)": PostgreSQL reads the word beside digits, signs and zones too. */
export function timeWord(constant: Json): string | null {
  const text = asObject(constant['sval'])?.['sval']
  if (typeof text !== 'string' || !TIME_WORD.test(text) || /"\s*:/.test(text)) return null
  return (text.match(/[\p{L}_][\p{L}_/]*/gu) ?? []).every((word) => BESIDE.test(word)) ? text : null
}

/** SELECT of one group: an aggregate at the top, and no GROUP BY, HAVING, DISTINCT or LIMIT. */
function isPlainAggregate(select: Json | undefined): boolean {
  if (select?.['op'] !== 'SETOP_NONE') return false
  if (['groupClause', 'havingClause', 'distinctClause', 'limitCount', 'limitOffset'].some((part) => part in select)) return false
  return holdsAggregate(select['targetList'])
}

/** An aggregate by itself or within an expression; those of subqueries and windows are not the statement's. */
function holdsAggregate(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsAggregate)
  const node = asObject(value)
  if (!node || 'SubLink' in node) return false
  const call = asObject(node['FuncCall'])
  if (call && !call['over'] && AGGREGATES.has(nameOf(asList(call['funcname']).at(-1)))) return true
  return call?.['over'] ? false : Object.values(node).some(holdsAggregate)
}
