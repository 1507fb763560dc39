/** The sources that a SELECT reads: how they are joined, and which of their rows are looked at. */
import type { Source } from '../../../definition/model.ts'
import type { Table, TableColumn } from '../../../store/ports/source-engine.ts'
import { nameOf } from '../postgres/tree-reader.ts'
import { quoteName } from '../rewrite/lexer.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import type { Shadow } from '../rewrite/statement.ts'
import { columnOf, rowsOfAllTimes } from '../rewrite/visibility.ts'
import { type Kind, kindOf, refuse, type Typed } from './kinds.ts'

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

interface Joined {
  readonly shadow: Shadow
  readonly alias: string
  readonly used: Map<string, TableColumn>
}

/** What holds of rows that are looked at, of these tables alone; null: of all. */
interface Fact {
  readonly condition: unknown
  readonly only: ReadonlySet<Joined> | null
}

/** Kinds in which what is equal to a key is found by the key. */
const KEYED: Readonly<Partial<Record<Kind, string>>> = { text: 'text', uuid: 'uuid', int2: 'int', int4: 'int', int8: 'int' }

export class Tables {
  private readonly all: readonly Joined[]
  private readonly facts: Fact[] = []

  constructor(shadows: readonly Shadow[]) {
    this.all = shadows.map((shadow) => ({ shadow, alias: shadow.ref.alias || shadow.ref.name, used: new Map() }))
    for (const { shadow, used } of this.all) for (const column of visibleColumns(shadow)) used.set(column.name, column)
  }

  column(names: readonly string[]): Typed {
    const [name = '', alias] = names.toReversed()
    const found = this.all.flatMap((table) => {
      const column = table.shadow.table.columns.find((candidate) => candidate.name === name)
      return column && (alias === undefined || alias === table.alias) ? [{ table, column }] : []
    })
    const [{ table, column }] =
      found.length === 1 && names.length <= 2 ? (found as [(typeof found)[number]]) : refuse(`"${names.join('.')}"`)
    const kind = kindOf(column.type) ?? refuse(`${column.type} (column "${column.name}")`)
    table.used.set(column.name, column)
    const scale = /^NUMERIC\(\d+, ?(\d+)\)$/.exec(column.type)?.[1]
    return { sql: `${quoteName(table.alias)}.${quoteName(column.name)}`, kind, ...(scale === undefined ? {} : { scale: Number(scale) }) }
  }

  /** What follows FROM. */
  from(items: readonly unknown[], condition: (value: unknown) => string): string {
    const texts = items.map((item) => this.item(asObject(item) ?? {}, condition).sql)
    return texts.length === 0 ? refuse('no source') : texts.join(', ')
  }

  /** Adds what WHERE says. */
  where(condition: unknown): void {
    this.facts.push(...conjuncts(condition).map((one) => ({ condition: one, only: null })))
  }

  reads(partOf: (parameter: Json) => number): PortableRead[] {
    const keys = this.keys(partOf)
    return this.all.map((table) => {
      const { source, table: stored } = table.shadow
      // Rows that are only counted are there in any column.
      const any = () => stored.columns.find(({ type }) => kindOf(type) !== null) ?? refuse(`"${stored.name}"`)
      const columns = table.used.size > 0 ? [...table.used.values()] : [any()]
      checkColumns(columns)
      const physical = [stored.schema, stored.name].map(quoteName).join('.')
      const rows = rowsOfAllTimes({ source, table: stored, dialect: 'postgres' }, physical)
      const own = [...(keys.get(table) ?? [])].map(([part, column]) => ({ column, part })).sort((a, b) => a.part - b.part)
      return { source, table: stored, columns, rows, keys: own, since: this.since(table) }
    })
  }

  private item(item: Json, condition: (value: unknown) => string): { readonly sql: string; readonly tables: readonly Joined[] } {
    const range = asObject(item['RangeVar'])
    if (range) return this.table(range)
    const join = asObject(item['JoinExpr']) ?? refuse('a table that is none')
    const isLeft = join['jointype'] === 'JOIN_LEFT'
    if (!isLeft && join['jointype'] !== 'JOIN_INNER') refuse('a RIGHT or FULL JOIN')
    if (join['isNatural'] || join['usingClause'] || join['alias']) refuse('a join by names')
    const left = this.item(asObject(join['larg']) ?? {}, condition)
    const before = this.facts.length
    const right = this.item(asObject(join['rarg']) ?? {}, condition)
    if (!join['quals']) return { sql: `${left.sql} CROSS JOIN ${bracketed(right)}`, tables: [...left.tables, ...right.tables] }
    const on = condition(join['quals'])
    this.facts.push(...conjuncts(join['quals']).map((one) => ({ condition: one, only: null })))
    // A row on the left stays, whatever is said of it there.
    const own = new Set(right.tables)
    if (isLeft)
      for (const fact of this.facts.splice(before))
        this.facts.push({ ...fact, only: fact.only === null ? own : fact.only.intersection(own) })
    return { sql: `${left.sql} ${isLeft ? 'LEFT ' : ''}JOIN ${bracketed(right)} ON ${on}`, tables: [...left.tables, ...right.tables] }
  }

  private table(range: Json) {
    const alias = asObject(range['alias'])
    if (asList(alias?.['colnames']).length > 0 || range['inh'] !== true) refuse('ONLY, or names of columns in FROM')
    const name = textOf(alias?.['aliasname']) || textOf(range['relname'])
    const table = this.all.find((one) => one.alias === name) ?? refuse(`"${name}"`)
    const source = table.shadow.source.name.split('.').map(quoteName).join('.')
    return { sql: `${source} AS ${quoteName(table.alias)}`, tables: [table] }
  }

  /** Of each table, the column that is equal to a part of the key, or to what is equal to it. */
  private keys(partOf: (parameter: Json) => number): Map<Joined, Map<number, string>> {
    const keys = new Map(this.all.map((table) => [table, new Map<number, string>()]))
    const equations = this.facts.flatMap(({ condition, only }) => {
      const { operator, left, right } = comparisonOf(condition)
      return operator === '='
        ? [
            { left, right, only },
            { left: right, right: left, only },
          ]
        : []
    })
    for (let isNew = true; isNew; ) {
      isNew = false
      for (const { left, right, only } of equations) {
        const found = this.found(left)
        if (!found || (only && !only.has(found.table))) continue
        const part = 'ParamRef' in right ? partOf(right) : this.partOfEqual(found.column, right, keys)
        const own = keys.get(found.table)
        if (part < 0 || !own || own.has(part)) continue
        own.set(part, found.column.name)
        isNew = true
      }
    }
    return keys
  }

  private partOfEqual(column: TableColumn, other: Json, keys: ReadonlyMap<Joined, ReadonlyMap<number, string>>): number {
    const found = this.found(other)
    const [kind, its] = [column, found?.column].map((one) => KEYED[kindOf(one?.type ?? '') ?? 'null'])
    if (!found || kind === undefined || kind !== its) return -1
    return [...(keys.get(found.table) ?? [])].find(([, name]) => name === found.column.name)?.[0] ?? -1
  }

  private found(node: Json): { readonly table: Joined; readonly column: TableColumn } | null {
    if (!('ColumnRef' in node)) return null
    const [name = '', alias] = asList(asObject(node['ColumnRef'])?.['fields']).map(nameOf).toReversed()
    for (const table of this.all) {
      const column = table.shadow.table.columns.find((candidate) => candidate.name === name)
      if (column && (alias === undefined || alias === table.alias)) return { table, column }
    }
    return null
  }

  private since(table: Joined): string | null {
    const time = table.shadow.source.timestamp
    const isTime = (node: Json) => {
      const found = this.found(node)
      return found?.table === table && time !== null && found.column === columnOf(table.shadow.table, time)
    }
    for (const { condition, only } of this.facts) {
      if (only && !only.has(table)) continue
      const { operator, left, right } = comparisonOf(condition)
      const isLater = operator === '>' || operator === '>='
      if (!isLater && operator !== '<' && operator !== '<=') continue
      const [later, earlier] = isLater ? [left, right] : [right, left]
      const span = isTime(later) ? spanBefore(earlier) : null
      if (span !== null) return span
    }
    return null
  }
}

function bracketed({ sql, tables }: { readonly sql: string; readonly tables: readonly Joined[] }): string {
  return tables.length > 1 ? `(${sql})` : sql
}

/** Those that decide from when on a row is seen. */
function visibleColumns({ source, table }: Shadow): TableColumn[] {
  const names = [source.timestamp, source.available, source.until].filter((name) => name !== null)
  const columns = names.map((name) => columnOf(table, name) ?? refuse(`"${name}"`))
  if (source.timezone !== 'UTC' && columns.some(({ type }) => kindOf(type) === 'date')) refuse(`days of ${source.timezone}`)
  return columns
}

/** The other engine tells no names apart by their case. */
function checkColumns(columns: readonly TableColumn[]): void {
  if (new Set(columns.map(({ name }) => name.toLowerCase())).size < columns.length) refuse('columns that differ in case alone')
  if (columns.some(({ name }) => /^rowid$/i.test(name))) refuse('a column called rowid')
  for (const { name, type } of columns) if (kindOf(type) === null) refuse(`${type} (column "${name}")`)
}

function conjuncts(condition: unknown): unknown[] {
  const both = asObject(asObject(condition)?.['BoolExpr'])
  return both?.['boolop'] === 'AND_EXPR' ? asList(both['args']).flatMap(conjuncts) : [condition]
}

function comparisonOf(condition: unknown): { readonly operator: string; readonly left: Json; readonly right: Json } {
  const compared = asObject(asObject(condition)?.['A_Expr'])
  const operator = compared?.['kind'] === 'AEXPR_OP' ? nameOf(asList(compared['name'])[0]) : ''
  return { operator, left: asObject(compared?.['lexpr']) ?? {}, right: asObject(compared?.['rexpr']) ?? {} }
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
