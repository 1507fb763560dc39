/** Lengths of time as SQL writes them, and how long they can be: months are none the same. */
import type { Micros } from '../../../clock.ts'

export const DAY: Micros = 86_400_000_000

/** Signed, as an interval is. */
export interface Span {
  readonly months: number
  readonly micros: Micros
}

const UNITS: Readonly<Record<string, Span>> = {
  microsecond: { months: 0, micros: 1 },
  millisecond: { months: 0, micros: 1_000 },
  second: { months: 0, micros: 1_000_000 },
  minute: { months: 0, micros: 60_000_000 },
  hour: { months: 0, micros: 3_600_000_000 },
  day: { months: 0, micros: DAY },
  week: { months: 0, micros: 7 * DAY },
  month: { months: 1, micros: 0 },
  quarter: { months: 3, micros: 0 },
  year: { months: 12, micros: 0 },
  decade: { months: 120, micros: 0 },
  century: { months: 1_200, micros: 0 },
}
const SHORT: Readonly<Record<string, string>> = {
  us: 'microsecond',
  ms: 'millisecond',
  s: 'second',
  sec: 'second',
  m: 'minute',
  min: 'minute',
  h: 'hour',
  hr: 'hour',
  d: 'day',
  w: 'week',
  mon: 'month',
  y: 'year',
  yr: 'year',
  centurie: 'century',
}
const LONGEST_MONTHS = 12_000

/** Null for what is no unit, or may be another one in the other engine. */
export function unitOf(word: string): Span | null {
  const plain = word.toLowerCase().replace(/(.{2,})s$/, '$1')
  const name = SHORT[plain] ?? plain
  return Object.hasOwn(UNITS, name) ? (UNITS[name] ?? null) : null
}

export function times(span: Span, count: number): Span | null {
  const [months, micros] = [span.months * count, span.micros * count]
  if (!Number.isFinite(months) || !Number.isInteger(months) || Math.abs(months) > LONGEST_MONTHS) return null
  return Math.abs(micros) > Number.MAX_SAFE_INTEGER ? null : { months, micros: Math.ceil(micros) }
}

export function plus(a: Span, b: Span): Span {
  return { months: a.months + b.months, micros: a.micros + b.micros }
}

export function negative({ months, micros }: Span): Span {
  return { months: -months, micros: -micros }
}

/** `1 day 2 hours`, `-30 days`, `02:30:00`. Null for any other way in which an engine takes it. */
export function spanOf(text: string): Span | null {
  let rest = text.trim()
  if (rest === '') return null
  let sum: Span = { months: 0, micros: 0 }
  while (rest !== '') {
    const clock = /^([+-]?)(\d{1,4}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:\s+|$)/.exec(rest)
    const part = clock ?? /^([+-]?\d{1,12}(?:\.\d{1,9})?)\s*([a-z]+)(?:\s+|$)/i.exec(rest)
    if (!part) return null
    const next = clock ? clockSpan(clock) : countedSpan(part)
    if (!next) return null
    sum = plus(sum, next)
    rest = rest.slice(part[0].length)
  }
  return sum
}

function clockSpan([, sign, hours, minutes, seconds]: RegExpExecArray): Span {
  // A fraction of a second counts as one.
  const micros = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds ?? 0) + (seconds === undefined ? 0 : 1)) * 1_000_000
  return { months: 0, micros: sign === '-' ? -micros + 1_000_000 : micros }
}

function countedSpan([, count = '', word = '']: RegExpExecArray): Span | null {
  const unit = unitOf(word)
  return unit && times(unit, Number(count))
}

/** The most by which a time less the span is earlier; negative where it is always later. */
export function longest({ months, micros }: Span): Micros {
  return (months === 0 ? 0 : monthsBefore(months)) * DAY + micros
}

/** What cutting a time to its unit takes off at most; null for units that are not known here. */
export function truncation(word: string): Micros | null {
  const unit = unitOf(word)
  if (!unit || unit.months > 12) return null
  return unit.months === 0 ? unit.micros : monthsBefore(unit.months) * DAY
}

const known = new Map<number, number>()

/** Of all days of eight years, a leap year among them and, for long spans, two: the most days between one and the day so many months before. */
function monthsBefore(months: number): number {
  const before = known.get(months)
  if (before !== undefined) return before
  let most = Number.NEGATIVE_INFINITY
  for (let day = Date.UTC(2000, 0, 1); day < Date.UTC(2008, 0, 1); day += 86_400_000) {
    const date = new Date(day)
    const month = date.getUTCMonth() - months
    const last = new Date(Date.UTC(date.getUTCFullYear(), month + 1, 0)).getUTCDate()
    const there = Date.UTC(date.getUTCFullYear(), month, Math.min(last, date.getUTCDate()))
    most = Math.max(most, Math.round((day - there) / 86_400_000))
  }
  known.set(months, most)
  return most
}
