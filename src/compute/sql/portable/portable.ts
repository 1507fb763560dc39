/**
 * Whether a feature's SELECT, written for PostgreSQL, means the same in DuckDB over a copy of the rows that it reads; and how it is written there.
 * Nothing of the user's text is passed on: what is run is written anew out of PostgreSQL's syntax tree, by an allow-list. One SELECT from
 * sources and joins of them, of aggregates without groups, of the first row of an order, or of whatever rows there are.
 */
import type { TableColumn } from '../../../store/ports/source-engine.ts'
import { nameOf } from '../postgres/tree-reader.ts'
import type { AnalysedSql } from '../rewrite/analysis.ts'
import { quoteName } from '../rewrite/lexer.ts'
import { asList, asObject, type Json } from '../rewrite/sql-tree.ts'
import { Expressions } from './expressions.ts'
import { type Kind, kindOf, NotTheSame, refuse, type Typed } from './kinds.ts'
import { type PortableRead, Tables } from './tables.ts'

export interface Portable {
  /** For DuckDB, with the feature's parameters and NOW(). */
  readonly text: string
  /** Of each column that it gives. */
  readonly kinds: readonly Kind[]
  /** Of each table that stands in it. */
  readonly reads: readonly PortableRead[]
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
  private readonly tables: Tables
  private readonly kinds: Kind[] = []
  private readonly given: { readonly name: string; readonly value: Typed }[] = []
  private readonly expressions: Expressions

  constructor(sql: AnalysedSql, owner: PortableOwner) {
    if (sql.undeclared.length > 0) refuse('a table that is no source')
    this.sql = sql
    this.owner = owner
    this.tables = new Tables(sql.shadows)
    this.expressions = new Expressions({ column: (names) => this.tables.column(names), parameter: (number) => this.parameter(number) })
  }

  write(): Portable {
    const select = asObject(this.sql.tree.root['SelectStmt']) ?? refuse('this statement')
    const unsupported = Object.keys(select).find((part) => !PARTS.has(part))
    if (unsupported) refuse(SAID[unsupported] ?? unsupported)
    if (select['op'] !== 'SETOP_NONE') refuse('UNION')
    const condition = (value: unknown) => this.expressions.condition(value)
    const from = this.tables.from(asList(select['fromClause']), condition)
    this.tables.where(select['whereClause'])
    const targets = this.targets(asList(select['targetList']))
    const groups = this.groups(asList(select['groupClause']))
    const having = select['havingClause'] ? `\nHAVING ${this.expressions.condition(select['havingClause'])}` : ''
    const isOneRow = this.expressions.aggregates > 0 && groups === ''
    if (having !== '' && this.expressions.aggregates === 0) refuse('HAVING of no aggregate')
    const where = select['whereClause'] ? `\nWHERE ${this.expressions.condition(select['whereClause'])}` : ''
    const order = isOneRow ? this.withoutOrder(select) : this.order(select)
    const reads = this.tables.reads((parameter) => this.partOf(parameter))
    return { text: `SELECT ${targets.join(', ')}\nFROM ${from}${where}${groups}${having}${order}`, kinds: this.kinds, reads }
  }

  private parameter(number: number): Typed {
    const written = [...this.sql.parameterNames].filter(([, given]) => Number(given) === number)
    const name = written.length === 1 ? (written[0]?.[0] ?? '').slice(1) : refuse('parameters with short names')
    const part = this.owner.entity.key.findIndex((key) => key.name.toLowerCase() === name.toLowerCase())
    const [type, kind] = KEY_KINDS[this.owner.entity.key[part]?.type ?? ''] ?? refuse(`$${name}`)
    return type.test(this.owner.keyTypes[part] ?? '') ? { sql: `$${name}`, kind } : refuse(`$${name} as ${this.owner.keyTypes[part]}`)
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

  private partOf(parameter: Json): number {
    const { sql } = this.expressions.of(parameter)
    return this.owner.entity.key.findIndex(({ name }) => `$${name}`.toLowerCase() === sql.toLowerCase())
  }
}

const SORTED: readonly Kind[] = ['int2', 'int4', 'int8', 'numeric', 'float8', 'timestamptz', 'timestamp', 'date', 'bool']

/** Equal ones are written alike. */
const GROUPED: readonly Kind[] = ['text', 'bool', 'uuid', 'int2', 'int4', 'int8', 'timestamptz', 'timestamp', 'date']
