/** Amounts as variables of the environment have them. Each adds what is wrong to the problems. */
import { readDuration } from '../definition/duration.ts'

const UNITS: Readonly<Record<string, number>> = { mib: 2 ** 20, mb: 1e6, gib: 2 ** 30, gb: 1e9 }
/** With less an engine cannot begin, and more no machine has. */
const [FEWEST_BYTES, MOST_BYTES] = [64 * 2 ** 20, 2 ** 50]

/** In bytes. */
export function bytes(value: string, name: string, problems: string[]): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(mib|mb|gib|gb)$/i.exec(value.trim()) ?? []
  const found = Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? 0))
  if (found < FEWEST_BYTES || found > MOST_BYTES)
    problems.push(`${name}="${value}" is not an amount of memory from 64MiB on, such as 512MiB or 4GiB.`)
  return found
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

/** Nobody waits longer for an answer. */
const LONGEST_MS = 3_600_000

/** In milliseconds. */
export function duration(value: string, name: string, problems: string[]): number {
  const found = readDuration(value)
  const ms = found.ok ? Math.ceil(found.micros / 1000) : 0
  if (ms < 1 || ms > LONGEST_MS) problems.push(`${name}="${value}" is not a duration from 1ms to 1h, such as 500ms or 5s.`)
  return ms
}
