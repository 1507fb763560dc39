/** How numbers, ages and times are written. The same everywhere, so that columns can be compared with the eye. */

/** Between thousands: narrow, and no place to break a line. */
const GAP = '\u202f'
/** Where nothing is known. */
export const NONE = '–'

/** Whole numbers in full; others with at most four digits that count. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return grouped(String(value))
  const size = Math.abs(value)
  if (size >= 1e15 || size < 1e-4) return value.toExponential(2).replace('-', '−')
  const decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : Math.min(6, 3 - Math.floor(Math.log10(size)) - 1)
  return grouped(value.toFixed(Math.max(0, decimals)))
}

function grouped(text: string): string {
  const [whole = '', fraction] = text.replace('-', '−').split('.')
  const parts = whole.replace(/\B(?=(\d{3})+$)/g, GAP)
  return fraction === undefined ? parts : `${parts}.${fraction}`
}

/** One decimal below ten, none above. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE
  if (value === 0) return '0'
  return value >= 10 ? number(Math.round(value)) : value < 0.05 ? '< 0.1' : value.toFixed(1)
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return NONE
  const value = share * 100
  if (value === 0 || value === 100) return String(value)
  if (value < 0.05) return '< 0.1'
  return value > 99.95 ? '> 99.9' : value.toFixed(1)
}

/** A length of time in two units: `29s`, `3m 12s`, `17h 57m`, `1d 03h`. */
export function age(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE
  if (ms < 950) return ms < 50 ? '0s' : `${(ms / 1000).toFixed(1)}s`
  const s = Math.round(ms / 1000)
  if (s < 60) return `${s}s`
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`
  if (s < 86_400) return `${Math.floor(s / 3600)}h ${two(Math.floor((s % 3600) / 60))}m`
  return `${grouped(String(Math.floor(s / 86_400)))}d ${two(Math.floor((s % 86_400) / 3600))}h`
}

/** The same in one unit: `5m`, `19h`, `3d`. */
export function roughly(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE
  const s = Math.round(ms / 1000)
  if (s < 60) return `${s}s`
  if (s < 3600) return `${Math.floor(s / 60)}m`
  return s < 172_800 ? `${Math.floor(s / 3600)}h` : `${Math.floor(s / 86_400)}d`
}

/** An interval as it is written in definitions: `5m`, `90s`, `1d`. */
export function interval(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const) {
    if (ms >= size && ms % size === 0) return `${grouped(String(ms / size))}${unit}`
  }
  return ms < 1_000 ? `${Math.round(ms)}ms` : age(ms)
}

/** How long something took: `0.4 ms`, `48 ms`, `1.2 s`, `3m 12s`. */
export function took(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE
  if (ms === 0) return '0 ms'
  if (ms < 100) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  return ms < 60_000 ? `${(ms / 1000).toFixed(ms < 1_000 ? 2 : 1)} s` : age(ms)
}

export function bytes(size: number | null | undefined): string {
  if (size === null || size === undefined) return NONE
  if (size < 1_000) return `${size} B`
  const [unit, of] = size < 1e6 ? ['kB', 1e3] : size < 1e9 ? ['MB', 1e6] : (['GB', 1e9] as const)
  return `${(size / Number(of)).toFixed(size / Number(of) < 10 ? 1 : 0)} ${unit}`
}

/** In UTC, to the millisecond: what a relative age shows on hover. */
export function moment(time: string | number | null | undefined): string {
  if (time === null || time === undefined) return 'never'
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? String(time) : `${date.toISOString().replace('T', ' ').replace('Z', '')} UTC`
}

/** To the minute: `19 Nov 2026 14:30`. */
export function minute(ms: number): string {
  const date = new Date(ms)
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

export function day(ms: number): string {
  const date = new Date(ms)
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`
}

export function clock(time: string): string {
  return new Date(time).toISOString().slice(11, 22)
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** A value of any type in one line. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'number') return number(value)
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  return JSON.stringify(value)
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`
}
