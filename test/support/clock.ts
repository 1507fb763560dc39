import type { Clock, Micros } from '../../src/clock.ts'

const UNITS = { ms: 1e3, s: 1e6, m: 60e6, h: 3600e6, d: 86_400e6 } as const

/** A clock that stands still until it is moved. */
export interface MovableClock extends Clock {
  /** `90` (microseconds), `'5s'`, `'6m'`, `'1h'`, `'30d'`. */
  advance(by: Micros | string): void
  /** RFC 3339 or microseconds. May go backwards. */
  set(to: Micros | string): void
}

export function movableClock(start: Micros | string = '2026-01-02T03:04:05Z'): MovableClock {
  let now = toMicros(start)
  return {
    now: () => now,
    advance(by) {
      now += typeof by === 'number' ? by : duration(by)
    },
    set(to) {
      now = toMicros(to)
    },
  }
}

function toMicros(time: Micros | string): Micros {
  return typeof time === 'number' ? time : Date.parse(time) * 1000
}

function duration(text: string): Micros {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  const unit = UNITS[match?.[2] as keyof typeof UNITS]
  if (!match || unit === undefined) throw new Error(`Not a duration: ${text}`)
  return Number(match[1]) * unit
}
