import type { KeyType, Source } from '../../../definition/model.ts'
import { suggest } from '../../../errors.ts'
import type { TableColumn } from '../../ports/source-engine.ts'
import { quoteName, quoteText } from '../sql.ts'
import { duckdbType } from './column-types.ts'
import { keySqlType } from './row-table.ts'
import { SourceProblem } from './source-problem.ts'

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
  /** Of a column of times: how the source says they are written; null: it says nothing. */
  readonly format?: string | null
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
export function checkColumns(source: Source, found: readonly string[], where: string, verb = 'has no column'): void {
  checkNamed(
    [
      ...timeColumns(source),
      ...(source.id === null ? [] : [{ option: 'id', name: source.id }]),
      ...Object.keys(source.columns ?? {}).map((name) => ({ option: 'columns', name })),
    ],
    found,
    `${where} ${verb}`,
  )
}

/** The same of times and ids alone, without which a row means nothing. */
export function checkTimes(source: Source, found: readonly string[], where: string): void {
  checkNamed([...timeColumns(source), ...(source.id === null ? [] : [{ option: 'id', name: source.id }])], found, `${where} has no column`)
}

function checkNamed(named: readonly { readonly option: string; readonly name: string }[], found: readonly string[], start: string): void {
  for (const { option, name } of named) {
    if (found.includes(name)) continue
    throw new SourceProblem(
      `${start} "${name}" (${option} of the source).`,
      `${suggest(name, found)} It has: ${[...new Set(found)].slice(0, 20).join(', ')}.`,
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

/**
 * @param textsAs How the reader gives every column as text (CSV, JSON), so that texts are converted here, strictly, and not guessed at; null: it does not.
 * @param textTypes What columns of texts are, where it is more than that.
 * @param partition Columns that are texts whatever the file is.
 */
export function planColumns(
  input: SourceColumns,
  found: readonly FoundColumn[],
  textsAs: 'VARCHAR' | 'JSON' | null,
  textTypes: ReadonlyMap<string, string> = new Map(),
  partition: readonly string[] = [],
): ColumnPlan[] {
  const times = new Map(timeColumns(input.source).map(({ name, option }) => [name, option]))
  return found.map((column) => {
    const option = times.get(column.name)
    if (option) return timePlan(input.source, column, option, textsAs !== null || partition.includes(column.name))
    const override = input.source.columns?.[column.name]
    const isFolder = partition.includes(column.name)
    const readAs = isFolder ? 'VARCHAR' : (textsAs ?? column.type)
    if (override !== undefined) return overridePlan(column, duckdbType(override), readAs, isFolder)
    const key = keyTypeOf(input, column.name)
    if (key) return keyPlan(column, key, readAs)
    const type = textTypes.get(column.name) ?? 'VARCHAR'
    if (type !== 'VARCHAR') {
      const tryCast = `TRY_CAST(${quoteName(column.name)} AS ${type})`
      return { name: column.name, readAs: 'VARCHAR', tryCast, wanted: type, type }
    }
    return { name: column.name, readAs: column.type, tryCast: null, wanted: column.type, type: column.type }
  })
}

const WHOLE_TYPE = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|U?INT(1|2|4|8|16|32|64|128)?|SHORT|LONG|SIGNED)$/i

/** A plain cast would make 2 of 1.5. */
function overridePlan({ name, type }: FoundColumn, override: string, readAs: string, isFolder: boolean): ColumnPlan {
  const hint = `Mend the row, or give the column another type: columns: { ${name}: "VARCHAR" }.`
  const plan = { name, wanted: override, type: override, hint }
  const isText = readAs === 'VARCHAR' || readAs === 'JSON'
  const text = readAs === 'JSON' ? `json_extract_string(${quoteName(name)}, '$')` : quoteName(name)
  if (WHOLE_TYPE.test(override) && (isText || /^(FLOAT|DOUBLE|DECIMAL)/.test(type))) {
    const isWhole = isText ? `regexp_full_match(trim(${text}), '[+-]?[0-9]+([.]0*)?')` : `${text} = floor(${text})`
    return { ...plan, readAs, tryCast: `CASE WHEN ${isWhole} THEN TRY_CAST(${text} AS ${override}) END`, isNull: nullOf(name, readAs) }
  }
  if (isFolder) return { ...plan, readAs, tryCast: `TRY_CAST(${text} AS ${override})` }
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
/** The year comes first, in four digits: nothing is left to guess. (Words are no times, whatever the engine makes of "epoch".) */
const YEAR_FIRST = String.raw`^\s*[0-9]{4}[-/]`

/** Numbers of these since 1970 are times, where the source says so. */
export const EPOCHS: readonly string[] = ['epoch_s', 'epoch_ms', 'epoch_us']
const EPOCH_MICROS: Readonly<Record<string, number>> = { epoch_s: 1_000_000, epoch_ms: 1_000, epoch_us: 1 }

/** How a column of times is written; null: as ISO has it. */
export function formatOf(source: Source, column: string): string | null {
  const { format } = source
  return typeof format === 'string' ? format : (format?.[column] ?? null)
}

function timePlan(source: Source, column: TableColumn, option: string, fromText: boolean): ColumnPlan {
  const format = formatOf(source, column.name)
  const plan = { name: column.name, wanted: `a time (${option} of the source)`, type: 'TIMESTAMPTZ', format }
  const name = quoteName(column.name)
  // Parquet does not carry infinity (it comes back as a year of 1900). An end that never comes is no end; elsewhere it is no time.
  const finite = (time: string) => `CASE WHEN isfinite(${time}) THEN ${time} END`
  const readAs = column.type
  const neverEnds = option === 'until' ? `CAST(${name} AS VARCHAR) = 'infinity'` : null
  if (column.type === 'TIMESTAMP WITH TIME ZONE' && !fromText) return { ...plan, readAs, tryCast: finite(name), isNull: neverEnds }
  if (/^(TIMESTAMP(_S|_MS|_NS)?|DATE)$/.test(column.type)) {
    const naive = `CAST(${name} AS TIMESTAMP)`
    return { ...plan, readAs, tryCast: `CASE WHEN isfinite(${naive}) THEN ${inZone(source, naive)} END`, isNull: neverEnds }
  }
  if (format !== null && EPOCHS.includes(format)) {
    if (fromText) return { ...plan, readAs: 'VARCHAR', tryCast: epochTime(name, format), isNull: neverEnds }
    if (/^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$|^(DOUBLE|FLOAT|DECIMAL)/.test(column.type)) {
      return { ...plan, readAs, tryCast: epochTime(`CAST(${name} AS VARCHAR)`, format) }
    }
  }
  if (column.type !== 'VARCHAR' && !fromText) {
    throw new SourceProblem(
      `Column "${column.name}" (${option} of the source) is ${column.type}, not a time.`,
      'Name a column of timestamps, or write the file with one. Numbers since 1970 need format: "epoch_ms" (or _s, _us) on the source.',
    )
  }
  const tryCast = format === null ? isoTime(source, name) : formattedTime(source, name, format)
  return { ...plan, readAs: 'VARCHAR', tryCast: finite(tryCast), isNull: neverEnds }
}

function inZone({ timezone }: Source, naive: string): string {
  // Calendars take thirty times as long, and UTC needs none.
  return timezone === 'UTC' ? `make_timestamptz(epoch_us(${naive}))` : `timezone(${quoteText(timezone)}, ${naive})`
}

function isoTime(source: Source, name: string): string {
  const asUtc = `TRY_CAST(${name} AS TIMESTAMPTZ)`
  const time =
    source.timezone === 'UTC'
      ? asUtc
      : `CASE WHEN regexp_matches(${name}, ${quoteText(ZONED_TEXT)}) THEN ${asUtc} ELSE ${inZone(source, `TRY_CAST(${name} AS TIMESTAMP)`)} END`
  return `CASE WHEN regexp_matches(${name}, ${quoteText(YEAR_FIRST)}) THEN ${time} END`
}

function formattedTime(source: Source, name: string, format: string): string {
  const time = `try_strptime(${name}, ${quoteText(format)})`
  // With a zone in it the format gives an instant.
  return /(?<!%)(?:%%)*%[zZ]/.test(format) ? time : inZone(source, time)
}

/** Whole microseconds; further digits are cut off. */
function epochTime(text: string, format: string): string {
  const number = `CASE WHEN regexp_full_match(trim(${text}), '-?[0-9]{1,18}(\\.[0-9]*)?') THEN TRY_CAST(regexp_extract(trim(${text}), '^-?[0-9]+(\\.[0-9]{0,6})?') AS DECIMAL(38, 6)) END`
  return `make_timestamptz(TRY_CAST(trunc(${number} * ${EPOCH_MICROS[format] ?? 1}) AS BIGINT))`
}

/** The column's expression in the SELECT that reads the file. A value that does not convert stops it and says which column it was. */
export function selectExpression(plan: ColumnPlan, index: number): string {
  const name = quoteName(plan.name)
  const value = columnValue(plan, index)
  return value === name ? name : `${value} AS ${name}`
}

export function columnValue(plan: ColumnPlan, index: number): string {
  const name = quoteName(plan.name)
  if (plan.tryCast === null) return plan.readAs === plan.type ? name : `CAST(${name} AS ${plan.type})`
  const fail = `error(concat('${BAD_VALUE}', ${index}, ':', CAST(${name} AS VARCHAR)))`
  return `COALESCE(${plan.tryCast}, CASE WHEN ${isGiven(plan)} THEN ${fail} END)`
}

/** The file has a value here, so it must convert. */
export function isGiven(plan: ColumnPlan): string {
  const name = quoteName(plan.name)
  if (plan.required) return 'true'
  return plan.isNull ? `${name} IS NOT NULL AND NOT (${plan.isNull})` : `${name} IS NOT NULL`
}

/** Begins the engine's message when a value did not convert; the column's index follows. */
export const BAD_VALUE = '__fabra_bad_value:'
