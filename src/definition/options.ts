import type { Micros } from '../clock.ts'
import { suggest } from '../errors.ts'
import type { Complaint } from './draft.ts'
import { DURATION_EXAMPLES, readDuration } from './duration.ts'
import { show } from './show.ts'

/** Options as the author gave them. Reading never throws: what is wrong is noted, and something harmless is taken instead. */
export interface OptionReader {
  readonly complaints: Complaint[]
  complain(message: string, hint: string): void
  /** Whether the option was given (and not as undefined). */
  has(name: string): boolean
  raw(name: string): unknown
  text(name: string): string | null
  texts(name: string): readonly string[]
  flag(name: string): boolean | null
  duration(name: string, least?: Micros): Micros | null
  oneOf<T extends string>(name: string, known: readonly T[]): T | null
  /** An object with own keys; null when it is not given or no such object. */
  record(name: string, example: string): readonly (readonly [string, unknown])[] | null
}

/** @param call As the author wrote it, for messages: `feature`. */
export function readOptions(call: string, given: unknown, known: readonly string[], example: string): OptionReader {
  const complaints: Complaint[] = []
  const options = plainEntries(given)
  if (options === null) complaints.push({ message: `${call}() needs an object of options, got ${show(given)}.`, hint: `Write ${example}.` })
  // Without options everything else would be missing too, which nobody needs to hear.
  const complain = (message: string, hint: string) => void (options !== null && complaints.push({ message, hint }))
  const values = new Map(options?.filter(([, value]) => value !== undefined) ?? [])
  for (const name of values.keys()) {
    if (!known.includes(name)) complain(`there is no option "${name}".`, suggestOption(name, known))
  }
  const raw = (name: string) => values.get(name)
  const expect = (name: string, what: string, hint: string) => complain(`${name} must be ${what}, got ${show(raw(name))}.`, hint)

  return {
    complaints,
    complain,
    has: (name) => values.has(name),
    raw,
    text(name) {
      const value = raw(name)
      if (value === undefined) return null
      if (typeof value === 'string' && value.trim() !== '') return value
      expect(name, 'a text', `Write ${name}: "…", or leave it out.`)
      return null
    },
    texts(name) {
      const value = raw(name)
      if (value === undefined) return []
      const parts: unknown[] = Array.isArray(value) ? [...value] : [null]
      if (parts.every((part): part is string => typeof part === 'string' && part !== '')) return parts
      expect(name, 'a list of texts', `Write ${name}: ["…"].`)
      return []
    },
    flag(name) {
      const value = raw(name)
      if (value === undefined || typeof value === 'boolean') return value ?? null
      expect(name, 'true or false', `Write ${name}: true, or leave it out.`)
      return null
    },
    duration(name, least = 0) {
      if (!values.has(name)) return null
      const parsed = readDuration(raw(name))
      if (!parsed.ok) complain(`${name} ${parsed.wrong}.`, `Write ${DURATION_EXAMPLES}.`)
      else if (parsed.micros < least) complain(`${name} ${show(raw(name))} is too short.`, `Write ${DURATION_EXAMPLES}.`)
      else return parsed.micros
      return null
    },
    oneOf(name, allowed) {
      const value = raw(name)
      if (value === undefined) return null
      const found = allowed.find((one) => one === value)
      if (found === undefined) complain(`${name} ${show(value)} is not known.`, suggestValue(value, allowed))
      return found ?? null
    },
    record(name, recordExample) {
      if (!values.has(name)) return null
      const entries = plainEntries(raw(name))
      if (entries !== null && entries.length > 0) return entries
      if (entries === null) expect(name, 'an object', `Write ${recordExample}.`)
      else complain(`${name} is empty.`, `Write ${recordExample}, or leave it out.`)
      return null
    },
  }
}

function plainEntries(value: unknown): [string, unknown][] | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype ? Object.entries(value) : null
}

/** Names people bring along from elsewhere, and ours for them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  ttl: 'max_staleness',
  retention: 'keep',
  interval: 'refresh',
  every: 'refresh',
  schedule: 'refresh',
  cron: 'refresh',
  query: 'sql',
  dtype: 'type',
  key_column: 'key',
  id_column: 'key',
  join_keys: 'key',
  path: 'file',
  event_timestamp: 'timestamp',
  timestamp_column: 'timestamp',
  created_timestamp: 'available',
  default_value: 'default',
  depends_on: 'uses',
}

function suggestOption(given: string, known: readonly string[]): string {
  const snake = given.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  if (known.includes(snake)) return `Did you mean "${snake}"?`
  const ours = Object.hasOwn(ELSEWHERE, snake) ? ELSEWHERE[snake] : undefined
  const begun = known.filter((name) => snake.length > 2 && name.startsWith(snake))
  const meant = ours !== undefined && known.includes(ours) ? ours : begun.length === 1 ? begun[0] : undefined
  return meant === undefined ? suggest(given, known) : `Did you mean "${meant}"?`
}

/** Type names people bring along from SQL, Python and TypeScript. */
const TYPES_ELSEWHERE: Readonly<Record<string, string>> = {
  integer: 'int',
  bigint: 'int',
  int64: 'int',
  long: 'int',
  number: 'float',
  double: 'float',
  decimal: 'float',
  float64: 'float',
  text: 'string',
  str: 'string',
  varchar: 'string',
  boolean: 'bool',
  date: 'timestamp',
  datetime: 'timestamp',
  timestamptz: 'timestamp',
  array: 'list',
  object: 'dict',
  map: 'dict',
  struct: 'dict',
  any: 'json',
}

/** `Did you mean "int"?`, or all that is known. */
export function suggestValue(given: unknown, known: readonly string[]): string {
  const all = `Known: ${known.join(', ')}.`
  if (typeof given !== 'string') return all
  const lower = given.toLowerCase()
  const ours = Object.hasOwn(TYPES_ELSEWHERE, lower) ? TYPES_ELSEWHERE[lower] : undefined
  if (ours !== undefined && known.includes(ours)) return `Did you mean "${ours}"? ${all}`
  const close = suggest(given, known)
  return close.startsWith('Did you mean') ? `${close} ${all}` : all
}
