import type { Micros } from '../clock.ts'

/** What a guest's author gave that has no form here: all that is known is how it looks, and how long it is if it is a duration. */
export class ShownValue {
  readonly shown: string
  readonly micros: Micros | undefined
  constructor(shown: string, micros?: Micros) {
    this.shown = shown
    this.micros = micros
  }
}

/** A value as its author might have written it, on one line. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  if (value instanceof ShownValue) return value.shown
  if (Array.isArray(value)) return value.length > 4 ? `a list of ${value.length}` : `[${value.map(show).join(', ')}]`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) return withArticle(className(value))
  const entries = Object.entries(value)
  if (entries.length > 4) return 'an object'
  return entries.length === 0 ? '{}' : `{ ${entries.map(([key, part]) => `${key}: ${show(part)}`).join(', ')} }`
}

function className(value: object): string {
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'object'
}

function withArticle(name: string): string {
  return `${/^[AEIOU]/i.test(name) ? 'an' : 'a'} ${name}`
}
