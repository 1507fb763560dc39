/** Constants, and numbers that are divided. */
import { asObject, type Json, textOf } from '../rewrite/sql-tree.ts'
import { cast, type Kind, quoted, refuse, type Typed } from './kinds.ts'

/** What reads expressions. */
export interface Reading {
  /** How many aggregates were met. */
  aggregates: number
  all(values: unknown): Typed[]
  condition(value: unknown): string
}

export const PRESENT: Typed = { sql: 'NOW()', kind: 'timestamptz', isPresent: true }

/** Their order is the same in both engines; that of texts hangs on the collation. */
export const ORDERED: readonly Kind[] = ['timestamptz', 'timestamp', 'date']

export function bool(sql: string): Typed {
  return { sql, kind: 'bool' }
}

/** What is nothing else but its value: a record is never NULL. */
export function known(value: Typed): Typed {
  return value.division ? refuse('a quotient or an average within an expression') : value
}

/** @param otherwise Where it is NULL. */
export function quotient(division: NonNullable<Typed['division']>, otherwise: string | null): Typed {
  const fields = [`n := ${division.of}`, `d := ${division.by}`, ...(otherwise === null ? [] : [`o := ${otherwise}`])]
  return { sql: `struct_pack(${fields.join(', ')})`, kind: 'quotient', ...(otherwise === null ? { division } : {}) }
}

const INT4 = 2 ** 31

export function constant(node: Json): Typed {
  if (node['isnull'] === true) return { sql: 'NULL', kind: 'null' }
  const text = asObject(node['sval'])?.['sval'] ?? (node['sval'] ? '' : undefined)
  if (typeof text === 'string') return { sql: quoted(text), kind: 'text', literal: text }
  if (node['boolval']) return bool(asObject(node['boolval'])?.['boolval'] === true ? 'TRUE' : 'FALSE')
  if (node['ival']) {
    const value = Number(asObject(node['ival'])?.['ival'] ?? 0)
    return { sql: value < 0 ? `(${value})` : String(value), kind: 'int4' }
  }
  const written = textOf(asObject(node['fval'])?.['fval'])
  if (/^-?\d{1,18}$/.test(written)) return { sql: cast(written, 'int8'), kind: Math.abs(Number(written)) < INT4 ? 'int4' : 'int8' }
  return /^-?\d{0,18}\.\d{1,18}$/.test(written)
    ? { sql: `(${written.replace(/^(-?)\./, '$10.')})`, kind: 'numeric', scale: written.split('.')[1]?.length ?? 0 }
    : refuse('a constant')
}
