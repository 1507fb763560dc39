import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { PythonSettings } from '../../src/runtime/python/worker.ts'

const PROJECT = resolve(import.meta.dir, '../..')

/** Where the package "fabra" is: authoring and client. */
export const PYTHON_SOURCES = join(PROJECT, 'src/python')

/** A program of the environment that scripts/setup --test makes of test/python/requirements.txt: "python", "mypy", "twine". */
export function pythonTool(name: string): string {
  const path = join(PROJECT, '.bun/python/bin', name)
  if (existsSync(path)) return path
  throw new Error(`There is no ${path}. "scripts/setup --test" installs it.`)
}

/**
 * Settings for mypy: packages that are in the environment of tests, and that nothing of ours imports, are not read for what httpx, rich and pytest say of
 * them. Without a cache they are two thirds of the work.
 */
export const MYPY_SETTINGS = `[mypy]
[mypy-numpy.*,rich.*,IPython.*,matplotlib.*,click.*,pygments.*]
follow_imports = skip
follow_imports_for_stubs = True
`

/** @returns what it printed, after its exit code. It is killed when it takes too long. */
export async function runTool(
  words: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>>; readonly timeoutMs?: number } = {},
): Promise<string> {
  const child = Bun.spawn([...words], {
    cwd: options.cwd ?? PROJECT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'C.UTF-8', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 240_000,
    killSignal: 'SIGKILL',
  })
  const [exitCode, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  return `${exitCode}\n${stdout}${stderr}`
}

/** One folder for all tests: the package is unpacked and compiled once. */
export const PYTHON_CACHE = join(import.meta.dir, '../../node_modules/.cache/fabra-python')

/** What a command would give the runtime, with the interpreter on PATH. */
export function pythonSettings(more: Partial<PythonSettings> = {}): PythonSettings {
  const { PATH, HOME, PYENV_VERSION } = process.env
  const env = { PATH, HOME, ...(PYENV_VERSION === undefined ? {} : { PYENV_VERSION }) }
  return { env, workerEnv: env, cacheFolders: [PYTHON_CACHE], executable: process.execPath, memory: 2 ** 30, ...more }
}
