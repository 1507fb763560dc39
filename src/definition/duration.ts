import type { Micros } from '../clock.ts'
import { suggest } from '../errors.ts'
import { ShownValue, show } from './show.ts'

const MICROS: Readonly<Record<string, number>> = {
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
  w: 604_800_000_000,
}

const PARTS: Readonly<Record<string, number>> = {
  milliseconds: 1_000,
  seconds: 1_000_000,
  minutes: 60_000_000,
  hours: 3_600_000_000,
  days: 86_400_000_000,
  weeks: 604_800_000_000,
}

/** A hundred years: beyond it a duration is a slip, and times would leave the exact range. */
const LONGEST: Micros = 36_525 * 86_400_000_000

/** A length of time, or what is wrong with it: a clause that goes on after the thing's name ("is not a duration"). */
export type DurationResult = { readonly ok: true; readonly micros: Micros } | { readonly ok: false; readonly wrong: string }

export const DURATION_EXAMPLES = '"30s", "5m", "1h", "7d" or { minutes: 5 }'

/** What readDuration reads; undefined for anything else. */
export function parseDuration(given: unknown): Micros | undefined {
  const result = readDuration(given)
  return result.ok ? result.micros : undefined
}

/** Reads "500ms", "30s", "5m", "1.5h", "1d", "2w", several of them together ("1h30m"), and { hours: 1, minutes: 30 }. Never throws. */
export function readDuration(given: unknown): DurationResult {
  if (typeof given === 'string') return inRange(textMicros(given), show(given))
  if (typeof given === 'number' || typeof given === 'bigint') {
    return { ok: false, wrong: Number.isFinite(Number(given)) ? `${given} has no unit` : `${given} is not a duration` }
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return { ok: false, wrong: `${show(given)} is not a duration` }
  if (given instanceof ShownValue)
    return given.micros === undefined ? { ok: false, wrong: `${given.shown} is not a duration` } : inRange(given.micros, given.shown)
  return partsMicros(given)
}

function textMicros(text: string): number {
  if (!/^\s*-?(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d|w)\s*)+$/.test(text)) return Number.NaN
  let sum = 0
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)/g))
    sum += Number(count) * (MICROS[unit ?? ''] ?? Number.NaN)
  return text.trimStart().startsWith('-') ? -sum : sum
}

function partsMicros(parts: object): DurationResult {
  const entries = Object.entries(parts).filter(([, value]) => value !== undefined)
  const names = Object.keys(PARTS).reverse().join(', ')
  if (entries.length === 0) return { ok: false, wrong: `{} has no parts; they are ${names}` }
  let sum = 0
  for (const [name, value] of entries) {
    const unit = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined
    if (unit === undefined) return { ok: false, wrong: `has a part "${name}"; the parts are ${names}` }
    if (typeof value !== 'number' || !Number.isFinite(value))
      return { ok: false, wrong: `has ${name}: ${show(value)}, which is not a finite number` }
    sum += value * unit
  }
  return inRange(sum, show(parts))
}

function inRange(micros: number, shown: string): DurationResult {
  if (Number.isNaN(micros)) return { ok: false, wrong: `${shown} is not a duration` }
  if (micros < 0) return { ok: false, wrong: `${shown} is negative` }
  if (micros > LONGEST) return { ok: false, wrong: `${shown} is longer than a hundred years` }
  return { ok: true, micros: Math.round(micros) }
}

/** Whether a text has the form of a cron string: five fields, or six with seconds. Whether it is a valid one, the scheduler says. */
export function looksLikeCron(text: string): boolean {
  const fields = text.trim().split(/\s+/)
  return (fields.length === 5 || fields.length === 6) && fields.every((field) => /^[0-9A-Za-z*?/,#+-]+$/.test(field))
}

/** Names of cron strings, as cron itself has them; "@reboot" is no time. */
const CRON_NAMES: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
}

/** The cron string that a name such as "@daily" stands for; undefined for other texts. */
export function cronOfName(text: string): { readonly pattern: string } | { readonly wrong: string; readonly hint: string } | undefined {
  const name = text.trim().toLowerCase()
  if (!name.startsWith('@')) return undefined
  const pattern = Object.hasOwn(CRON_NAMES, name) ? CRON_NAMES[name] : undefined
  if (pattern !== undefined) return { pattern }
  const [, every] = /^@every\s+(\S+)$/.exec(name) ?? []
  return {
    wrong: `${show(text)} is not the name of a cron string`,
    hint: every === undefined ? suggest(name, Object.keys(CRON_NAMES)) : `Write ${JSON.stringify(every)}.`,
  }
}

/** For messages: "1h 30m", "5m", "250ms", "12µs". */
export function formatDuration(micros: Micros): string {
  if (micros === 0) return '0s'
  if (micros < 0) return `-${formatDuration(-micros)}`
  const parts: string[] = []
  let rest = Math.round(micros)
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = MICROS[unit] ?? 1
    const count = Math.floor(rest / size)
    if (count > 0) parts.push(`${count}${unit}`)
    rest -= count * size
  }
  if (rest > 0) parts.push(`${rest}µs`)
  return parts.join(' ')
}
