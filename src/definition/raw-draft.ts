/** What a Python author wrote, read by the rules that hold for everybody. */
import { baseType, readDeclaredType } from './declared-type.ts'
import type { Draft } from './draft.ts'
import { readEntity } from './entity.ts'
import { readFeature } from './feature.ts'
import { readFeatureSet } from './feature-set.ts'
import type { SentRawDraft } from './sent-drafts.ts'
import { ShownValue } from './show.ts'
import { readSource } from './source.ts'
import { formatTime } from './time.ts'

/** Options in which a number is a length of time: seconds, as everywhere in Python. */
const DURATIONS: ReadonlySet<string> = new Set(['refresh', 'max_staleness', 'look_back', 'timeout', 'keep_warm', 'keep', 'delay'])
/** What the annotation says that its value holds; part of the type here. */
const ELEMENT = 'element'

/**
 * @param referred The definition behind an id; undefined for none.
 * @param nameOf The name of the definition behind an id.
 * @param compute Stands for its function.
 */
export function readRawDraft(
  sent: SentRawDraft,
  { referred, nameOf, compute }: { referred: (id: number) => unknown; nameOf: (id: number) => string; compute: unknown },
): Draft {
  const revive = (value: unknown): unknown => reviveValue(value, referred, nameOf)
  const options = Object.fromEntries(
    Object.entries(sent.options)
      // None is nothing given, but for the value that is served where there is no other.
      .filter(([name, value]) => name !== ELEMENT && (value !== null || name === 'default'))
      .map(([name, value]) => [name, DURATIONS.has(name) ? duration(value, revive) : revive(value)]),
  )
  const whole = readDeclaredType(sent.options[ELEMENT])
  if (whole !== null && options['type'] === baseType(whole)) options['type'] = whole
  if (isKnownToReplay(sent)) options['replay'] ??= true
  const args = sent.args.map(revive)
  const draft = readByKind(sent, args, options, compute)
  return { ...draft, complaints: [...(sent.complaints ?? []), ...draft.complaints] }
}

/**
 * Where the syntax tree shows no clock, and what would read elsewhere is refused in the past, `db`, `get` and `as_of()` are all that a function
 * in Python has: it is right for any time, unless it says otherwise.
 */
function isKnownToReplay({ kind, function: fn }: SentRawDraft): boolean {
  return kind === 'feature' && fn !== null && (fn.clock ?? []).length === 0
}

function readByKind(sent: SentRawDraft, args: readonly unknown[], options: object, compute: unknown): Draft {
  const { kind, location } = sent
  switch (kind) {
    case 'entity':
      return readEntity(args[0] ?? sent.name ?? undefined, options, location)
    case 'source':
      return readSource(args[0], options, location)
    case 'feature_set':
      return readFeatureSet(args[0], args[1], options, location)
    case 'feature':
      return readFeature(options, compute, location)
  }
}

function duration(value: unknown, revive: (value: unknown) => unknown): unknown {
  return typeof value === 'number' && value !== 0 ? new ShownValue(String(value), value * 1_000_000) : revive(value)
}

function reviveValue(value: unknown, referred: (id: number) => unknown, nameOf: (id: number) => string): unknown {
  const revive = (part: unknown): unknown => reviveValue(part, referred, nameOf)
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== 'object' || value === null) return value
  const [entry] = Object.entries(value)
  if (entry === undefined || !entry[0].startsWith('$'))
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, revive(part)]))
  const [tag, content] = entry
  switch (tag) {
    case '$ref':
      return referred(Number(content))
    case '$column':
      return columnName(content, nameOf)
    case '$micros':
      return new ShownValue(microsText(Number(content)), Number(content))
    case '$ts':
      return formatTime(Number(content))
    case '$typed':
      return readDeclaredType(content) ?? /^[a-z0-9]+/.exec(String(content))?.[0]
    case '$obj':
      return Object.fromEntries(Object.entries((content ?? {}) as object).map(([name, part]) => [name, revive(part)]))
    default:
      return new ShownValue(String(content))
  }
}

function columnName(content: unknown, nameOf: (id: number) => string): string {
  const { ref, column } = content as { ref?: unknown; column?: unknown }
  return `${nameOf(Number(ref))}.${String(column)}`
}

function microsText(micros: number): string {
  return `timedelta(seconds=${micros / 1_000_000})`
}
