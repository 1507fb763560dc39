import { InvalidDefinitions, problemText } from '../definition/problems.ts'
import { FabraError } from '../errors.ts'
import type { CliContext } from './context.ts'
import { TERMINAL_COLUMNS } from './progress.ts'

/** `1 row`, `2 rows`. */
export function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

/** One error, for people on stderr or as JSON on stdout. A bug shows its stack: there is no server log to look at. */
export function printError(error: unknown, context: CliContext): void {
  if (context.json) {
    context.stdout(`${JSON.stringify(errorObject(error))}\n`)
    return
  }
  const red = (text: string) => (context.color ? `\u001b[31m${text}\u001b[0m` : text)
  if (error instanceof InvalidDefinitions) {
    for (const problem of error.problems) context.stderr(`${problemText(problem, context.cwd)}\n\n`)
    context.stderr(`${red('error')} invalid_definition: ${error.message}\n`)
    return
  }
  if (error instanceof FabraError) {
    context.stderr(`${red('error')} ${error.code}: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ''}`)
    return
  }
  context.stderr(`${red('error')} internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
}

function errorObject(error: unknown): object {
  if (error instanceof InvalidDefinitions) return { error: { code: error.code, message: error.message, problems: error.problems } }
  if (error instanceof FabraError)
    return { error: { code: error.code, message: error.message, ...(error.hint ? { hint: error.hint } : {}) } }
  return { error: { code: 'internal', message: error instanceof Error ? error.message : String(error) } }
}

/** The width that a table must keep to; null where no terminal would break its lines. */
export function tableWidth(isTerminal: boolean, host: { readonly terminalColumns?: number | undefined }): number | null {
  return isTerminal ? (host.terminalColumns ?? TERMINAL_COLUMNS) : null
}

/** Columns are made no narrower than this. */
const NARROWEST = 10
const GAP = 2

/**
 * Columns padded to their widest cell, two spaces apart; nothing behind the last one.
 * @param width What is wider is broken within its cells: a terminal would break the lines anywhere.
 */
export function table(rows: readonly (readonly string[])[], width: number | null = null): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, Bun.stringWidth(cell))
    })
  }
  if (width !== null) narrow(widths, width)
  const lines = rows.flatMap((row) => {
    const cells = row.map((cell, i) => broken(cell, widths[i] ?? 0))
    const height = Math.max(1, ...cells.map((cell) => cell.length))
    return Array.from({ length: height }, (_, line) =>
      cells
        .map((cell, i) => {
          const text = cell[line] ?? ''
          return text + ' '.repeat(Math.max(0, (widths[i] ?? 0) - Bun.stringWidth(text)))
        })
        .join(' '.repeat(GAP))
        .trimEnd(),
    )
  })
  return `${lines.join('\n')}\n`
}

/** The widest give way first. */
function narrow(widths: number[], width: number): void {
  const total = () => widths.reduce((sum, one) => sum + one, 0) + GAP * (widths.length - 1)
  while (total() > width) {
    const widest = widths.indexOf(Math.max(...widths))
    const now = widths[widest] ?? 0
    if (now <= NARROWEST) return
    const next = Math.max(NARROWEST, ...widths.filter((_, i) => i !== widest))
    widths[widest] = Math.max(NARROWEST, next < now ? Math.max(next, now - (total() - width)) : now - 1)
  }
}

/** Deeper than the line it goes on from. */
const HANGING = 2

/**
 * Lines that a terminal would break anywhere, broken between words instead; what goes on stands deeper than where it began.
 * @param width Null: as they are. A word that is wider, such as a path, stays whole: it is to be copied.
 */
export function fitted(text: string, width: number | null): string {
  if (width === null) return text
  return text
    .split('\n')
    .map((line) => {
      if (Bun.stringWidth(line) <= width) return line
      const indent = line.length - line.trimStart().length
      const [first = '', ...others] = Bun.wrapAnsi(line.trimStart(), width - indent - HANGING).split('\n')
      return [' '.repeat(indent) + first, ...others.map((one) => ' '.repeat(indent + HANGING) + one)].join('\n')
    })
    .join('\n')
}

function broken(cell: string, width: number): string[] {
  return Bun.stringWidth(cell) <= width ? [cell] : Bun.wrapAnsi(cell, width, { hard: true }).split('\n')
}
