import type { Micros } from '../clock.ts'
import { FabraError } from '../errors.ts'

const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})$/
const WITHOUT_ZONE = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?$/
const DAY_MS = 86_400_000

/**
 * RFC 3339 with a zone, to the microsecond; further digits are cut off. A leap second (23:59:60 UTC) is the second after it.
 * @throws FabraError invalid_time
 */
export function parseTime(text: string): Micros {
  const match = RFC_3339.exec(text)
  if (!match) throw notATime(text)
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  const offset = zoneMinutes(match[8] ?? 'Z')
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) throw invalid(text, 'there is no such day.')
  if (hour > 23 || minute > 59 || second > 60 || offset === null) throw invalid(text, 'there is no such time of day.')
  const date = new Date(0)
  // Not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day)
  const ms = date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1000
  if (second === 60 && ms % DAY_MS !== 0) throw invalid(text, 'a 60th second exists only before midnight UTC.')
  const micros = ms * 1000 + Number((match[7] ?? '').slice(0, 6).padEnd(6, '0'))
  if (!Number.isSafeInteger(micros)) throw invalid(text, 'it is outside the years 1684 to 2255, where microseconds are exact.')
  return micros
}

/** `2026-01-02T03:04:05.123456Z`: six digits when there is a fraction, none otherwise. Always UTC. */
export function formatTime(micros: Micros): string {
  const seconds = Math.floor(micros / 1_000_000)
  const fraction = micros - seconds * 1_000_000
  if (seconds !== writtenSecond) {
    writtenText = secondText(seconds)
    writtenSecond = seconds
  }
  return fraction === 0 ? `${writtenText}Z` : `${writtenText}.${String(fraction).padStart(6, '0')}Z`
}

/** The values of an answer mostly are of one second: what was refreshed together. */
let writtenSecond = Number.NaN
let writtenText = ''

function secondText(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const second = seconds - days * 86_400
  return `${dateText(days)}T${two(Math.floor(second / 3600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`
}

/**
 * The date of a day counted from 1970-01-01, by arithmetic: three times as fast as a Date, and answers carry a time each.
 * Source: Howard Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`.
 */
function dateText(days: number): string {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${year}-${two(month)}-${two(day)}`
}

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n)
}

/** Minutes east of UTC; null when there is no such zone. */
function zoneMinutes(zone: string): number | null {
  if (zone === 'Z' || zone === 'z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(4, 6))
  if (hours > 23 || minutes > 59) return null
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

function notATime(text: string): FabraError {
  if (WITHOUT_ZONE.test(text.trim())) {
    return new FabraError('invalid_time', `"${text}" has no time zone.`, {
      hint: `Write a zone, such as "${text.trim().length === 10 ? `${text.trim()}T00:00:00` : text.trim()}Z" for UTC.`,
    })
  }
  return invalid(text.length > 60 ? `${text.slice(0, 60)}…` : text, 'it is not RFC 3339.')
}

function invalid(text: string, why: string): FabraError {
  return new FabraError('invalid_time', `${JSON.stringify(text)} is not a time: ${why}`, {
    hint: 'Write RFC 3339 with a zone, such as "2026-01-02T03:04:05Z" or "2026-01-02T03:04:05.123456+02:00".',
  })
}
