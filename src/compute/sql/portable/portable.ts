/**
 * Whether a feature's SELECT, written for PostgreSQL, means the same in DuckDB over a copy of the rows that it reads; and how it is written there.
 * Nothing of the user's text is passed on: what is run is written anew out of PostgreSQL's syntax tree, by an allow-list. One SELECT from one source,
 * of aggregates without groups, of the first row of an order, or of whatever rows there are.
 */
import type { Source } from '../../../definition/model.ts'
import type { Table, TableColumn } from '../../../store/ports/source-engine.ts'
import { nameOf } from '../postgres/tree-reader.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { quoteName } from '../rewrite/lexer.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf, rowsOfAllTimes } from '../rewrite/visibility.ts'
import { Expressions } from './expressions.ts'
import { type Kind, kindOf, NotTheSame, refuse, type Typed } from './kinds.ts'

export interface Portable {
  /** For DuckDB, with the feature's parameters and NOW(). */
  readonly text: string
  /** Of each column that it gives. */
  readonly kinds: readonly Kind[]
  readonly read: PortableRead
}

/** What is read of a source. */
export interface PortableRead {
  readonly source: Source
  readonly table: Table
  readonly columns: readonly TableColumn[]
  /** SQL of its rows, each once and with its times in UTC; null: as they are. */
  readonly rows: string | null
  /** Columns that are equal to a part of the key, each part once; empty where rows of all keys are looked at. */
  readonly keys: readonly { readonly column: string; readonly part: number }[]
  /** Older rows than this before the present are not looked at; null: all are. As PostgreSQL reads it. */
  readonly since: string | null
}

export type Portability = { readonly portable: Portable; readonly refusal: null } | { readonly portable: null; readonly refusal: string }

export interface PortableOwner {
  /** Names and declared types of the key's parts, and the types that they have in the statement. */
  readonly entity: { readonly key: readonly { readonly name: string; readonly type: string }[] }
  readonly keyTypes: readonly string[]
  /** What the statement gives. */
  readonly natural: readonly TableColumn[]
}

export function portabilityOf(sql: AnalysedSql, owner: PortableOwner): Portability {
  try {
    return { portable: new Statement(sql, owner).write(), refusal: null }
  } catch (error) {
    if (error instanceof NotTheSame) return { portable: null, refusal: error.message }
    throw error
  }
}

const PARTS = new Set([
  'targetList',
  'fromClause',
  'whereClause',
  'sortClause',
  'limitCount',
  'limitOption',
  'op',
  'groupClause',
  'havingClause',
])
const SAID: Readonly<Record<string, string>> = {
  distinctClause: 'DISTINCT',
  withClause: 'WITH',
  windowClause: 'WINDOW',
  limitOffset: 'OFFSET',
}
const KEY_KINDS: Readonly<Record<string, readonly [sqlType: RegExp, kind: Kind]>> = {
  string: [/^VARCHAR$/, 'text'],
  int: [/^BIGINT$/, 'int8'],
  uuid: [/^uuid$/i, 'uuid'],
}

class Statement {
  private readonly sql: AnalysedSql
  private readonly owner: PortableOwner
  private readonly shadow: Shadow
  private readonly alias: string
  private readonly used = new Map<string, TableColumn>()
  private readonly kinds: Kind[] = []
  private readonly given: { readonly name: string; readonly value: Typed }[] = []
  private readonly expressions: Expressions

  constructor(sql: AnalysedSql, owner: PortableOwner) {
    const [shadow, ...more] = sql.shadows
    if (!shadow || more.length > 0 || sql.undeclared.length > 0) refuse(shadow ? 'several tables' : 'no source')
    this.sql = sql
    this.owner = owner
    this.shadow = shadow as Shadow
    this.alias = this.shadow.ref.alias || this.shadow.ref.name
    this.expressions = new Expressions({ column: (names) => this.column(names), parameter: (number) => this.parameter(number) })
  }

  write(): Portable {
    const select = asObject(this.sql.tree.root['SelectStmt']) ?? refuse('this statement')
    const unsupported = Object.keys(select).find((part) => !PARTS.has(part))
    if (unsupported) refuse(SAID[unsupported] ?? unsupported)
    if (select['op'] !== 'SETOP_NONE') refuse('UNION')
    const [from] = asList(select['fromClause']).map((item) => asObject(asObject(item)?.['RangeVar']) ?? refuse('a table that is none'))
    if (!from || asList(asObject(from['alias'])?.['colnames']).length > 0 || from['inh'] !== true)
      refuse('ONLY, or names of columns in FROM')
    const visible = this.visibleColumns()
    const targets = this.targets(asList(select['targetList']))
    const groups = this.groups(asList(select['groupClause']))
    const having = select['havingClause'] ? `\nHAVING ${this.expressions.condition(select['havingClause'])}` : ''
    const isOneRow = this.expressions.aggregates > 0 && groups === ''
    if (having !== '' && this.expressions.aggregates === 0) refuse('HAVING of no aggregate')
    const where = select['whereClause'] ? `\nWHERE ${this.expressions.condition(select['whereClause'])}` : ''
    const order = isOneRow ? this.withoutOrder(select) : this.order(select)
    const read: PortableRead = {
      source: this.shadow.source,
      table: this.shadow.table,
      columns: [...new Map([...visible, ...this.used.values()].map((column) => [column.name, column])).values()],
      rows: rowsOfAllTimes({ source: this.shadow.source, table: this.shadow.table, dialect: 'postgres' }, this.physical()),
      ...this.bounds(select),
    }
    this.checkColumns(read.columns)
    const table = this.shadow.source.name.split('.').map(quoteName).join('.')
    return {
      text: `SELECT ${targets.join(', ')}\nFROM ${table} AS ${quoteName(this.alias)}${where}${groups}${having}${order}`,
      kinds: this.kinds,
      read,
    }
  }

  private physical(): string {
    const { schema, name } = this.shadow.table
    return [schema, name].map(quoteName).join('.')
  }

  private column(names: readonly string[]): Typed {
    const { table } = this.shadow
    const name = names.length === 2 && names[0] === this.alias ? names[1] : names.length === 1 ? names[0] : undefined
    const column = table.columns.find((candidate) => candidate.name === name) ?? refuse(`"${names.join('.')}"`)
    const kind = kindOf(column.type) ?? refuse(`${column.type} (column "${column.name}")`)
    this.used.set(column.name, column)
    const scale = /^NUMERIC\(\d+, ?(\d+)\)$/.exec(column.type)?.[1]
    return { sql: `${quoteName(this.alias)}.${quoteName(column.name)}`, kind, ...(scale === undefined ? {} : { scale: Number(scale) }) }
  }

  private parameter(number: number): Typed {
    const written = [...this.sql.parameterNames].filter(([, given]) => Number(given) === number)
    const name = written.length === 1 ? (written[0]?.[0] ?? '').slice(1) : refuse('parameters with short names')
    const part = this.owner.entity.key.findIndex((key) => key.name.toLowerCase() === name.toLowerCase())
    const [type, kind] = KEY_KINDS[this.owner.entity.key[part]?.type ?? ''] ?? refuse(`$${name}`)
    return type.test(this.owner.keyTypes[part] ?? '') ? { sql: `$${name}`, kind } : refuse(`$${name} as ${this.owner.keyTypes[part]}`)
  }

  /** Those that decide from when on a row is seen. */
  private visibleColumns(): TableColumn[] {
    const { source, table } = this.shadow
    const names = [source.timestamp, source.available, source.until].filter((name) => name !== null)
    const columns = names.map((name) => columnOf(table, name) ?? refuse(`"${name}"`))
    if (source.timezone !== 'UTC' && columns.some(({ type }) => kindOf(type) === 'date')) refuse(`days of ${source.timezone}`)
    return columns
  }

  private targets(items: readonly unknown[]): string[] {
    const { natural } = this.owner
    if (items.length !== natural.length) refuse('*')
    return items.map((item, i) => {
      const value = this.expressions.of(asObject(asObject(item)?.['ResTarget'])?.['val'])
      const { name, type } = natural[i] as TableColumn
      const isQuotient = value.kind === 'quotient' && ['numeric', 'float8'].includes(kindOf(type) ?? '')
      if (kindOf(type) !== value.kind && !isQuotient) refuse(`a value of type ${type}`)
      this.kinds.push(value.kind)
      this.given.push({ name, value })
      return `${value.sql} AS ${quoteName(name)}`
    })
  }

  private groups(items: readonly unknown[]): string {
    const columns = items.map((item) => {
      const column = 'ColumnRef' in (asObject(item) ?? {}) ? this.expressions.of(item) : refuse('GROUP BY what is no column')
      return GROUPED.includes(column.kind) ? column.sql : refuse(`GROUP BY ${column.kind}`)
    })
    return columns.length === 0 ? '' : `\nGROUP BY ${columns.join(', ')}`
  }

  private withoutOrder(select: Json): string {
    return select['sortClause'] || select['limitCount'] ? refuse('ORDER BY or LIMIT of one row') : ''
  }

  /** Of rows that are equal in it either engine may take any. */
  private order(select: Json): string {
    const sorts = asList(select['sortClause'])
    const limit = select['limitCount']
    if (sorts.length === 0) return limit ? refuse('LIMIT without ORDER BY') : ''
    const isOne =
      asObject(asObject(asObject(limit)?.['A_Const'])?.['ival'])?.['ival'] === 1 && select['limitOption'] === 'LIMIT_OPTION_COUNT'
    if (!isOne) refuse('ORDER BY without LIMIT 1')
    const orders = sorts.map((sort) => {
      const { node, sortby_dir: direction, sortby_nulls: nulls, sortby_op: operator } = asObject(asObject(sort)?.['SortBy']) ?? {}
      const fields = asList(asObject(asObject(node)?.['ColumnRef'])?.['fields'])
      if (operator || 'A_Const' in (asObject(node) ?? {})) refuse('ORDER BY the number of a column')
      // A name alone is that of what is selected, if there is such a one.
      const selected = fields.length === 1 ? this.given.filter(({ name }) => name === nameOf(fields[0])) : []
      if (selected.length > 1) refuse('ORDER BY one of two columns')
      const { sql, kind, isRounded } = selected[0]?.value ?? this.expressions.of(node)
      if (!SORTED.includes(kind) || isRounded) refuse(`ORDER BY ${isRounded ? 'a sum of double precision' : kind}`)
      const isDown = direction === 'SORTBY_DESC'
      const areFirst = nulls === 'SORTBY_NULLS_FIRST' || (nulls === 'SORTBY_NULLS_DEFAULT' && isDown)
      return `${sql} ${isDown ? 'DESC' : 'ASC'} NULLS ${areFirst ? 'FIRST' : 'LAST'}`
    })
    return `\nORDER BY ${orders.join(', ')}\nLIMIT 1`
  }

  /** What the condition says of rows: whose they are, and from when on. */
  private bounds(select: Json): Pick<PortableRead, 'keys' | 'since'> {
    const keys: { readonly column: string; readonly part: number }[] = []
    let since: string | null = null
    for (const condition of conjuncts(select['whereClause'])) {
      const equation = asObject(asObject(condition)?.['A_Expr'])
      if (equation?.['kind'] !== 'AEXPR_OP') continue
      const operator = nameOf(asList(equation['name'])[0])
      const [left, right] = [asObject(equation['lexpr']) ?? {}, asObject(equation['rexpr']) ?? {}]
      if (operator === '=') {
        const [column, parameter] = 'ColumnRef' in left ? [left, right] : [right, left]
        const part = 'ParamRef' in parameter && 'ColumnRef' in column ? this.partOf(parameter) : -1
        if (part >= 0 && !keys.some((key) => key.part === part)) keys.push({ column: this.nameIn(column), part })
      } else if (operator === '>' || operator === '>=') since ??= this.isTime(left) ? spanBefore(right) : null
      else if (operator === '<' || operator === '<=') since ??= this.isTime(right) ? spanBefore(left) : null
    }
    return { keys: keys.sort((a, b) => a.part - b.part), since }
  }

  private partOf(parameter: Json): number {
    const { sql } = this.expressions.of(parameter)
    return this.owner.entity.key.findIndex(({ name }) => `$${name}`.toLowerCase() === sql.toLowerCase())
  }

  private nameIn(column: Json): string {
    return nameOf(asList(asObject(column['ColumnRef'])?.['fields']).at(-1))
  }

  private isTime(node: Json): boolean {
    const { source, table } = this.shadow
    return 'ColumnRef' in node && source.timestamp !== null && this.nameIn(node) === columnOf(table, source.timestamp)?.name
  }

  /** The other engine tells no names apart by their case. */
  private checkColumns(columns: readonly TableColumn[]): void {
    if (new Set(columns.map(({ name }) => name.toLowerCase())).size < columns.length) refuse('columns that differ in case alone')
    if (columns.some(({ name }) => /^rowid$/i.test(name))) refuse('a column called rowid')
    for (const { name, type } of columns) if (kindOf(type) === null) refuse(`${type} (column "${name}")`)
  }
}

const SORTED: readonly Kind[] = ['int2', 'int4', 'int8', 'numeric', 'float8', 'timestamptz', 'timestamp', 'date', 'bool']

/** Equal ones are written alike. */
const GROUPED: readonly Kind[] = ['text', 'bool', 'uuid', 'int2', 'int4', 'int8', 'timestamptz', 'timestamp', 'date']

function conjuncts(condition: unknown): unknown[] {
  const both = asObject(asObject(condition)?.['BoolExpr'])
  return both?.['boolop'] === 'AND_EXPR' ? asList(both['args']).flatMap(conjuncts) : [condition]
}

/** `NOW() - INTERVAL '…'`, which has been looked at already. */
function spanBefore(node: Json): string | null {
  const minus = asObject(node['A_Expr'])
  if (nameOf(asList(minus?.['name'])[0]) !== '-' || minus?.['kind'] !== 'AEXPR_OP') return null
  const [left, right] = [asObject(minus['lexpr']) ?? {}, asObject(minus['rexpr']) ?? {}]
  const isPresent = nameOf(asList(asObject(left['FuncCall'])?.['funcname']).at(-1)) === 'now' || 'SQLValueFunction' in left
  const span = asObject(asObject(asObject(asObject(right['TypeCast'])?.['arg'])?.['A_Const'])?.['sval'])?.['sval']
  return isPresent ? textOf(span) || null : null
}
