/**
 * What a shadow must be, said a second time: the rows of one table that are visible at a time. A mistake in the making of shadows is found by
 * comparing what was made with this.
 */
import type { SourceEngine } from '../../../store/ports/source-engine.ts'
import { canonical } from './proof-tree.ts'
import { asList, asObject, type Json, textOf } from './sql-tree.ts'
import type { Shadowed } from './visibility.ts'

/** Conditions of PRODUCT's rule: timestamp + delay < t, available ≤ t, until null or ≥ t. */
export function visibleWhere({ source, table }: Shadowed, asOf: string): string[] {
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
  const typeOf = (name: string) => table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())?.type ?? ''
  const isZoned = (name: string) => /TIMESTAMPTZ|WITH TIME ZONE/.test(typeOf(name))
  const isUtc = /^(?:UTC|GMT|Z|Zulu|Etc\/(?:UTC|GMT|Zulu))$/i.test(source.timezone)
  const zone = `'${source.timezone.replaceAll("'", "''")}'`
  const compared = (name: string, operator: string, limit: string) => {
    if (isZoned(name)) return `${quoted(name)} ${operator} ${limit}`
    if (isUtc) return `${quoted(name)} ${operator} CAST(${limit} AS TIMESTAMP)`
    return `(CAST(${quoted(name)} AS TIMESTAMP) AT TIME ZONE ${zone}) ${operator} ${limit}`
  }
  const naive = (name: string) => (isZoned(name) || isUtc ? quoted(name) : `(CAST(${quoted(name)} AS TIMESTAMP) AT TIME ZONE ${zone})`)
  const { timestamp, available, until, delay } = source
  return [
    ...(timestamp === null ? [] : [compared(timestamp, '<', delay === 0 ? asOf : `${asOf} - INTERVAL '${delay} microseconds'`)]),
    ...(available === null ? [] : [compared(available, '<=', asOf)]),
    ...(until === null ? [] : [`(${naive(until)} IS NULL OR ${compared(until, '>=', asOf)})`]),
  ]
}

/**
 * Whether a subquery reads one table alone, and only rows for which all conditions hold.
 * @param wanted The tree of `SELECT 1 WHERE …` with the conditions.
 */
export function showsOnlyVisible(
  dialect: SourceEngine['dialect'],
  trees: { readonly shadow: unknown; readonly wanted: unknown },
  { table }: Shadowed,
): boolean {
  const [shadow, wanted] = [conditionsOf(dialect, trees.shadow), conditionsOf(dialect, trees.wanted)]
  const there = new Set(shadow.map(canonical))
  const tables = tablesIn(trees.shadow)
  const isTable = tables.every(({ schema, name }) => schema === table.schema && name === table.name)
  return tables.length > 0 && isTable && wanted.every((condition) => there.has(canonical(condition)))
}

/** What is true of every row: the outermost AND of a WHERE, taken apart. */
function conditionsOf(dialect: SourceEngine['dialect'], tree: unknown): readonly unknown[] {
  const node = asObject(tree) ?? {}
  if (dialect === 'duckdb') return conjuncts(asObject(node['node'])?.['where_clause'], duckdbAnd)
  return conjuncts(asObject(node['SelectStmt'])?.['whereClause'], postgresAnd)
}

function conjuncts(condition: unknown, both: (node: Json) => readonly unknown[] | undefined): readonly unknown[] {
  const node = asObject(condition)
  if (!node) return []
  return both(node)?.flatMap((part) => conjuncts(part, both)) ?? [node]
}

function duckdbAnd(node: Json): readonly unknown[] | undefined {
  return node['type'] === 'CONJUNCTION_AND' ? asList(node['children']) : undefined
}

function postgresAnd(node: Json): readonly unknown[] | undefined {
  const boolean = asObject(node['BoolExpr'])
  return boolean?.['boolop'] === 'AND_EXPR' ? asList(boolean['args']) : undefined
}

function tablesIn(value: unknown): { readonly schema: string; readonly name: string }[] {
  if (Array.isArray(value)) return value.flatMap(tablesIn)
  const node = asObject(value)
  if (!node) return []
  const inner = Object.values(node).flatMap(tablesIn)
  if (node['type'] === 'BASE_TABLE') return [{ schema: textOf(node['schema_name']), name: textOf(node['table_name']) }, ...inner]
  const range = asObject(node['RangeVar'])
  return range ? [{ schema: textOf(range['schemaname']), name: textOf(range['relname']) }, ...inner] : inner
}
