import { FabraError } from '../errors.ts'
import type { Problem } from './model.ts'
import { inItsLanguage } from './python-words.ts'

/** The definitions cannot be used. Holds every problem found, not only the first. */
export class InvalidDefinitions extends FabraError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    super('invalid_definition', `The definitions have ${count}.`, { hint: 'Mend what is listed and try again.' })
    this.problems = problems.map(inItsLanguage).sort(byLocation)
  }
}

/** In the order of the file; what has no place comes first. */
export function byLocation(a: Problem, b: Problem): number {
  if (a.location === null || b.location === null) return Number(a.location !== null) - Number(b.location !== null)
  return a.location.file.localeCompare(b.location.file) || a.location.line - b.location.line || a.location.column - b.location.column
}

/**
 * `features.ts:12:3  feature "spend": refresh "5x" is not a duration.` and, on the next line, how to mend it.
 * @param cwd Paths below it are shown relative to it.
 */
export function problemText(problem: Problem, cwd: string): string {
  const { location } = problem
  const below = location?.file.startsWith(`${cwd}/`) ? location.file.slice(cwd.length + 1) : location?.file
  const where = location === null ? '' : `${below}:${location.line}:${location.column}  `
  // Other places that it names are below the folder, too.
  const message = problem.message.replaceAll(` at ${cwd}/`, ' at ')
  return `${where}${problem.subject}: ${message}${problem.hint ? `\n    ${problem.hint}` : ''}`
}
