/** Calls of functions: most of them aggregate. */
import { nameOf } from '../postgres/tree-reader.ts'
import { asList, type Json } from '../rewrite/sql-tree.ts'
import { cast, isNumber, type Kind, refuse, type Typed } from './kinds.ts'
import { ORDERED, PRESENT, quotient, type Reading } from './pieces.ts'

export function call(expressions: Reading, node: Json): Typed {
  const names = asList(node['funcname']).map(nameOf)
  const name = names.length === 1 || names[0] === 'pg_catalog' ? (names.at(-1) ?? '') : refuse(`${names.join('.')}()`)
  const args = asList(node['args'])
  const isPlain = !['over', 'agg_order', 'agg_within_group', 'func_variadic'].some((part) => node[part])
  if (!isPlain) return refuse(node['over'] ? 'a window function' : `${name}(… ORDER BY …)`)
  const filter = node['agg_filter'] ? ` FILTER (WHERE ${expressions.condition(node['agg_filter'])})` : ''
  const isDistinct = node['agg_distinct'] === true
  if (node['agg_star'] === true && name === 'count') return aggregate(expressions, `COUNT(*)${filter}`, 'int8')
  if (name === 'now' && args.length === 0) return PRESENT
  const [value, ...more] = expressions.all(args)
  if (!value || more.length > 0 || value.literal !== undefined || value.kind === 'null') return refuse(`${name}()`)
  if (value.kind === 'quotient') return refuse(`${name}() of a quotient`)
  const inside = `(${isDistinct ? 'DISTINCT ' : ''}${value.sql})${filter}`
  const isDouble = value.kind === 'float8'
  if (name === 'count') return aggregate(expressions, `COUNT${inside}`, 'int8')
  if (name === 'abs' && isNumber(value) && value.kind !== 'float8' && filter === '') return { ...value, sql: `abs(${value.sql})` }
  if ((name === 'avg' || name === 'sum') && isDouble && !isDistinct) return rounded(expressions, name, value.sql, filter)
  if (name === 'avg' && isNumber(value) && !isDistinct) {
    expressions.aggregates++
    const of = value.kind === 'numeric' ? `SUM${inside}` : cast(`SUM${inside}`, 'numeric')
    return quotient({ of, by: `CAST(COUNT${inside} AS DECIMAL(19, 0))` }, null)
  }
  if (isDistinct) return refuse(`${name}(DISTINCT …)`)
  if (name === 'sum' && isNumber(value)) return sum(expressions, value, inside)
  if ((name === 'min' || name === 'max') && (isNumber(value) || ORDERED.includes(value.kind)))
    return { ...value, ...aggregate(expressions, `${name}${inside}`, value.kind) }
  if (name === 'bool_and' || name === 'bool_or' || name === 'every')
    return value.kind === 'bool' ? aggregate(expressions, `${name === 'every' ? 'bool_and' : name}${inside}`, 'bool') : refuse(name)
  return refuse(`${name}() of ${value.kind}`)
}

function sum(expressions: Reading, value: Typed, inside: string): Typed {
  if (value.kind === 'numeric') return { ...value, ...aggregate(expressions, `SUM${inside}`, 'numeric') }
  const kind = value.kind === 'int8' ? 'numeric' : 'int8'
  return { ...aggregate(expressions, cast(`SUM${inside}`, kind), kind), ...(kind === 'numeric' ? { scale: 0 } : {}) }
}

/**
 * Doubles are added in another order here. Each sum differs from the true one by half of a last digit for each of its rows, of all that was added: where
 * that is more than half of 1e-9 of the result, because much was taken away again, it is an error (a text that is no number), and is
 * computed where its rows are.
 */
function rounded(expressions: Reading, name: 'sum' | 'avg', value: string, filter: string): Typed {
  const of = (aggregated: string, argument: string) => aggregate(expressions, `${aggregated}(${argument})${filter}`, 'float8').sql
  const [sum, all, count] = [of('SUM', value), of('SUM', `abs(${value})`), of('COUNT', value)]
  const isFar = `abs(${sum}) * 4.5e6 < ${all} * ${count}`
  return {
    sql: `CASE WHEN ${isFar} THEN CAST('far: ' || CAST(${sum} AS VARCHAR) AS DOUBLE) ELSE ${of(name.toUpperCase(), value)} END`,
    kind: 'float8',
    isRounded: true,
  }
}

function aggregate(expressions: Reading, sql: string, kind: Kind): Typed {
  expressions.aggregates++
  return { sql, kind }
}
