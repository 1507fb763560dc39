/**
 * The brute-force oracle: what a source shows at a time, written down a second time without SQL and without anything of Fabra's.
 * A row is visible at t when timestamp + delay < t, available ≤ t, and until is null or ≥ t; rows without a time never are.
 */
export type ColumnTime = 'instant' | 'naive' | 'date'

export interface OracleSource {
  /** False: the source is static and everything is always visible. */
  readonly timed: boolean
  readonly timestampType: ColumnTime
  /** Of `available` and `until`. */
  readonly otherType: 'instant' | 'naive'
  readonly delay: number
  readonly available: boolean
  readonly until: boolean
  readonly id: boolean
  /** A view over the table; nothing else about it is different. */
  readonly view: boolean
  readonly zone: string
  /** Amounts are whole numbers of 1/scale: 1 a BIGINT, 1000 a DECIMAL(18, 3), 8 a DOUBLE. */
  readonly scale: 1 | 1000 | 8
  readonly rows: readonly OracleRow[]
}

/** Times are microseconds as they are written in the table: instants, or the clock on the wall as if it hung in Greenwich. */
export interface OracleRow {
  /** Unique. */
  readonly n: number
  readonly key: readonly (string | null)[]
  readonly at: number | null
  readonly available: number | null
  readonly until: number | null
  readonly id: number | null
  readonly category: string | null
  readonly amount: bigint | null
}

/** A row as a query sees it. */
export interface SeenRow {
  readonly n: number
  readonly key: readonly (string | null)[]
  readonly at: number | null
  readonly category: string | null
  readonly amount: bigint | null
}

export function visibleRows(source: OracleSource, t: number): SeenRow[] {
  const seen = source.rows.filter((row) => isVisible(source, row, t) && !isRepeat(source, row))
  return seen.map(({ n, key, category, amount, at }) => ({ n, key, category, amount, at: asQueried(source, at) }))
}

function isVisible(source: OracleSource, row: OracleRow, t: number): boolean {
  if (!source.timed) return true
  const { at, available, until } = instants(source, row)
  if (at === null || !(at + source.delay < t)) return false
  if (source.available && (available === null || available > t)) return false
  return !source.until || until === null || until >= t
}

/** Another row of the same id could be seen earlier; of those that could be seen at once the first row of the table's order stays. */
function isRepeat(source: OracleSource, row: OracleRow): boolean {
  const mine = firstSeen(source, row)
  if (!source.id || !source.timed || row.id === null || mine === null) return false
  return source.rows.some((other) => {
    const theirs = other.id === row.id ? firstSeen(source, other) : null
    return theirs !== null && (theirs < mine || (theirs === mine && other.n < row.n))
  })
}

function firstSeen(source: OracleSource, row: OracleRow): number | null {
  const { at, available } = instants(source, row)
  if (at === null) return null
  const after = at + source.delay + 1
  if (!source.available) return after
  return available === null ? null : Math.max(after, available)
}

/** The instants that the three time columns of a row mean. */
export function instants(source: OracleSource, row: OracleRow): { at: number | null; available: number | null; until: number | null } {
  const other = (time: number | null) => (time === null || source.otherType === 'instant' ? time : instantOf(source.zone, time))
  const at = row.at === null || source.timestampType === 'instant' ? row.at : instantOf(source.zone, row.at)
  return { at, available: other(row.available), until: other(row.until) }
}

/** Naive times are given to queries in UTC, so that they compare with the present; dates stay dates, which begin at midnight UTC. */
function asQueried(source: OracleSource, at: number | null): number | null {
  if (at === null || source.timestampType !== 'naive' || !source.timed) return at
  return instantOf(source.zone, at)
}

/** The clock on the wall as an instant. An hour that comes twice means its second coming; one that is left out is counted on from before. */
export function instantOf(zone: string, wall: number): number {
  if (zone === 'UTC' || !Number.isFinite(wall)) return wall
  const before = offsetAt(zone, wall - DAY)
  const after = offsetAt(zone, wall + DAY)
  const real = [wall - before, wall - after].filter((instant) => instant + offsetAt(zone, instant) === wall)
  return real.length > 0 ? Math.max(...real) : wall - before
}

const DAY = 86_400_000_000
const QUARTER = 900_000_000
const offsets = new Map<string, number>()
const formats = new Map<string, Intl.DateTimeFormat>()

/** Microseconds east of UTC. Zones change at quarters of an hour. */
function offsetAt(zone: string, instant: number): number {
  const quarter = Math.floor(instant / QUARTER)
  const id = `${zone} ${quarter}`
  const known = offsets.get(id)
  if (known !== undefined) return known
  const format = formats.get(zone) ?? new Intl.DateTimeFormat('en-US', { ...PARTS, timeZone: zone })
  formats.set(zone, format)
  const ms = (quarter * QUARTER) / 1000
  const parts = Object.fromEntries(format.formatToParts(new Date(ms)).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 1, day = 0, hour = 0, minute = 0, second = 0 } = parts
  const offset = (Date.UTC(year, month - 1, day, hour, minute, second) - ms) * 1000
  offsets.set(id, offset)
  return offset
}

const PARTS = {
  hourCycle: 'h23',
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const

/** What a feature is: `missing`, an error's code, or per column a JSON text, `near` where an engine may round. */
export type Expected = 'missing' | 'not_one_row' | 'wrong_type' | readonly (string | { readonly near: number })[]

/** @returns Why the texts are not what was expected; null when they are. */
export function disagreement(expected: Expected, got: string | readonly string[]): string | null {
  const same =
    typeof expected === 'string' || typeof got === 'string'
      ? expected === got
      : expected.length === got.length && expected.every((value, i) => sameValue(value, got[i] ?? ''))
  return same ? null : `expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`
}

function sameValue(expected: string | { readonly near: number }, got: string): boolean {
  if (typeof expected === 'string') return expected === got
  return Math.abs(Number(got) - expected.near) <= 1e-9 * Math.abs(expected.near)
}

/** Sum of amounts as JSON text: exact, without zeros that say nothing. */
export function amountText(amount: bigint | null, scale: number): string {
  if (amount === null) return 'null'
  if (scale === 1) return amount.toString()
  if (scale === 8) return String(Number(amount) / 8)
  const digits = (amount < 0n ? -amount : amount).toString().padStart(4, '0')
  const text = `${digits.slice(0, -3)}.${digits.slice(-3)}`.replace(/\.?0+$/, '')
  return amount < 0n ? `-${text}` : text
}

export function timeText(micros: number): string {
  const seconds = Math.floor(micros / 1e6)
  const fraction = micros - seconds * 1e6
  const text = new Date(seconds * 1000).toISOString().slice(0, 19)
  return fraction === 0 ? `"${text}Z"` : `"${text}.${String(fraction).padStart(6, '0')}Z"`
}
