import { cacheFolders } from './cache-folders.ts'
import { workerEnvironment } from './worker-environment.ts'

/** What starts the processes that run Python. */
export interface PythonSettings {
  /** Says where interpreters are. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** What users' code sees of it. */
  readonly workerEnv: Readonly<Record<string, string | undefined>>
  /** Where the package may be unpacked, best first. */
  readonly cacheFolders: readonly string[]
  /** Absolute path of this executable. */
  readonly executable: string
  /** Bytes that a worker may hold. */
  readonly memory: number
  /** Whether the system keeps from them what the server holds; not while somebody looks for a fault. */
  readonly hidesServer?: boolean
}

export function pythonSettings(env: PythonSettings['env'], own: Pick<PythonSettings, 'memory' | 'hidesServer'>): PythonSettings {
  return { env, workerEnv: workerEnvironment(env), cacheFolders: cacheFolders(env), executable: process.execPath, ...own }
}

const MEMORY = 2 ** 30

/** For commands that serve nothing, and hold no secrets of a server. */
export function pythonSettingsOf(env: PythonSettings['env']): PythonSettings {
  return pythonSettings(env, { memory: MEMORY, hidesServer: false })
}
