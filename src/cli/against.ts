import { postgresProblem } from '../config/store-urls.ts'
import { FabraError } from '../errors.ts'

/** The address behind `--against`. @throws FabraError bad_usage, which never repeats it: it holds a password. */
export function againstUrl(url: string | undefined): string | null {
  const problem = url === undefined ? null : postgresProblem(url)
  if (problem !== null) {
    throw new FabraError('bad_usage', `The address of --against ${problem}`, {
      hint: 'Write it as --against postgres://user:password@host:5432/database.',
    })
  }
  return url ?? null
}
