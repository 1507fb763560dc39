/** How single variables are read: what is wrong with one is told among the problems, and a value that stands in its place is given. */
import type { Micros } from '../clock.ts'
import { readDuration } from '../definition/duration.ts'

type Env = Readonly<Record<string, string | undefined>>

export function reader(env: Env, problems: string[]) {
  const text = (name: string) => (env[name] === undefined || env[name] === '' ? undefined : env[name])
  return {
    text,
    choice<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
      const value = text(name)
      if (value === undefined) return fallback
      const found = allowed.find((candidate) => candidate === value)
      if (found === undefined) problems.push(`${name}="${value}" is not one of ${allowed.join(', ')}.`)
      return found ?? fallback
    },
    whole(name: string, fallback: number, highest: number): number {
      const value = text(name)
      if (value === undefined) return fallback
      const number = Number(value)
      if (/^\d+$/.test(value) && number <= highest) return number
      problems.push(`${name}="${value}" is not a whole number from 0 to ${highest}.`)
      return fallback
    },
  }
}

const UNITS: Readonly<Record<string, number>> = { mib: 2 ** 20, mb: 1e6, gib: 2 ** 30, gb: 1e9, tib: 2 ** 40, tb: 1e12 }
/** With less an engine cannot begin, and more no machine has. */
const [FEWEST_BYTES, MOST_BYTES] = [64 * 2 ** 20, 2 ** 50]

export function bytes(value: string, name: string, problems: string[]): number {
  const found = amountOf(value)
  if (found < FEWEST_BYTES || found > MOST_BYTES)
    problems.push(`${name}="${value}" is not an amount of memory from 64MiB on, such as 512MiB or 4GiB.`)
  return found
}

/** Of a disk. */
export function size(value: string, name: string, problems: string[]): number {
  const found = amountOf(value)
  if (found < 1) problems.push(`${name}="${value}" is not a size such as 500MB, 50GB or 2TB.`)
  return found
}

/** 0: it is none. */
function amountOf(value: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(mib|mb|gib|gb|tib|tb)$/i.exec(value.trim()) ?? []
  return Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? 0))
}

/** Nobody waits longer for an answer. */
const LONGEST_MS = 3_600_000

/** In milliseconds. */
export function duration(value: string, name: string, problems: string[]): number {
  const found = readDuration(value)
  const ms = found.ok ? Math.ceil(found.micros / 1000) : 0
  if (ms < 1 || ms > LONGEST_MS) problems.push(`${name}="${value}" is not a duration from 1ms to 1h, such as 500ms or 5s.`)
  return ms
}

/** `on`, `off`, or a part of all. */
export function share(value: string | undefined, name: string, problems: string[]): number {
  if (value === undefined || value === 'off') return 0
  if (value === 'on') return 1
  const number = Number(value)
  if (/^\d*\.?\d+$/.test(value) && number <= 1) return number
  problems.push(`${name}="${value}" is not on, off or a number from 0 to 1.`)
  return 0
}

/** A part of all, or all. */
export function part(value: string, name: string, problems: string[]): number {
  const number = Number(value)
  if (/^\d*\.?\d+$/.test(value.trim()) && number <= 1) return number
  problems.push(`${name}="${value}" is not a number from 0 to 1, such as 0.01.`)
  return 0
}

const DAY: Micros = 86_400_000_000
const MOST_DAYS = 36_525

/** Null: for ever. */
export function keptFor(value: string | undefined, name: string, problems: string[]): Micros | null {
  if (value === undefined || value.trim().toLowerCase() === 'forever') return null
  const [, count = '', unit = ''] = /^(\d{1,6})\s*([dw])$/i.exec(value.trim()) ?? []
  const days = Number(count) * (unit.toLowerCase() === 'w' ? 7 : 1)
  if (days >= 1 && days <= MOST_DAYS) return days * DAY
  problems.push(`${name}="${value}" is not a number of days or weeks, such as 400d, nor forever.`)
  return null
}
