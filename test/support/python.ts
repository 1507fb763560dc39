import { join } from 'node:path'
import type { PythonSettings } from '../../src/runtime/python/worker.ts'

/** One folder for all tests: the package is unpacked and compiled once. */
const CACHE = join(import.meta.dir, '../../node_modules/.cache/fabra-python')

/** What a command would give the runtime, with the interpreter on PATH. */
export function pythonSettings(more: Partial<PythonSettings> = {}): PythonSettings {
  const { PATH, HOME, PYENV_VERSION } = process.env
  const env = { PATH, HOME, ...(PYENV_VERSION === undefined ? {} : { PYENV_VERSION }) }
  return { env, workerEnv: env, cacheFolders: [CACHE], executable: process.execPath, memory: 2 ** 30, ...more }
}
