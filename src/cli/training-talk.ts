/** What `train` says of a training set, while it is made and when it is done. */
import type { CliContext } from './context.ts'
import { counted, table } from './output.ts'

export interface Warning {
  readonly subject: string
  readonly message: string
  readonly hint: string
}

export interface Report {
  readonly rows: number
  readonly resumed: number
  readonly dataset_hash: string
  readonly features: readonly { feature: string; fingerprint: string; method: string; how: string | null; seconds: number | null }[]
  readonly summary: readonly ColumnSummary[]
  readonly warnings: readonly Warning[]
  readonly metadata: Readonly<Record<string, unknown>>
}

interface ColumnSummary {
  readonly column: string
  readonly method: string
  readonly values: number
  readonly null: number
  readonly default: number
  readonly missing: number
  readonly seconds: number | null
}

/** Columns shown to people; `--json` has all. */
const SHOWN_COLUMNS = 50
const SHOWN_WARNINGS = 20

/** Says each warning once, as soon as it is known. */
export function createWarner(context: CliContext): { tell(warnings: readonly Warning[]): void } {
  const warned = new Set<string>()
  const mark = context.color ? '\u001b[33mwarning\u001b[0m' : 'warning'
  return {
    tell(warnings) {
      for (const { subject, message, hint } of warnings) {
        const text = `${mark} ${subject}: ${message}\n  → ${hint}\n`
        if (warned.has(text)) continue
        warned.add(text)
        if (warned.size <= SHOWN_WARNINGS) context.stderr(text)
        else if (warned.size === SHOWN_WARNINGS + 1) context.stderr(`${mark} there are more; --json has all of them\n`)
      }
    },
  }
}

/** One line per column; their counts make up the rows. */
export function summaryText({ summary }: Report, width: number | null): string {
  const rows = summary
    .slice(0, SHOWN_COLUMNS)
    .map((one) => [
      one.column,
      ...[one.values, one.null, one.default, one.missing].map(number),
      one.seconds === null ? '' : `${one.seconds.toFixed(2)} s`,
      one.method,
    ])
  const more = summary.length - rows.length
  const head = ['column', 'values', 'null', 'default', 'missing', 'took', 'method']
  return table([head, ...rows], width) + (more > 0 ? `… and ${counted(more, 'more column')}; --json has all of them\n` : '')
}

export interface Pace {
  readonly feature: string
  readonly rows_per_second: number | null
  readonly seconds_left: number | null
}

/** Behind the bar: what is being computed, how quickly, how long it may take. */
export function paceText({ feature, rows_per_second: rate, seconds_left: left }: Pace): string {
  const short = feature.length > 30 ? `${feature.slice(0, 29)}…` : feature
  const facts = [short, rate === null ? '' : `${number(rate)} rows/s`, left === null ? '' : `${leftText(left)} left`]
  return facts.filter((fact) => fact !== '').join(', ')
}

function leftText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return `${Math.round(seconds / 60)} min`
  return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`
}

export function number(value: number): string {
  return value.toLocaleString('en')
}
