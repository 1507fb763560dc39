import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { FabraError, suggest } from '../errors.ts'

/** What is served when nothing is named: both languages, where both are there. */
export function defaultFiles(cwd: string): readonly string[] {
  return eachOnce(['features.ts', 'features.py'].map((name) => join(cwd, name)).filter((file) => existsSync(file)))
}

/** A file that is named twice, also by a link to it, is one; the first of its names counts. */
function eachOnce(files: readonly string[]): readonly string[] {
  const seen = new Map<string, string>()
  for (const file of files) {
    const real = realpathSync(file)
    if (!seen.has(real)) seen.set(real, file)
  }
  return [...seen.values()]
}

/**
 * The definition files a command works on, absolute: those named, else features.ts and features.py of the current folder.
 * @throws FabraError definition_not_found with a near name from the same folder.
 */
export function featureFiles(given: readonly string[], cwd: string): readonly string[] {
  if (given.length === 0) {
    const files = defaultFiles(cwd)
    if (files.length > 0) return files
    const hint = 'Run "fabra init" to make one, or name a file: fabra serve path/to/features.ts'
    throw new FabraError('definition_not_found', 'There is no features.ts or features.py in this folder.', { hint })
  }
  const files = given.map((name) => {
    const file = isAbsolute(name) ? name : join(cwd, name)
    if (existsSync(file)) return file
    const folder = dirname(file)
    const known = existsSync(folder) ? readdirSync(folder).filter((entry) => /\.(ts|mts|js|mjs|py)$/.test(entry)) : []
    throw new FabraError('definition_not_found', `The file ${name} does not exist.`, {
      hint: !existsSync(folder)
        ? `The folder ${dirname(name)} does not exist either.`
        : known.length > 0
          ? suggest(basename(name), known)
          : 'Run "fabra init" to start a project.',
    })
  })
  return eachOnce(files)
}
