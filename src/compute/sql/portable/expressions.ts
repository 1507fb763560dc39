/**
 * Expressions of PostgreSQL's syntax tree, written for DuckDB where they mean the same there: an allow-list of syntax, functions, operators and the
 * types that they are used with. What is not in it is refused. Overflows, divisions by zero and numbers beyond 38 digits are errors in DuckDB too,
 * so a value that differs is never taken for one.
 */

import { nameOf } from '../postgres/tree-reader.ts'
import { asList, asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import { call } from './aggregates.ts'
import { alike, as, cast, isNumber, isWhole, type Kind, refuse, scaleOf, type Typed, widest, widestScale } from './kinds.ts'
import { bool, constant, known, ORDERED, PRESENT, quotient } from './pieces.ts'

/** What names mean. */
export interface Scope {
  column(names: readonly string[]): Typed
  parameter(number: number): Typed
}

const COMPARISONS = new Set(['=', '<>', '<', '>', '<=', '>='])
const EQUAL: readonly Kind[] = ['text', 'bool', 'uuid']

export class Expressions {
  private readonly scope: Scope
  /** Whether an aggregate was met. */
  aggregates = 0

  constructor(scope: Scope) {
    this.scope = scope
  }

  of(value: unknown): Typed {
    const node = asObject(value) ?? {}
    const [kind = '', ...more] = Object.keys(node)
    const content = asObject(node[kind]) ?? {}
    if (more.length > 0 || !Object.hasOwn(READERS, kind)) return refuse(SAID[kind] ?? kind)
    return (READERS[kind] as Reader)(this, content)
  }

  all(values: unknown): Typed[] {
    return asList(values).map((value) => this.of(value))
  }

  condition(value: unknown): string {
    const found = this.of(value)
    return found.kind === 'bool' ? found.sql : found.kind === 'null' ? cast('NULL', 'bool') : refuse(`${found.kind} as a condition`)
  }

  columnRef(node: Json): Typed {
    return this.scope.column(asList(node['fields']).map((field) => nameOf(field) || refuse('*')))
  }

  parameter(node: Json): Typed {
    return this.scope.parameter(Number(node['number'] ?? 0))
  }

  compare(operator: string, left: Typed, right: Typed): string {
    if (left.isRounded || right.isRounded) refuse(`${operator} of a sum of double precision, which hangs on the order of its rows`)
    // Sessions run in UTC: there a time without a zone is the same instant in both.
    if (isInstant(left) && isInstant(right) && COMPARISONS.has(operator)) return `(${left.sql} ${operator} ${right.sql})`
    if (isNumeric(left, right) && COMPARISONS.has(operator))
      // A difference keeps all digits, or is an error.
      return `(sign(${as(left, 'numeric')} - ${as(right, 'numeric')}) ${operator} 0)`
    const { kind, values } = alike([left, right])
    const isAble =
      COMPARISONS.has(operator) && (isNumberKind(kind) || ORDERED.includes(kind) || (EQUAL.includes(kind) && /^(?:=|<>)$/.test(operator)))
    return isAble ? `(${values[0]} ${operator} ${values[1]})` : refuse(`${operator} of ${kind}`)
  }
}

function isInstant({ kind }: Typed): boolean {
  return kind === 'timestamptz' || kind === 'timestamp'
}

/** Of both a value is known, and PostgreSQL compares them as numerics. */
function isNumeric(...values: readonly Typed[]): boolean {
  const isOne = values.some(({ kind }) => kind === 'numeric')
  return isOne && values.every((value) => value.literal === undefined && (value.kind === 'numeric' || isWhole(value)))
}

function isNumberKind(kind: Kind): boolean {
  return isNumber({ sql: '', kind })
}

type Reader = (expressions: Expressions, node: Json) => Typed

/** Syntax as people call it. */
const SAID: Readonly<Record<string, string>> = {
  SubLink: 'a subquery',
  A_ArrayExpr: 'an array',
  RowExpr: 'a row',
  CollateClause: 'COLLATE',
}

const READERS: Readonly<Record<string, Reader>> = {
  ColumnRef: (expressions, node) => expressions.columnRef(node),
  ParamRef: (expressions, node) => expressions.parameter(node),
  A_Const: (_, node) => constant(node),
  A_Expr: operation,
  BoolExpr(expressions, node) {
    const args = asList(node['args']).map((arg) => expressions.condition(arg))
    if (node['boolop'] === 'NOT_EXPR') return bool(`(NOT ${args[0]})`)
    return bool(`(${args.join(node['boolop'] === 'AND_EXPR' ? ' AND ' : ' OR ')})`)
  },
  NullTest: (expressions, node) =>
    bool(`(${known(expressions.of(node['arg'])).sql} IS ${node['nulltesttype'] === 'IS_NULL' ? '' : 'NOT '}NULL)`),
  BooleanTest(expressions, node) {
    const arg = expressions.condition(node['arg'])
    const test = BOOLEAN_TESTS[textOf(node['booltesttype'])]
    return test ? bool(test(arg)) : refuse(textOf(node['booltesttype']))
  },
  CoalesceExpr(expressions, node) {
    const args = expressions.all(node['args'])
    const [first, otherwise, ...more] = args
    if (!first?.division || !otherwise || more.length > 0) return together('COALESCE', args)
    return quotient(first.division, as(otherwise, 'float8'))
  },
  MinMaxExpr(expressions, node) {
    const args = expressions.all(node['args'])
    const name = node['op'] === 'IS_LEAST' ? 'LEAST' : 'GREATEST'
    const { kind } = alike(args)
    if (args.some(({ isRounded }) => isRounded)) refuse(`${name} of a sum of double precision`)
    return isNumberKind(kind) || ORDERED.includes(kind) ? together(name, args) : refuse(`${name} of ${kind}`)
  },
  CaseExpr: choice,
  TypeCast: casting,
  FuncCall: call,
  SQLValueFunction: (_, node) => (node['op'] === 'SVFOP_CURRENT_TIMESTAMP' ? PRESENT : refuse(textOf(node['op']).replace('SVFOP_', ''))),
}

const BOOLEAN_TESTS: Readonly<Record<string, (arg: string) => string>> = {
  IS_TRUE: (arg) => `COALESCE(${arg}, FALSE)`,
  IS_NOT_TRUE: (arg) => `(NOT COALESCE(${arg}, FALSE))`,
  IS_FALSE: (arg) => `(NOT COALESCE(${arg}, TRUE))`,
  IS_NOT_FALSE: (arg) => `COALESCE(${arg}, TRUE)`,
  IS_UNKNOWN: (arg) => `(${arg} IS NULL)`,
  IS_NOT_UNKNOWN: (arg) => `(${arg} IS NOT NULL)`,
}

function together(name: string, args: readonly Typed[]): Typed {
  const { kind, values } = alike(args)
  return { sql: `${name}(${values.join(', ')})`, kind, ...(kind === 'numeric' ? widestScale(args) : {}), ...roundedAs(args) }
}

function roundedAs(values: readonly Typed[]): Pick<Typed, 'isRounded'> {
  return values.some(({ isRounded }) => isRounded) ? { isRounded: true } : {}
}

function operation(expressions: Expressions, node: Json): Typed {
  const names = asList(node['name']).map(nameOf)
  const operator = names.length === 1 ? (names[0] ?? '') : refuse('OPERATOR(…)')
  const kind = textOf(node['kind'])
  if (kind === 'AEXPR_OP') return node['lexpr'] ? binary(expressions, operator, node) : negated(operator, expressions.of(node['rexpr']))
  const left = expressions.of(node['lexpr'])
  if (kind === 'AEXPR_IN') {
    const items = expressions.all(asObject(asObject(node['rexpr'])?.['List'])?.['items'])
    const any = `(${items.map((item) => expressions.compare('=', left, item)).join(' OR ')})`
    return bool(operator === '=' ? any : `(NOT ${any})`)
  }
  if (kind === 'AEXPR_BETWEEN' || kind === 'AEXPR_NOT_BETWEEN') {
    const [low, high] = expressions.all(asObject(asObject(node['rexpr'])?.['List'])?.['items'])
    if (!low || !high) return refuse('BETWEEN')
    const within = `(${expressions.compare('>=', left, low)} AND ${expressions.compare('<=', left, high)})`
    return bool(kind === 'AEXPR_BETWEEN' ? within : `(NOT ${within})`)
  }
  const right = expressions.of(node['rexpr'])
  if (kind === 'AEXPR_NULLIF')
    return {
      sql: `CASE WHEN ${expressions.compare('=', left, right)} THEN NULL ELSE ${left.sql} END`,
      kind: left.kind,
      ...(left.scale === undefined ? {} : { scale: left.scale }),
    }
  if (kind === 'AEXPR_DISTINCT' || kind === 'AEXPR_NOT_DISTINCT') {
    const { values } = alike([left, right])
    expressions.compare('=', left, right)
    return bool(`(${values[0]} IS ${kind === 'AEXPR_DISTINCT' ? '' : 'NOT '}DISTINCT FROM ${values[1]})`)
  }
  if (
    kind === 'AEXPR_LIKE' &&
    left.kind === 'text' &&
    left.literal === undefined &&
    right.literal !== undefined &&
    !right.literal.includes('\\')
  )
    return bool(`(${left.sql} ${operator === '~~' ? '' : 'NOT '}LIKE ${right.sql})`)
  return refuse(kind.replace('AEXPR_', ''))
}

function negated(operator: string, value: Typed): Typed {
  return operator === '-' && isNumber(value) ? { ...value, sql: `(- ${value.sql})` } : refuse(`${operator} of ${value.kind}`)
}

function binary(expressions: Expressions, operator: string, node: Json): Typed {
  const [left, right] = [expressions.of(node['lexpr']), expressions.of(node['rexpr'])]
  if (COMPARISONS.has(operator)) return bool(expressions.compare(operator, left, right))
  // Days and months are those of the calendar, in UTC; the present lies where both engines count them alike.
  if (left.isPresent && right.kind === 'interval' && /^[+-]$/.test(operator))
    return { sql: `(${left.sql} ${operator} ${right.sql})`, kind: 'timestamptz' }
  if (!isNumber(left) || !isNumber(right)) return refuse(`${left.kind} ${operator} ${right.kind}`)
  const kind = widest(new Set([left.kind, right.kind]))
  if (kind === 'float8') return refuse(`${operator} of double precision`)
  const [a, b] = [as(left, kind), as(right, kind)].map((sql) => (kind === 'numeric' ? sql : cast(sql, kind as 'int8'))) as [string, string]
  if (/^[+*-]$/.test(operator))
    return { sql: `(${a} ${operator} ${b})`, kind, ...(kind === 'numeric' ? scaleOf(operator, left, right) : {}) }
  // By zero it is an error there, and by -1 the least number has no result.
  const byConstant = 'A_Const' in (asObject(node['rexpr']) ?? {}) && /^[1-9]\d*$/.test(right.sql)
  if (isWhole({ sql: '', kind }) && /^[/%]$/.test(operator) && byConstant)
    return { sql: `(${a} ${operator === '/' ? '//' : '%'} ${b})`, kind }
  return operator === '/' && kind === 'numeric' ? quotient({ of: a, by: b }, null) : refuse(`${operator} of ${kind}`)
}

function choice(expressions: Expressions, node: Json): Typed {
  const whens = asList(node['args']).map((entry) => asObject(asObject(entry)?.['CaseWhen']) ?? {})
  const subject = node['arg'] ? expressions.of(node['arg']) : null
  const conditions = whens.map(({ expr }) =>
    subject ? expressions.compare('=', subject, expressions.of(expr)) : expressions.condition(expr),
  )
  const otherwise: Typed = node['defresult'] ? expressions.of(node['defresult']) : { sql: 'NULL', kind: 'null' }
  const results = [...whens.map(({ result }) => expressions.of(result)), otherwise]
  const { kind, values } = alike(results)
  const parts = conditions.map((condition, i) => `WHEN ${condition} THEN ${values[i]}`)
  return {
    sql: `CASE ${parts.join(' ')} ELSE ${values.at(-1)} END`,
    kind,
    ...(kind === 'numeric' ? widestScale(results) : {}),
    ...roundedAs(results),
  }
}

const CASTS: Readonly<Record<string, Exclude<Kind, 'null' | 'quotient'>>> = {
  int2: 'int2',
  int4: 'int4',
  int8: 'int8',
  numeric: 'numeric',
  float8: 'float8',
  text: 'text',
  varchar: 'text',
  bool: 'bool',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  date: 'date',
  uuid: 'uuid',
  interval: 'interval',
}
const SPAN = /^(\d{1,5}) ?(microsecond|millisecond|second|minute|hour|day|week|month|year)s?$/i

function casting(expressions: Expressions, node: Json): Typed {
  const type = asObject(node['typeName']) ?? {}
  const names = asList(type['names']).map(nameOf)
  const plain = asList(type['typmods']).length === 0 && asList(type['arrayBounds']).length === 0 && type['setof'] !== true
  const kind = names.length === 1 || names[0] === 'pg_catalog' ? CASTS[names.at(-1) ?? ''] : undefined
  if (!kind || !plain) return refuse(`a cast to ${names.at(-1)}`)
  const value = expressions.of(node['arg'])
  // It becomes one of them all the same.
  if (value.division && kind === 'float8') return value
  if (kind === 'interval') {
    const [, count = '', unit = ''] = SPAN.exec(value.literal ?? '') ?? refuse('this interval')
    return { sql: `INTERVAL '${count} ${unit.toLowerCase()}s'`, kind }
  }
  if (value.kind === 'null' || value.literal !== undefined || value.kind === kind)
    return { sql: as(value, kind), kind, ...roundedAs([value]) }
  if (value.kind === 'bool' && kind === 'int4') return { sql: cast(value.sql, kind), kind }
  if (isWhole(value) && isWhole({ sql: '', kind })) return { sql: cast(value.sql, kind), kind }
  if (isWhole(value) && kind === 'numeric') return { sql: as(value, kind), kind, scale: 0 }
  return isNumber(value) ? { sql: as(value, kind), kind } : refuse(`a cast of ${value.kind} to ${kind}`)
}
