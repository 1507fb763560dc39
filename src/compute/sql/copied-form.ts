/**
 * A feature's statement over copies. Hundreds of features of one key, asked for as of one time, mostly read the same few rows of the same table, and
 * each would go through the whole table for them. Instead what the time shows of the key is taken out once, and every statement reads that.
 */
import type { SourceEngine, TableColumn } from '../../store/ports/source-engine.ts'
import { type KeyCondition, keyConditions } from './duckdb/key-conditions.ts'
import type { AnalysedSql } from './rewrite/analysis.ts'
import { quoteName } from './rewrite/lexer.ts'
import { markedRow, type Parameters } from './rewrite/parameters.ts'
import { bodyFor, physicalName, rowStatement, type Shadow, visiblePart } from './rewrite/statement.ts'

/** As it is kept: it becomes a statement beside others. */
export interface CopiedForm {
  /** With marks where values stand. */
  readonly marked: string
  readonly copies: readonly CopyForm[]
  /** What its text must be like. */
  readonly likeness: string
  /** Only columns of the same types may stand below one another. */
  readonly columnTypes: string
}

export interface CopyForm {
  readonly name: string
  readonly marked: string
  /** That it shows a part of. */
  readonly table: string
}

export interface CopiedOwner extends Parameters {
  readonly store: SourceEngine
  readonly natural: readonly TableColumn[]
}

/** Null: the engine needs none, or no part of what it reads is of the key alone. */
export function copiedFormOf(sql: AnalysedSql, owner: CopiedOwner, likeness: string): CopiedForm | null {
  if (owner.store.copies === null || sql.undeclared.length > 0) return null
  const copies = new Map<Shadow, CopyForm>()
  for (const [shadow, conditions] of keyConditions(sql, owner.entity)) copies.set(shadow, copyForm(shadow, conditions, owner))
  if (copies.size === 0) return null
  const copyOf = (shadow: Shadow) => copies.get(shadow)?.name ?? null
  const { text } = bodyFor(sql, sql.shadows, markedRow(owner), { copyOf })
  return {
    marked: rowStatement(text),
    copies: [...new Map([...copies.values()].map((copy) => [copy.name, copy])).values()],
    likeness,
    columnTypes: owner.natural.map(({ type }) => type).join(),
  }
}

/** The condition is the user's own, as it is written for one row. */
function copyForm(shadow: Shadow, conditions: readonly KeyCondition[], owner: Parameters): CopyForm {
  const row = markedRow(owner)
  const where = conditions.map(({ column, key }) => `${quoteName(column)} = ${row.parameter(`$${owner.entity.key[key]?.name}`, 0)}`)
  const marked = `SELECT * FROM ${visiblePart(shadow, row.asOf, undefined)} AS "__fabra_shown" WHERE ${where.join(' AND ')}`
  return { name: nameOf(marked), marked, table: physicalName(shadow) }
}

/** The same for all that read the same. */
const names = new Map<string, string>()
const MOST_NAMES = 10_000

function nameOf(text: string): string {
  const known = names.get(text)
  if (known !== undefined) return known
  const name = `__fabra_copy_${crypto.randomUUID().replaceAll('-', '')}`
  if (names.size >= MOST_NAMES) names.clear()
  names.set(text, name)
  return name
}
