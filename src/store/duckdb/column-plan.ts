import type { KeyType, Source } from '../../definition/model.ts'
import { suggest } from '../../errors.ts'
import type { TableColumn } from '../source-store.ts'
import { keySqlType } from './row-table.ts'
import { SourceProblem } from './source-problem.ts'
import { quoteName, quoteText } from './sql.ts'

/** How one column of a file becomes a column of the table. */
export interface ColumnPlan {
  readonly name: string
  /** What the reader gives; for CSV and JSON we choose it, for Parquet the file does. */
  readonly readAs: string
  /** Gives NULL where the value does not convert; null: the column is taken as it is. */
  readonly tryCast: string | null
  /** A condition under which the value is NULL, besides being so in the file. */
  readonly isNull?: string | null
  /** What the column is to be, in words for the user. */
  readonly wanted: string
  readonly type: string
}

export interface SourceColumns {
  readonly source: Source
  readonly keyTypes: Readonly<Record<string, KeyType>>
}

/** Columns of `source` that hold times, in the order of the definition. */
export function timeColumns(source: Source): { readonly option: string; readonly name: string }[] {
  const all = [
    { option: 'timestamp', name: source.timestamp },
    { option: 'available', name: source.available },
    { option: 'until', name: source.until },
  ]
  return all.flatMap(({ option, name }) => (name === null ? [] : [{ option, name }]))
}

/** @throws SourceProblem when a column that the definition names is not there. */
export function checkColumns(source: Source, found: readonly string[], where: string): void {
  const named = [
    ...timeColumns(source),
    ...(source.id === null ? [] : [{ option: 'id', name: source.id }]),
    ...Object.keys(source.columns ?? {}).map((name) => ({ option: 'columns', name })),
  ]
  for (const { option, name } of named) {
    if (found.includes(name)) continue
    throw new SourceProblem(
      `${where} has no column "${name}" (${option} of the source).`,
      `${suggest(name, found)} It has: ${found.slice(0, 20).join(', ')}.`,
    )
  }
}

/** @param fromText The reader can give every column as text (CSV, JSON), so texts are converted here, strictly, and not guessed at. */
export function planColumns(input: SourceColumns, found: readonly TableColumn[], fromText: boolean): ColumnPlan[] {
  const times = new Map(timeColumns(input.source).map(({ name, option }) => [name, option]))
  return found.map((column) => {
    const option = times.get(column.name)
    if (option) return timePlan(input.source, column, option, fromText)
    const override = input.source.columns?.[column.name]
    if (override !== undefined) {
      return { name: column.name, readAs: fromText ? override : column.type, tryCast: null, wanted: override, type: override }
    }
    // The engine's names know no case, so `User_ID` in the file is the key `user_id`.
    const key = Object.entries(input.keyTypes).find(([name]) => name.toLowerCase() === column.name.toLowerCase())?.[1]
    if (key) return keyPlan(column, key, fromText)
    return { name: column.name, readAs: column.type, tryCast: null, wanted: column.type, type: column.type }
  })
}

function keyPlan(column: TableColumn, key: KeyType, fromText: boolean): ColumnPlan {
  const readAs = fromText ? 'VARCHAR' : column.type
  const text = `CAST(${quoteName(column.name)} AS VARCHAR)`
  const type = keySqlType(key)
  const casts: Readonly<Record<KeyType, string>> = {
    string: text,
    // A plain cast would round 1.5 to 2.
    int: `CASE WHEN regexp_full_match(trim(${text}), '[+-]?[0-9]+') THEN TRY_CAST(${text} AS BIGINT) END`,
    uuid: `TRY_CAST(${text} AS UUID)`,
  }
  const wanted = { string: 'a string', int: 'a 64-bit int', uuid: 'a uuid' }[key]
  return { name: column.name, readAs, tryCast: readAs === type ? null : casts[key], wanted: `${wanted} (a key column)`, type }
}

/** A text that names its own zone: something after the seconds or minutes. */
const ZONED_TEXT = String.raw`:[0-9]{2}(\.[0-9]+)?\s*([zZ]|[+-][0-9]{2}(:?[0-9]{2}){0,2}|[A-Za-z]+[A-Za-z_/+-]*[0-9]*)\s*$`

function timePlan(source: Source, column: TableColumn, option: string, fromText: boolean): ColumnPlan {
  const plan = { name: column.name, wanted: `a time (${option} of the source)`, type: 'TIMESTAMPTZ' }
  const name = quoteName(column.name)
  const zone = quoteText(source.timezone)
  // Parquet does not carry infinity (it comes back as a year of 1900). An end that never comes is no end; elsewhere it is no time.
  const finite = (time: string) => `CASE WHEN isfinite(${time}) THEN ${time} END`
  const finiteNaive = (naive: string, time: string) => `CASE WHEN isfinite(${naive}) THEN ${time} END`
  const readAs = column.type
  const neverEnds = option === 'until' ? `CAST(${name} AS VARCHAR) = 'infinity'` : null
  if (column.type === 'TIMESTAMP WITH TIME ZONE' && !fromText) return { ...plan, readAs, tryCast: finite(name), isNull: neverEnds }
  if (/^(TIMESTAMP(_S|_MS|_NS)?|DATE)$/.test(column.type)) {
    const naive = `CAST(${name} AS TIMESTAMP)`
    // Calendars take thirty times as long, and UTC needs none.
    const time = source.timezone === 'UTC' ? `make_timestamptz(epoch_us(${naive}))` : `timezone(${zone}, ${naive})`
    return { ...plan, readAs, tryCast: finiteNaive(naive, time), isNull: neverEnds }
  }
  if (column.type !== 'VARCHAR' && !fromText) {
    throw new SourceProblem(
      `Column "${column.name}" (${option} of the source) is ${column.type}, not a time.`,
      'Name a column of timestamps, or write the file with one.',
    )
  }
  const asUtc = `TRY_CAST(${name} AS TIMESTAMPTZ)`
  const tryCast =
    source.timezone === 'UTC'
      ? asUtc
      : `CASE WHEN regexp_matches(${name}, ${quoteText(ZONED_TEXT)}) THEN ${asUtc} ELSE timezone(${zone}, TRY_CAST(${name} AS TIMESTAMP)) END`
  // Words are no times, whatever the engine makes of "epoch".
  return {
    ...plan,
    readAs: 'VARCHAR',
    tryCast: `CASE WHEN regexp_matches(${name}, '^\\s*[0-9]') THEN ${finite(tryCast)} END`,
    isNull: neverEnds,
  }
}

/** The column's expression in the SELECT that reads the file. A value that does not convert stops it and says which column it was. */
export function selectExpression(plan: ColumnPlan, index: number): string {
  const name = quoteName(plan.name)
  if (plan.tryCast === null) {
    return plan.readAs === plan.type ? name : `CAST(${name} AS ${plan.type}) AS ${name}`
  }
  const fail = `error(concat('${BAD_VALUE}', ${index}, ':', CAST(${name} AS VARCHAR)))`
  return `COALESCE(${plan.tryCast}, CASE WHEN ${isGiven(plan)} THEN ${fail} END) AS ${name}`
}

/** The file has a value here, so it must convert. */
export function isGiven(plan: ColumnPlan): string {
  const name = quoteName(plan.name)
  return plan.isNull ? `${name} IS NOT NULL AND NOT (${plan.isNull})` : `${name} IS NOT NULL`
}

/** Begins the engine's message when a value did not convert; the column's index follows. */
export const BAD_VALUE = '__fabra_bad_value:'
