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
  /** A row without a value is one whose value does not convert. */
  readonly required?: boolean
  /** What to do where a value does not convert, unless it is the usual. */
  readonly hint?: string
  /** What is to be known of how the column is read. */
  readonly note?: string
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

/** A column as it was found in a file. */
export interface FoundColumn extends TableColumn {
  /** Of CSV, whose types are guesses: all of a key's values are written as whole floats, `1.0`. */
  readonly isFloatKey?: boolean
}

/** The engine's names know no case, so `User_ID` in the file is the key `user_id`. */
export function keyTypeOf({ keyTypes }: SourceColumns, column: string): KeyType | undefined {
  return Object.entries(keyTypes).find(([name]) => name.toLowerCase() === column.toLowerCase())?.[1]
}

/** @param fromText The reader can give every column as text (CSV, JSON), so texts are converted here, strictly, and not guessed at. @param textsAs What texts are read as then. */
export function planColumns(
  input: SourceColumns,
  found: readonly FoundColumn[],
  fromText: boolean,
  textsAs: 'VARCHAR' | 'JSON' = 'VARCHAR',
): ColumnPlan[] {
  const times = new Map(timeColumns(input.source).map(({ name, option }) => [name, option]))
  return found.map((column) => {
    const option = times.get(column.name)
    if (option) return timePlan(input.source, column, option, fromText)
    const override = input.source.columns?.[column.name]
    if (override !== undefined) return overridePlan(column, override, fromText ? textsAs : column.type)
    const key = keyTypeOf(input, column.name)
    if (key) return keyPlan(column, key, fromText ? textsAs : column.type)
    return { name: column.name, readAs: column.type, tryCast: null, wanted: column.type, type: column.type }
  })
}

const WHOLE_TYPE = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|U?INT(1|2|4|8|16|32|64|128)?|SHORT|LONG|SIGNED)$/i

/** A plain cast would make 2 of 1.5, and the reader of JSON takes long decimals for floats on the way. */
function overridePlan({ name, type }: FoundColumn, override: string, readAs: string): ColumnPlan {
  const hint = `Mend the row, or give the column another type: columns: { ${name}: "VARCHAR" }.`
  const plan = { name, wanted: override, type: override, hint }
  const isText = readAs === 'VARCHAR' || readAs === 'JSON'
  // As text, JSON's numbers keep the digits that are written; taken out of it, fractions lose some.
  const written = `CAST(${quoteName(name)} AS VARCHAR)`
  const ofJson = `CASE json_type(${quoteName(name)}) WHEN 'VARCHAR' THEN json_extract_string(${quoteName(name)}, '$') ELSE ${written} END`
  const text = readAs === 'JSON' ? ofJson : quoteName(name)
  if (WHOLE_TYPE.test(override) && (isText || /^(FLOAT|DOUBLE|DECIMAL)/.test(type))) {
    const isWhole = isText ? `regexp_full_match(trim(${text}), '[+-]?[0-9]+([.]0*)?')` : `${text} = floor(${text})`
    return { ...plan, readAs, tryCast: `CASE WHEN ${isWhole} THEN TRY_CAST(${text} AS ${override}) END`, isNull: nullOf(name, readAs) }
  }
  if (readAs === 'JSON' && /^(DECIMAL|NUMERIC|DEC)\b/i.test(override)) {
    return { ...plan, readAs, tryCast: `TRY_CAST(${text} AS ${override})`, isNull: nullOf(name, readAs) }
  }
  return { ...plan, readAs: isText ? override : readAs, tryCast: null }
}

/** JSON's null is a value to the engine. */
function nullOf(name: string, readAs: string): string | null {
  return readAs === 'JSON' ? `json_type(${quoteName(name)}) = 'NULL'` : null
}

function keyPlan(column: FoundColumn, key: KeyType, readAs: string): ColumnPlan {
  const name = quoteName(column.name)
  const type = keySqlType(key)
  const isFloat = readAs === 'JSON' ? column.type === 'DOUBLE' : column.isFloatKey === true || /^(FLOAT|DOUBLE)$/.test(readAs)
  const text = keyText(name, readAs, column.isFloatKey === true)
  const casts: Readonly<Record<KeyType, string>> = {
    string: text,
    // A plain cast would round 1.5 to 2.
    int: `CASE WHEN regexp_full_match(trim(${text}), '[+-]?[0-9]+') THEN TRY_CAST(${text} AS BIGINT) END`,
    uuid: `TRY_CAST(${text} AS UUID)`,
  }
  const wanted = {
    string: isFloat || readAs.startsWith('DECIMAL') ? 'a whole number, which ids of numbers must be' : 'a string',
    int: 'a 64-bit int',
    uuid: 'a uuid',
  }[key]
  const plan = {
    name: column.name,
    readAs,
    tryCast: readAs === type && !isFloat ? null : casts[key],
    wanted: `${wanted} (a key column)`,
    type,
  }
  if (readAs === 'JSON') return { ...plan, isNull: nullOf(column.name, readAs), ...(isFloat ? floatKey(column.name) : {}) }
  return isFloat ? { ...plan, ...floatKey(column.name) } : plan
}

/** Whole numbers become floats where one is missing, so a row without an id is not told from one whose id was lost. */
function floatKey(name: string) {
  return {
    required: true,
    hint: `Leave the row out, or write the ids as whole numbers or texts: in pandas, df["${name}"] = df["${name}"].astype("Int64").`,
    note: `Column "${name}" is a key, and the file has its values as floats: 1.0 is read as the id 1.`,
  }
}

/**
 * SQL of a key's text. Floats that are whole are whole ids, as far as each is another number; all other floats are NULL: of 1.5 nobody could
 * say whether it is written so elsewhere, and NaN is no id.
 * @param isFloatText The text of a whole float: `1.0`.
 */
export function keyText(name: string, type: string, isFloatText = false): string {
  const text = `CAST(${name} AS VARCHAR)`
  if (type === 'JSON') {
    const float = `TRY_CAST(${text} AS DOUBLE)`
    return `CASE json_type(${name}) WHEN 'VARCHAR' THEN json_extract_string(${name}, '$') WHEN 'NULL' THEN NULL
      WHEN 'DOUBLE' THEN CASE WHEN regexp_full_match(${text}, '-?[0-9]+') THEN ${text} ELSE ${wholeText(float, MAX_SAFE)} END ELSE ${text} END`
  }
  if (isFloatText) return `regexp_replace(trim(${text}), '\\.0+$', '')`
  if (/^DECIMAL/.test(type)) return `CASE WHEN ${name} = floor(${name}) THEN CAST(CAST(${name} AS HUGEINT) AS VARCHAR) END`
  if (type === 'FLOAT') return wholeText(name, MAX_SAFE_SINGLE)
  return type === 'DOUBLE' ? wholeText(name, MAX_SAFE) : text
}

const MAX_SAFE = 2 ** 53 - 1
const MAX_SAFE_SINGLE = 2 ** 24 - 1

function wholeText(float: string, limit: number): string {
  return `CASE WHEN abs(${float}) <= ${limit} AND ${float} = floor(${float}) THEN CAST(CAST(${float} AS BIGINT) AS VARCHAR) END`
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
  if (plan.required) return 'true'
  return plan.isNull ? `${name} IS NOT NULL AND NOT (${plan.isNull})` : `${name} IS NOT NULL`
}

/** Begins the engine's message when a value did not convert; the column's index follows. */
export const BAD_VALUE = '__fabra_bad_value:'
