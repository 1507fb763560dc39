/**
 * What columns of texts (CSV, strings of JSON) become. A column has a type only where writing its values in one way gives the same texts
 * again, all of them: "007", "+5", "1e5", "TRUE", "4.2.10" and "10:30" stay as they are, and so does a column that has one such among numbers.
 * A sample says what a column may be; whether it is, is asked of every row.
 */
import { ownDeadline } from '../connection/database.ts'
import type { Session } from '../connection/session.ts'
import { quoteName, quoteText } from '../sql.ts'

const SAMPLE_ROWS = 500
/** Of one statement: each costs the engine time to plan. */
const COLUMNS_AT_ONCE = 200
const LOAD = ownDeadline(30 * 60_000)

export interface TextType {
  readonly type: string
  /** Whether a sample, its NULLs left out, may be of this type. */
  readonly seems: (texts: readonly string[]) => boolean
  /** The condition under which a text, whose expression is given, is written back the same. */
  readonly fits: (text: string, sample: readonly string[]) => string
}

const WHOLE = /^-?(0|[1-9]\d*)$/
/** As those write floats that write exponents: one digit before the point, and a sign or a fraction. "1e5" is an id. */
export const FLOAT_EXPONENT = String.raw`-?[0-9](\.[0-9]+[eE][+-]?|[eE][+-])[0-9]{1,3}`
const FLOAT = new RegExp(`^(-?(0|[1-9]\\d*)(\\.\\d+)?|${FLOAT_EXPONENT})$`)
const DATE = '[0-9]{4}-[0-9]{2}-[0-9]{2}'
const TIME = String.raw`[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?`
const UTC = String.raw`(Z|\+00(:?00)?)`
/** So many digits any float keeps. */
const FLOAT_DIGITS = 15
const DECIMAL_DIGITS = 38

const isBack = (type: string) => (text: string) => `CAST(TRY_CAST(${text} AS ${type}) AS VARCHAR) = ${text}`
const seemsLike = (pattern: string | RegExp) => {
  const whole = typeof pattern === 'string' ? new RegExp(`^${pattern}$`) : pattern
  return (texts: readonly string[]) => texts.every((text) => whole.test(text))
}

const NUMBERS: readonly TextType[] = [
  { type: 'BIGINT', seems: seemsLike(WHOLE), fits: isBack('BIGINT') },
  { type: 'HUGEINT', seems: seemsLike(WHOLE), fits: isBack('HUGEINT') },
  { type: 'DOUBLE', seems: seemsLike(FLOAT), fits: isFloat },
  { type: 'DOUBLE', seems: hasOneScale, fits: (text, sample) => isFixed(text, scaleOf(sample), FLOAT_DIGITS) },
  { type: 'DECIMAL', seems: hasOneScale, fits: (text, sample) => isFixed(text, scaleOf(sample), DECIMAL_DIGITS) },
  { type: 'BOOLEAN', seems: seemsLike('(true|false)'), fits: (text) => `${text} IN ('true', 'false')` },
]

const TIMES: readonly TextType[] = [
  { type: 'DATE', seems: seemsLike(DATE), fits: (text) => `length(${text}) = 10 AND ${isBack('DATE')(text)}` },
  { type: 'TIMESTAMP', seems: seemsLike(`${DATE}[ T]${TIME}`), fits: (text) => isTime(text, `${DATE}[ T]${TIME}`, 'TIMESTAMP') },
  {
    type: 'TIMESTAMP WITH TIME ZONE',
    seems: seemsLike(`${DATE}[ T]${TIME}${UTC}`),
    fits: (text) => isTime(text, `${DATE}[ T]${TIME}${UTC}`, 'TIMESTAMPTZ'),
  },
]

export interface TextColumns {
  /** Gives the columns, each as VARCHAR. */
  readonly from: string
  readonly names: readonly string[]
  /** Strings of JSON are never numbers. */
  readonly among: 'all' | 'times'
  /** Types that a column may not take. */
  readonly rejected: (name: string) => readonly string[]
}

/** The type of each column; VARCHAR where no other fits. Over several tables: the one that fits all of them. */
export async function textTypes(session: Session, tables: readonly TextColumns[]): Promise<Map<string, string>> {
  const types = new Map<string, string>()
  const open = new Map<string, Candidate>()
  const consider = (name: string, sample: readonly string[], tried: readonly string[]) => {
    const type = pick(tables, name, sample, tried)
    if (type) open.set(name, { type, sample, tried: [...tried, formOf(type, sample)] })
    else {
      open.delete(name)
      types.set(name, 'VARCHAR')
    }
  }
  for (const [name, sample] of await samplesOf(session, tables)) consider(name, sample, [])
  while (open.size > 0) {
    const { given, misfits } = await ask(session, tables, open)
    for (const [name, { type, sample, tried }] of [...open]) {
      const misfit = misfits.get(name)
      if (misfit !== undefined) consider(name, [...sample, misfit], tried)
      else {
        open.delete(name)
        types.set(name, given.has(name) ? named(type, sample) : 'VARCHAR')
      }
    }
  }
  return types
}

interface Candidate {
  readonly type: TextType
  readonly sample: readonly string[]
  /** It among them. */
  readonly tried: readonly string[]
}

async function samplesOf(session: Session, tables: readonly TextColumns[]): Promise<Map<string, string[]>> {
  const samples = new Map<string, string[]>()
  for (const { from, names } of tables) {
    if (names.length === 0) continue
    const { rows } = await session.read(`SELECT ${names.map(quoteName).join(', ')} FROM ${from} LIMIT ${SAMPLE_ROWS}`, [], LOAD)
    for (const [c, name] of names.entries()) {
      const texts = samples.get(name) ?? []
      for (const row of rows) {
        const text = row[c]
        if (typeof text === 'string') texts.push(text)
      }
      samples.set(name, texts)
    }
  }
  return samples
}

/** The first type that the sample may be and that was not tried. */
function pick(tables: readonly TextColumns[], name: string, sample: readonly string[], tried: readonly string[]): TextType | undefined {
  const rejected = tables.flatMap((table) => table.rejected(name))
  const known = tables.some(({ among }) => among === 'times') ? TIMES : [...NUMBERS, ...TIMES]
  return known.find(
    (type) => type.seems(sample) && !rejected.some((one) => one.replace(/\(.*/, '') === type.type) && !tried.includes(formOf(type, sample)),
  )
}

/** Which columns have any text, and of those with one that does not fit, which. */
async function ask(session: Session, tables: readonly TextColumns[], open: ReadonlyMap<string, Candidate>) {
  const answer = { given: new Set<string>(), misfits: new Map<string, string>() }
  for (const { from, names } of tables) {
    const asked = names.filter((name) => open.has(name))
    for (let at = 0; at < asked.length; at += COLUMNS_AT_ONCE) {
      const some = asked.slice(at, at + COLUMNS_AT_ONCE)
      const checks = some.flatMap((name) => {
        const column = quoteName(name)
        const candidate = open.get(name)
        const fits = candidate ? candidate.type.fits(column, candidate.sample) : 'false'
        return [`COUNT(${column})`, `any_value(${column}) FILTER (NOT COALESCE(${fits}, false))`]
      })
      const [row = []] = (await session.read(`SELECT ${checks.join(', ')} FROM ${from}`, [], LOAD)).rows
      for (const [i, name] of some.entries()) {
        const misfit = row[2 * i + 1]
        if (Number(row[2 * i]) > 0) answer.given.add(name)
        if (typeof misfit === 'string') answer.misfits.set(name, misfit)
      }
    }
  }
  return answer
}

function named({ type }: TextType, sample: readonly string[]): string {
  return type === 'DECIMAL' ? `DECIMAL(${DECIMAL_DIGITS},${scaleOf(sample)})` : type
}

/** What is asked of texts; more than the type, which is written in several ways. */
function formOf({ fits }: TextType, sample: readonly string[]): string {
  return fits('', sample)
}

/** As floats are written: shortest, whole or with ".0", with 17 digits, or with an exponent. */
function isFloat(text: string): string {
  const number = `TRY_CAST(${text} AS DOUBLE)`
  return `isfinite(${number}) AND regexp_matches(${text}, '^-?[0-9]') AND (CAST(${number} AS VARCHAR) IN (${text}, ${text} || '.0') OR printf('%.17g', ${number}) = ${text} OR regexp_full_match(${text}, ${quoteText(FLOAT_EXPONENT)}))`
}

/** Whole, or with as many digits behind the point as all others. */
function isFixed(text: string, scale: number, digits: number): string {
  return `regexp_full_match(${text}, ${quoteText(`-?(0|[1-9][0-9]{0,${digits - scale - 1}})(\\.[0-9]{${scale}})?`)})`
}

function isTime(text: string, pattern: string, type: string): string {
  const clock = (one: string) => `replace(left(${one}, 19), 'T', ' ')`
  return `regexp_full_match(${text}, ${quoteText(pattern)}) AND ${clock(`CAST(TRY_CAST(${text} AS ${type}) AS VARCHAR)`)} = ${clock(text)}`
}

function hasOneScale(sample: readonly string[]): boolean {
  const scales = new Set(sample.map((text) => /^-?(?:0|[1-9]\d*)(?:\.(\d+))?$/.exec(text)).map((match) => match && (match[1]?.length ?? 0)))
  scales.delete(0)
  const [scale] = scales
  return scales.size === 1 && typeof scale === 'number' && scale < DECIMAL_DIGITS
}

function scaleOf(sample: readonly string[]): number {
  return Math.max(0, ...sample.map((text) => /\.(\d+)$/.exec(text)?.[1]?.length ?? 0))
}
