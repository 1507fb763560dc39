import { SqlError } from '../../ports/source-engine.ts'
import { offsetOfByte, offsetOfCodePoint } from '../../ports/text-offsets.ts'

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
  // A commit that failed: the disk is full, say.
  transactioncontext: 'unavailable',
  http: 'unavailable',
}

/** A driver's error as ours. `text` is the statement that the positions point into. */
export function toSqlError(error: unknown, text: string): SqlError {
  if (error instanceof SqlError) return error
  const { type, message, position } = engineError(error)
  const kind = KINDS[type.toLowerCase()] ?? 'runtime'
  // The binder counts bytes. The parser counts code points (seen in 1.5.5, for syntax errors alone; locations in its trees are bytes).
  return new SqlError(
    kind,
    message,
    position === null ? null : (kind === 'syntax' ? offsetOfCodePoint : offsetOfByte)(text, position),
    error,
  )
}

/** Whether the engine says that it has no such value: today, tomorrow, and whatever the disk does. */
export function isValueError(error: unknown): boolean {
  return /^(?:conversion|out of range|constraint|numeric)/i.test(engineError(error).type)
}

/** The commit went well; what could not be done is to write the log into the file after it. */
export function isDurable(error: unknown): boolean {
  return /COMMIT succeeded and is durable/.test(engineMessage(error))
}

/** What the engine says of a database that it takes no statement for any more, until it is opened again; undefined where that is not it. */
export function invalidation(error: unknown): string | undefined {
  const { type, message } = engineError(error instanceof SqlError ? (error.cause ?? error) : error)
  if (!/has been invalidated/.test(message) && type.toLowerCase() !== 'fatal') return undefined
  return /Original error: (.*)/.exec(message)?.[1] ?? message.split('\n', 1)[0]
}

/** The engine failed in the middle: what was to be committed may be in the file when it is opened again. Those that come after it are refused whole. */
export function isOutcomeUnknown(error: unknown): boolean {
  const { type, message } = engineError(error instanceof SqlError ? (error.cause ?? error) : error)
  return type.toLowerCase() === 'fatal' && !/because of a previous fatal error/.test(message)
}

/** The engine's own sentence, without the wrapping. */
export function engineMessage(error: unknown): string {
  return engineError(error).message
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
