/**
 * The engine takes whole numbers beyond 64 bits for floats, and two of them become one. What it took for floats is looked at once more, as the
 * text that the file has: whole numbers stay whole, and what no type of the engine holds is refused with its place.
 */
import type { RunOptions, SqlValue, TableColumn } from '../../ports/source-engine.ts'
import { firstInexact, holdsFloats, parseSqlType, type SqlType } from '../../ports/sql-type.ts'
import type { Session } from '../connection/session.ts'
import { quoteName } from '../sql.ts'

/** A value that would not be what the file says. */
export interface Inexact {
  readonly column: string
  /** `.a[3]` inside of the column's value, or empty. */
  readonly path: string
  /** From 1. */
  readonly row: number
  readonly text: string
  readonly why: string
}

export interface NumberTexts {
  readonly session: Session
  /** A table function that gives every column as its text: VARCHAR of CSV, JSON of JSON. */
  readonly from: string
  readonly options: RunOptions
}

/** Texts in which a float may lie that is not what is written: only they are looked at one by one. */
const SUSPICIOUS = '[0-9]{16}|[eE][+]?[0-9]{3}'

/**
 * @param columns With the types that the engine found. Those that are read as something else anyway are left out.
 * @returns the types of columns that are better read as others, by name; or the first value that fits none.
 */
export async function exactTypes(texts: NumberTexts, columns: readonly TableColumn[]): Promise<ReadonlyMap<string, string> | Inexact> {
  const floats = columns.filter(({ type }) => type === 'DOUBLE').map(({ name }) => name)
  const types = await scalarTypes(texts, floats)
  if ('row' in types) return types
  for (const { name, type } of columns.filter((column) => column.type !== 'DOUBLE')) {
    const parsed = parseSqlType(type)
    const found = holdsFloats(parsed) ? await firstNested(texts, name, parsed) : undefined
    if (found) return found
  }
  return types
}

/** SQL of conditions on a text, which may be NULL. Casts that fail are slow: only texts of a length that needs one are cast. */
export function numberTests(text: string) {
  const whole = `regexp_full_match(${text}, '[+-]?[0-9]+')`
  const longer = (than: number, condition: string) => `CASE WHEN length(${text}) > ${than} THEN ${condition} ELSE false END`
  const huge = `TRY_CAST(${text} AS HUGEINT)`
  return {
    whole,
    beyond64: longer(18, `${whole} AND TRY_CAST(${text} AS BIGINT) IS NULL`),
    /** No type of whole numbers holds it. */
    tooLong: longer(38, `${whole} AND ${huge} IS NULL`),
    /** As a float it would be another number. */
    inexact: longer(15, `${whole} AND COALESCE(TRY_CAST(TRY_CAST(${text} AS DOUBLE) AS HUGEINT) <> ${huge}, true)`),
    overflow: longer(
      4,
      `regexp_matches(${text}, '^[+-]?[.0-9].*([eE][+]?[0-9]{3}|[0-9]{300})') AND COALESCE(isinf(TRY_CAST(${text} AS DOUBLE)), false)`,
    ),
  }
}

/** Those of some columns of texts all of whose values are whole numbers written as floats, `1.0`: so pandas writes ids where one is missing. */
export async function wholeFloats(texts: NumberTexts, names: readonly string[]): Promise<ReadonlySet<string>> {
  const facts = await ofEachColumn(texts, names, [`bool_and(regexp_full_match(trim(t), '[+-]?[0-9]{1,16}[.]0+'))`])
  return new Set(names.filter((_, i) => facts[i]?.[0] === true))
}

async function scalarTypes(texts: NumberTexts, names: readonly string[]): Promise<Map<string, string> | Inexact> {
  const is = numberTests('t')
  const row = (condition: string) => `min(row) FILTER (${condition})`
  const facts = await ofEachColumn(texts, names, [
    row(is.overflow),
    row(is.inexact),
    `count_if(regexp_matches(t, '^[+-]?[.0-9]') AND NOT ${is.whole})`,
    row(is.tooLong),
  ])
  const types = new Map<string, string>()
  for (const [i, name] of names.entries()) {
    const [overflow, inexact, fractions, tooLong] = facts[i] ?? []
    const wrong = wrongNumber({ overflow, inexact, tooLong, hasFractions: Number(fractions) > 0 })
    if (wrong) return { column: name, path: '', row: wrong.row, text: await textAt(texts, name, wrong.row), why: wrong.why }
    if (typeof inexact === 'number') types.set(name, 'HUGEINT')
  }
  return types
}

/** Rows are null where there is none. */
interface NumberFacts {
  readonly overflow: SqlValue | undefined
  readonly inexact: SqlValue | undefined
  readonly tooLong: SqlValue | undefined
  readonly hasFractions: boolean
}

function wrongNumber({
  overflow,
  inexact,
  tooLong,
  hasFractions,
}: NumberFacts): { readonly row: number; readonly why: string } | undefined {
  if (typeof overflow === 'number') return { row: overflow, why: 'is larger than any number can be' }
  if (typeof inexact !== 'number') return undefined
  if (hasFractions) return { row: inexact, why: 'would be rounded: the column holds fractions too, so its numbers are floats' }
  return typeof tooLong === 'number' ? { row: tooLong, why: 'is longer than any whole number can be' } : undefined
}

async function textAt({ session, from, options }: NumberTexts, name: string, row: number): Promise<string> {
  const text = `SELECT t FROM (SELECT row_number() OVER () AS row, CAST(${quoteName(name)} AS VARCHAR) AS t FROM ${from}) WHERE row = ${row}`
  return String((await session.read(text, [], options)).rows[0]?.[0])
}

/**
 * Aggregates over each column's `t`, its text, and `row`, from 1. The columns of a row become rows on the way: as many aggregates as there are
 * columns would take the engine's planner a time that grows with their square.
 * @returns per column, in their order; aggregates over no texts are NULL, or nothing.
 */
export async function ofEachColumn(
  { session, from, options }: NumberTexts,
  names: readonly string[],
  aggregates: readonly string[],
): Promise<readonly (readonly SqlValue[])[]> {
  if (names.length === 0) return []
  const texts = names.map((name) => `CAST(${quoteName(name)} AS VARCHAR)`)
  const { rows } = await session.read(
    `SELECT i, ${aggregates.join(', ')}
     FROM (SELECT row, unnest(range(${names.length})) AS i, unnest(texts) AS t FROM (SELECT row_number() OVER () AS row, [${texts.join(', ')}] AS texts FROM ${from}))
     GROUP BY i`,
    [],
    options,
  )
  const found = new Map(rows.map(([i, ...values]) => [Number(i), values]))
  return names.map((_, i) => found.get(i) ?? [])
}

async function firstNested({ session, from, options }: NumberTexts, name: string, type: SqlType): Promise<Inexact | undefined> {
  const text = `CAST(${quoteName(name)} AS VARCHAR)`
  let found: Inexact | undefined
  await session.stream(
    `SELECT row, text FROM (SELECT row_number() OVER () AS row, ${text} AS text FROM ${from}) WHERE regexp_matches(text, '${SUSPICIOUS}') ORDER BY row`,
    options,
    () => async (chunk) => {
      for (const [row, given] of found ? [] : chunk.getRows()) {
        const inexact = firstInexact(jsonNumbers(String(given)), type)
        if (!inexact) continue
        found = { column: name, path: inexact.path, row: Number(row), text: inexact.text, why: 'would be another number as a float' }
        return
      }
    },
  )
  return found
}

/** Whole numbers as bigints; what is larger than any float as Infinity. The engine's JSON has words that JSON has not: they are no numbers. */
function jsonNumbers(text: string): unknown {
  const plain = text.replace(/"(?:[^"\\]|\\.)*"|[-+]?\b(?:nan|inf|infinity)\b/gi, (found) => (found.startsWith('"') ? found : 'null'))
  return JSON.parse(plain, (_key, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? BigInt(context?.source ?? 0)
      : value,
  )
}
