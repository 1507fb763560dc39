/** Finds the interpreter that runs a project's Python files, and makes sure that it can. */
import { existsSync, lstatSync } from 'node:fs'
import { FabraError } from '../../errors.ts'
import { type Candidate, candidates, homeOf, type Surroundings } from './candidates.ts'

export interface Interpreter {
  /** What is started: no shim, which costs a tenth of a second each time. */
  readonly path: string
  /** `3.11.7` */
  readonly version: string
}

const OLDEST = [3, 9] as const
const PROBE_MS = 20_000
/** Runs on any Python, however old. Compiles our package where that has not been done for this version yet. */
const PROBE = `
import sys
sys.stdout.write("\\n@fabra %s %s\\n" % (".".join(str(n) for n in sys.version_info[:3]), sys.executable))
if sys.version_info >= (3, 9):
    import os
    import py_compile
    from importlib.util import cache_from_source
    for folder, _, names in os.walk(os.path.join(sys.argv[1], "fabra")):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".py") and not name.startswith(".") and not os.path.exists(cache_from_source(path)):
                try:
                    py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
                except OSError:
                    pass
`
const HINT = 'Install Python 3.9 or newer, make an environment in the project ("python3 -m venv .venv"), or name one in FABRA_PYTHON.'

/**
 * @param folder That holds our package.
 * @throws FabraError invalid_definition that names everything that was tried
 */
export async function findInterpreter(surroundings: Surroundings, folder: string): Promise<Interpreter> {
  const tried: string[] = []
  for (const candidate of candidates(surroundings)) {
    const found = await probe(candidate, surroundings.env, folder)
    if (typeof found !== 'string') return found
    tried.push(`${candidate.path} (${candidate.from}) ${found}`)
    if (candidate.isMeant)
      throw new FabraError('invalid_definition', `the Python interpreter cannot be used: ${tried.join('; ')}.`, {
        hint: hintFor(candidate),
      })
  }
  if (tried.length === 0) {
    const places = 'FABRA_PYTHON, VIRTUAL_ENV, .venv beside the file and above, CONDA_PREFIX, python3 and python on PATH'
    throw new FabraError('invalid_definition', `no Python interpreter was found. Tried: ${places}.`, { hint: HINT })
  }
  throw new FabraError('invalid_definition', `no Python interpreter that can be used was found. Tried: ${tried.join('; ')}.`, {
    hint: HINT,
  })
}

function hintFor(candidate: Candidate): string {
  if (candidate.from === 'FABRA_PYTHON') return 'Set FABRA_PYTHON to an interpreter of Python 3.9 or newer, or unset it.'
  if (candidate.from === 'VIRTUAL_ENV') return 'Make the environment again ("python3 -m venv …"), or leave it with "deactivate".'
  return `Make the environment again: rm -r ${candidate.from} && python3 -m venv ${candidate.from}`
}

/** @returns the interpreter, or why it cannot be used. */
async function probe(candidate: Candidate, env: Surroundings['env'], folder: string): Promise<Interpreter | string> {
  const { path } = candidate
  const missing = missingReason(path)
  if (missing !== null) return missing
  // Without Apple's tools this file is no Python: started, it opens a window that asks for them.
  if (process.platform === 'darwin' && path === '/usr/bin/python3' && !(await hasAppleTools()))
    return "is Apple's stand-in for tools that are not installed (xcode-select --install)"
  try {
    const child = Bun.spawn([path, '-c', PROBE, folder], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env,
      timeout: PROBE_MS,
      killSignal: 'SIGKILL',
    })
    const [said, complaint, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
    const found = judge(said, complaint, code)
    return typeof found === 'string' || found.path !== '' ? found : { ...found, path }
  } catch (error) {
    return `does not start: ${error instanceof Error ? error.message : String(error)}`
  }
}

const LONGEST_COMPLAINT = 120

function judge(said: string, complaint: string, code: number): Interpreter | string {
  // What the user's environment prints at every start comes before.
  const [, version = '', path = ''] = /^@fabra (\d+\.\d+\.\d+) (.*)$/m.exec(said) ?? []
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (version === '') {
    return `does not work: ${lastLine(complaint) || `it ended with exit code ${code}`}`
  }
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) return `is Python ${version}: 3.9 or newer is needed`
  if (code !== 0) return `does not work: ${lastLine(complaint)}`
  return { path, version }
}

/** What is no Python may say all that it was given. */
function lastLine(complaint: string): string {
  const last = complaint.trim().split('\n').at(-1) ?? ''
  return last.length > LONGEST_COMPLAINT ? `${last.slice(0, LONGEST_COMPLAINT)}…` : last
}

function missingReason(path: string): string | null {
  const target = lstatSync(path, { throwIfNoEntry: false })
  if (target === undefined) return 'does not exist'
  if (!target.isSymbolicLink()) return null
  if (existsSync(path)) return null
  const home = homeOf(path)
  return `points to an interpreter that is gone${home === null ? '' : ` (it was in ${home})`}`
}

async function hasAppleTools(): Promise<boolean> {
  const child = Bun.spawn(['/usr/bin/xcode-select', '-p'], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', timeout: PROBE_MS })
  return (await child.exited) === 0
}
