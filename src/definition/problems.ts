import { FabraError } from '../errors.ts'
import type { Problem } from './model.ts'

/** The definitions cannot be used. Holds every problem found, not only the first. */
export class InvalidDefinitions extends FabraError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    super('invalid_definition', `The definitions have ${count}.`, { hint: 'Mend what is listed and try again.' })
    this.problems = [...problems].sort(byPlace)
  }
}

/** In the order of the file; what has no place comes first. */
export function byPlace(a: Problem, b: Problem): number {
  if (a.place === null || b.place === null) return Number(a.place !== null) - Number(b.place !== null)
  return a.place.file.localeCompare(b.place.file) || a.place.line - b.place.line || a.place.column - b.place.column
}

/**
 * `features.ts:12:3  feature "spend": refresh "5x" is not a duration.` and, on the next line, how to mend it.
 * @param cwd Paths below it are shown relative to it.
 */
export function problemText(problem: Problem, cwd: string): string {
  const { place } = problem
  const below = place?.file.startsWith(`${cwd}/`) ? place.file.slice(cwd.length + 1) : place?.file
  const where = place === null ? '' : `${below}:${place.line}:${place.column}  `
  return `${where}${problem.subject}: ${problem.message}${problem.hint ? `\n    ${problem.hint}` : ''}`
}
