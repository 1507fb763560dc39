import { SqlError } from '../source-store.ts'

/** What DuckDB says of an error when the connection has `errors_as_json`. Positions are byte offsets into the statement. */
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
  return new SqlError(KINDS[type.toLowerCase()] ?? 'runtime', message, position === null ? null : characterOffset(text, position), error)
}

/** The engine's own sentence, without the wrapping. */
export function engineMessage(error: unknown): string {
  return engineError(error).message
}

/** Offsets of the engine count bytes of UTF-8; ours count UTF-16 units, as JavaScript strings do. */
export function characterOffset(text: string, bytes: number): number {
  let seen = 0
  let offset = 0
  for (const character of text) {
    if (seen >= bytes) return offset
    const code = character.codePointAt(0) ?? 0
    seen += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
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
