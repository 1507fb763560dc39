/**
 * The engine takes whole numbers beyond 64 bits for floats, and two of them become one. What it took for floats is looked at once more, as the
 * text that the file has: whole numbers stay whole, and what no type of the engine holds is refused with its place.
 */
import type { RunOptions, TableColumn } from '../source-store.ts'
import { firstInexact, holdsFloats, parseSqlType, type SqlType } from '../sql-type.ts'
import type { Session } from './session.ts'
import { quoteName } from './sql.ts'

/** A value that would not be what the file says. */
export interface Inexact {
  readonly column: string
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
  const types = new Map<string, string>()
  for (const { name } of columns.filter(({ type }) => type === 'DOUBLE')) {
    const found = await scalarType(texts, name)
    if (typeof found === 'object') return found
    if (found !== 'DOUBLE') types.set(name, found)
  }
  for (const { name, type } of columns.filter((column) => column.type !== 'DOUBLE')) {
    const parsed = parseSqlType(type)
    const found = holdsFloats(parsed) ? await firstNested(texts, name, parsed) : undefined
    if (found) return found
  }
  return types
}

/** SQL of conditions on a text, which may be NULL. */
export function numberTests(text: string) {
  const whole = `regexp_full_match(${text}, '[+-]?[0-9]+')`
  const huge = `CASE WHEN ${whole} THEN TRY_CAST(${text} AS HUGEINT) END`
  return {
    whole,
    /** No type of whole numbers holds it. */
    tooLong: `${whole} AND ${huge} IS NULL`,
    /** As a float it would be another number. */
    inexact: `${whole} AND length(${text}) > 15 AND COALESCE(TRY_CAST(TRY_CAST(${text} AS DOUBLE) AS HUGEINT) <> ${huge}, true)`,
    overflow: `regexp_matches(${text}, '^[+-]?[.0-9]') AND COALESCE(isinf(TRY_CAST(${text} AS DOUBLE)), false)`,
  }
}

/** Those of some columns of texts all of whose values are whole numbers written as floats, `1.0`: so pandas writes ids where one is missing. */
export async function wholeFloats({ session, from, options }: NumberTexts, names: readonly string[]): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set()
  const counts = names.map((name) => {
    const text = `CAST(${quoteName(name)} AS VARCHAR)`
    return `count_if(${text} IS NOT NULL), count_if(regexp_full_match(trim(${text}), '[+-]?[0-9]{1,16}[.]0+'))`
  })
  const [row = []] = (await session.read(`SELECT ${counts.join(', ')} FROM ${from}`, [], options)).rows
  return new Set(names.filter((_, i) => Number(row[2 * i]) > 0 && row[2 * i] === row[2 * i + 1]))
}

async function scalarType({ session, from, options }: NumberTexts, name: string): Promise<string | Inexact> {
  const text = `trim(CAST(${quoteName(name)} AS VARCHAR))`
  const is = numberTests('text')
  const rows = `(SELECT row_number() OVER () AS row, ${text} AS text FROM ${from})`
  const isNumber = `regexp_matches(text, '^[+-]?[.0-9]')`
  const { rows: found } = await session.read(
    `SELECT count_if(${isNumber} AND NOT ${is.whole}), count_if(${is.tooLong}), min(row) FILTER (${is.tooLong}), min(row) FILTER (${is.inexact}), min(row) FILTER (${is.overflow}) FROM ${rows}`,
    [],
    options,
  )
  const [fractions = 0, tooLong = 0, longRow = null, inexactRow = null, overflowRow = null] = found[0] ?? []
  const at = async (row: unknown, why: string): Promise<Inexact> => {
    const shown = await session.read(`SELECT text FROM ${rows} WHERE row = ${Number(row)}`, [], options)
    return { column: name, row: Number(row), text: String(shown.rows[0]?.[0]), why }
  }
  if (overflowRow !== null) return at(overflowRow, 'is larger than any number can be')
  if (inexactRow === null) return 'DOUBLE'
  if (Number(fractions) > 0) return at(inexactRow, 'would be rounded: the column holds fractions too, so its numbers are floats')
  return Number(tooLong) > 0 ? at(longRow, 'is longer than any whole number can be') : 'HUGEINT'
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
        found = { column: `${name}${inexact.path}`, row: Number(row), text: inexact.text, why: 'would be another number as a float' }
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
