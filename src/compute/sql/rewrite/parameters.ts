/** How a feature's parameters are written: `$key` and `$input` of the user's text, and what stands for them in each statement. */
import { baseType } from '../../../definition/declared-type.ts'
import type { Entity, Feature, ValueType } from '../../../definition/model.ts'
import { formatTime } from '../../../definition/time.ts'
import { suggest } from '../../../errors.ts'
import type { ComputeRow } from '../../executor.ts'
import { type Gate, writeLikeSql } from '../gate.ts'
import type { AnalysedSql } from './analysis.ts'
import type { SqlFault } from './forbidden.ts'
import { quoteText } from './lexer.ts'
import { type RowReference, rowStatement } from './statement.ts'

/** Whose parameters a text may name. */
export interface Owner {
  readonly feature: Feature
  readonly entity: Entity
}

/** SQL type per key column. */
export type KeyTypes = readonly string[]

export interface Parameters extends Owner {
  readonly keyTypes: KeyTypes
}

/** A statement for one row and what its `$1`, `$2`, … stand for. */
export interface RowSql {
  readonly text: string
  readonly parameters: readonly RowParameter[]
}

export type RowParameter =
  | { readonly kind: 'asOf' }
  | { readonly kind: 'key'; readonly index: number }
  | { readonly kind: 'input'; readonly name: string }

/** The same in both engines. */
const INPUT_SQL: Readonly<Record<ValueType, string>> = {
  int: 'BIGINT',
  float: 'DOUBLE PRECISION',
  string: 'VARCHAR',
  bool: 'BOOLEAN',
  timestamp: 'TIMESTAMPTZ',
  list: 'JSON',
  dict: 'JSON',
  json: 'JSON',
}

/** Stands for the row list while a statement is only prepared. */
export function setPrelude(keyTypes: KeyTypes): string {
  const keys = keyTypes.map((type, i) => `CAST(NULL AS ${type}) AS __fabra_k${i}`)
  const columns = ['CAST(0 AS BIGINT) AS __fabra_ord', ...keys, 'CAST(NULL AS TIMESTAMPTZ) AS __fabra_as_of']
  return `WITH __fabra_row AS (SELECT ${columns.join(', ')})\n`
}

export function lateralRow({ entity }: Owner): RowReference {
  return {
    asOf: '__fabra_row.__fabra_as_of',
    parameter: (written) => `__fabra_row.__fabra_k${keyIndex(written, entity)}`,
  }
}

/** Placeholders are numbered as they come to stand in the text: an engine refuses to be given one that it does not meet. */
export async function rowSqlOf(sql: AnalysedSql, owner: Parameters, gate: Gate): Promise<RowSql> {
  return (await likeRowSqlOf(sql, owner, gate)).row
}

/** Marks stand for values until it is settled which numbers they have. */
export function markedRow(owner: Parameters): RowReference {
  const { entity, feature } = owner
  return {
    asOf: 'CAST(__fabra_asof_ AS TIMESTAMPTZ)',
    parameter(written) {
      const index = keyIndex(written, entity)
      const type = parameterType(written, owner) ?? 'VARCHAR'
      return `CAST(${index === -1 ? `__fabra_input_${inputName(written, feature)}` : `__fabra_key_${index}`} AS ${type})`
    },
  }
}

/** The as-of time is the first parameter, the columns of the key follow. */
export function numberedKey(marked: string): string {
  return marked.replace(/__fabra_(asof|key)_(\d*)/g, (_, kind: string, index: string) => `$${kind === 'asof' ? 1 : Number(index) + 2}`)
}

/** As literals: an engine that is given parameters plans a statement when it is prepared, and once more when it knows them. */
export function writtenKey(marked: string, { asOf, key }: ComputeRow): string {
  return marked.replace(/__fabra_(asof|key)_(\d*)/g, (_, kind: string, index: string) =>
    quoteText(kind === 'asof' ? formatTime(asOf) : (key.values[Number(index)] ?? '')),
  )
}

export interface LikeRowSql {
  readonly row: RowSql
  readonly likeness: string
}

export async function likeRowSqlOf(sql: AnalysedSql, owner: Parameters, gate: Gate): Promise<LikeRowSql> {
  const parameters = new Map<string, RowParameter>()
  let isWhole = true
  const finish = (written: string) => {
    const finished = written.replace(/__fabra_(asof|input|key)_(\w*)/g, (mark, kind: string, name: string) => {
      if (isWhole && kind === 'asof') parameters.set(mark, { kind: 'asOf' })
      else if (isWhole) parameters.set(mark, kind === 'key' ? { kind: 'key', index: Number(name) } : { kind: 'input', name })
      return `$${[...parameters.keys()].indexOf(mark) + 1}`
    })
    // The statement comes first, and settles which parameters there are.
    isWhole = false
    return finished
  }
  const { text, likeness } = await writeLikeSql(sql, { row: markedRow(owner), frame: rowStatement, finish }, gate)
  return { row: { text, parameters: [...parameters.values()] }, likeness }
}

/**
 * Typed stand-ins for values while a statement is only prepared. Not constants where that can be had: engines give some functions of a constant
 * NULL another type.
 */
export function standIns(owner: Parameters, constant: boolean): RowReference {
  const value = (type: string) =>
    constant ? `CAST(NULL AS ${type})` : `(SELECT __fabra_value FROM (SELECT CAST(NULL AS ${type}) AS __fabra_value) AS __fabra_one)`
  return {
    asOf: "CAST('2001-01-01 00:00:00+00' AS TIMESTAMPTZ)",
    parameter: (written) => value(parameterType(written, owner) ?? 'VARCHAR'),
  }
}

export function keyIndex(written: string, entity: Entity): number {
  return entity.key.findIndex((column) => column.name.toLowerCase() === written.slice(1).toLowerCase())
}

function inputName(written: string, feature: Feature): string | undefined {
  return Object.keys(feature.inputs).find((name) => name.toLowerCase() === written.slice(1).toLowerCase())
}

/** SQL type of `$name`; undefined when the feature has no such parameter. */
export function parameterType(written: string, { entity, feature, keyTypes }: Parameters): string | undefined {
  const index = keyIndex(written, entity)
  if (index !== -1) return keyTypes[index]
  const type = feature.inputs[inputName(written, feature) ?? '']
  return type && INPUT_SQL[baseType(type)]
}

export function unknownParameters(sql: AnalysedSql, owner: Owner): SqlFault[] {
  const names = [...owner.entity.key.map((column) => column.name), ...Object.keys(owner.feature.inputs)].map((name) => `$${name}`)
  const isKnown = (name: string) => keyIndex(name, owner.entity) !== -1 || inputName(name, owner.feature) !== undefined
  const unknown = sql.tokens.filter((token) => token.kind === 'parameter' && !isKnown(token.text))
  return unknown.map((token) => {
    const message = `The parameter ${token.text} is no key column of ${owner.entity.name}.`
    return { message, hint: /^\$[a-z_]/i.test(token.text) ? suggest(token.text, names) : `Write ${names.join(', ')}.`, at: token.start }
  })
}
