import { InvalidDefinitions, problemText } from '../definition/problems.ts'
import { FabraError } from '../errors.ts'
import type { CliContext } from './context.ts'

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

/** Columns padded to their widest cell, two spaces apart; nothing behind the last one. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, Bun.stringWidth(cell))
    })
  }
  const lines = rows.map((row) =>
    row
      .map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - Bun.stringWidth(cell)))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}
