import { SqlError } from '../source-store.ts'

/** What DuckDB says of an error when the connection has `errors_as_json`. */
interface EngineError {
  readonly type: string
  readonly message: string
  readonly position: number | null
}

const KINDS: Readonly<Record<string, SqlError['kind']>> = {
  parser: 'syntax',
  syntax: 'syntax',
  binder: 'binding',
  catalog: 'binding',
  'parameter not allowed': 'binding',
  'parameter not resolved': 'binding',
  permission: 'binding',
  interrupt: 'interrupted',
  internal: 'internal',
  'not implemented': 'internal',
  'out of memory': 'internal',
  optimizer: 'internal',
  planner: 'internal',
  executor: 'internal',
  fatal: 'unavailable',
  io: 'unavailable',
  connection: 'unavailable',
  http: 'unavailable',
}

/** A driver's error as ours. `text` is the statement that the positions point into. */
export function toSqlError(error: unknown, text: string): SqlError {
  if (error instanceof SqlError) return error
  const { type, message, position } = engineError(error)
  const kind = KINDS[type.toLowerCase()] ?? 'runtime'
  return new SqlError(
    kind,
    message,
    position === null ? null : (kind === 'syntax' ? offsetOfCodePoint : offsetOfByte)(text, position),
    error,
  )
}

/** The engine's own sentence, without the wrapping. */
export function engineMessage(error: unknown): string {
  return engineError(error).message
}

/** The engine's binder counts bytes of UTF-8; we count as JavaScript strings do. */
export function offsetOfByte(text: string, bytes: number): number {
  return offsetWhere(text, bytes, (code) => (code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4))
}

/** The engine's parser counts code points (seen in 1.5.5, for syntax errors alone; locations in its trees are bytes). */
export function offsetOfCodePoint(text: string, points: number): number {
  return offsetWhere(text, points, () => 1)
}

function offsetWhere(text: string, wanted: number, width: (code: number) => number): number {
  let seen = 0
  let offset = 0
  for (const character of text) {
    if (seen >= wanted) return offset
    seen += width(character.codePointAt(0) ?? 0)
    offset += character.length
  }
  return offset
}

function engineError(error: unknown): EngineError {
  const raw = error instanceof Error ? error.message : String(error)
  const start = raw.indexOf('{"exception_type"')
  if (start >= 0) {
    try {
      const parsed: unknown = JSON.parse(raw.slice(start))
      if (typeof parsed === 'object' && parsed !== null) {
        const field = (name: string) => (name in parsed ? String((parsed as Record<string, unknown>)[name]) : null)
        const position = field('position')
        return {
          type: field('exception_type') ?? 'Invalid Input',
          message: field('exception_message') ?? raw,
          position: position === null ? null : Number(position),
        }
      }
    } catch {
      // Not JSON after all: the plain form below.
    }
  }
  const plain = /^(?:[^:]*: )?([A-Za-z ]+) Error: ([\s\S]*)$/.exec(raw)
  return { type: plain?.[1] ?? 'Invalid Input', message: (plain?.[2] ?? raw).replace(/\n\nLINE \d+:[\s\S]*$/, ''), position: null }
}
