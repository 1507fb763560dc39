/** Where a project's interpreter may be, in the order in which people mean it. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'

export interface Candidate {
  /** Absolute path of what would be started. */
  readonly path: string
  /** What points to it: `FABRA_PYTHON`, `.venv of /project`, … */
  readonly from: string
  /** Somebody said that it is this one: when it does not work, no other is taken in silence. */
  readonly isMeant: boolean
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute path of a file that defines features. */
  readonly file: string
  /** Absolute path of this executable. */
  readonly executable: string
}

export function candidates({ env, file, executable }: Surroundings): Candidate[] {
  const found: Candidate[] = []
  const add = (path: string, from: string, isMeant: boolean) => found.push({ path, from, isMeant })
  const named = env['FABRA_PYTHON']
  if (named) add(named.includes('/') ? absolute(named) : (Bun.which(named, { PATH: env['PATH'] ?? '' }) ?? named), 'FABRA_PYTHON', true)
  if (env['VIRTUAL_ENV']) add(join(env['VIRTUAL_ENV'], 'bin', 'python'), 'VIRTUAL_ENV', true)
  const environment = projectEnvironment(file, env['UV_PROJECT_ENVIRONMENT'])
  if (environment !== null) add(join(environment, 'bin', 'python'), environment, true)
  if (env['CONDA_PREFIX']) add(join(env['CONDA_PREFIX'], 'bin', 'python'), 'CONDA_PREFIX', false)
  const beside = join(dirname(executable), 'python3')
  if (!isToolFolder(executable) && existsSync(beside)) add(beside, 'beside this executable', false)
  for (const name of ['python3', 'python']) {
    const path = Bun.which(name, { PATH: env['PATH'] ?? '' })
    if (path !== null) add(path, `${name} on PATH`, false)
  }
  return found.filter((one, i) => found.findIndex((other) => other.path === one.path) === i)
}

/** `home = …` of an environment, for the one whose interpreter is gone. */
export function homeOf(interpreter: string): string | null {
  try {
    const text = readFileSync(join(dirname(dirname(interpreter)), 'pyvenv.cfg'), 'utf8')
    return /^home\s*=\s*(.+)$/m.exec(text)?.[1]?.trim() ?? null
  } catch {
    return null
  }
}

/** The nearest one beside the file or above. A folder called `.venv` that is no environment does not count. */
function projectEnvironment(file: string, named: string | undefined): string | null {
  if (named && isAbsolute(named)) return named
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    for (const name of named ? [named, '.venv'] : ['.venv']) {
      const environment = join(folder, name)
      if (existsSync(join(environment, 'pyvenv.cfg')) || existsSync(join(environment, 'bin', 'python'))) return environment
    }
    if (folder === dirname(folder)) return null
  }
}

/** There the environment is the tool's own, and holds nothing of the user's. */
function isToolFolder(path: string): boolean {
  return /\/(?:pipx\/venvs|uv\/tools)\//.test(path)
}

function absolute(path: string): string {
  return isAbsolute(path) ? path : join(process.cwd(), path)
}
