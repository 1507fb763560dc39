import { createLineLimit } from './line-limit.ts'
import { createRedactor } from './redactor.ts'

/** Log lines on stderr: one JSON object a line, or short coloured text on a terminal. Results never go here, logs never to stdout. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

export interface LoggerOptions {
  readonly level: LogLevel | 'silent'
  readonly format: 'pretty' | 'json'
  readonly color: boolean
  /** Nobody may read them in a log. Default: none but what looks like one. */
  readonly secrets?: readonly string[]
  readonly write: (line: string) => void
  /** RFC 3339 text of the present. */
  readonly time: () => string
  /** Lines of one kind (level, message and code) in ten seconds; more are counted instead. Left out, or 0: all are written. */
  readonly mostAlike?: number
  /** By which those ten seconds are measured. Default: the machine's. */
  readonly nowMs?: () => number
}

/** The line of a request in the access log. */
export const ACCESS = 'request'
const SUPPRESSED = 'more lines like this are left out for a while'
const LEFT_OUT = 'lines like this were left out'
const RANK = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 } as const
const COLOR = { debug: '\u001b[2m', info: '', warn: '\u001b[33m', error: '\u001b[31m' } as const

export function createLogger(options: LoggerOptions): Logger {
  const redact = createRedactor(options.secrets ?? [])
  const { mostAlike: most = 0, nowMs = () => performance.now() } = options
  const limit =
    most === 0
      ? null
      : createLineLimit<LogLevel>({
          most,
          nowMs,
          onLeftOut: (level, like, lines) =>
            write(level, lines === null ? SUPPRESSED : LEFT_OUT, lines === null ? { like } : { like, lines }),
        })
  const log = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (RANK[level] < RANK[options.level]) return
    // Its share is chosen by whoever wants it.
    if (limit !== null && message !== ACCESS && !limit.admits(level, message, fields)) return
    write(level, message, fields)
  }
  const write = (level: LogLevel, message: string, fields?: LogFields) => {
    const safe = fields ? plainFields(fields) : {}
    const line =
      options.format === 'json' ? jsonLine(options.time(), level, message, safe) : prettyLine(level, message, safe, options.color)
    options.write(redact(line))
  }
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  return `${JSON.stringify({ time, level, message, ...fields })}\n`
}

function prettyLine(level: LogLevel, message: string, fields: LogFields, color: boolean): string {
  const { stack, ...rest } = fields
  const details = Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const text = [`${level === 'info' ? '' : `${level}: `}${message}`, ...details].join('  ')
  const trace =
    typeof stack === 'string'
      ? `\n${stack
          .split('\n')
          .map((line) => `    ${line.trim()}`)
          .join('\n')}`
      : ''
  return color && COLOR[level] ? `${COLOR[level]}${text}${trace}\u001b[0m\n` : `${text}${trace}\n`
}

/** Errors become message and stack (causes included), bigints become text. */
function plainFields(fields: LogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Error) {
      plain[name] = value.message
      plain['stack'] = stackOf(value)
    } else plain[name] = typeof value === 'bigint' ? value.toString() : value
  }
  return plain
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
