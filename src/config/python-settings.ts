import { cacheFolders } from './cache-folders.ts'

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
}

/** Of the server alone. Features read what they need by `db`; who wants to give them more, names it in FABRA_WORKER_ENV. */
const SECRET = /^FABRA_(?:.*_URL|API_KEYS?|API_KEYS_FILE|WEBHOOK_SECRET)$/

/** @param used Names that platforms set and that this server takes its stores from. */
export function pythonSettings(env: PythonSettings['env'], used: readonly string[], memory: number): PythonSettings {
  const given = (env['FABRA_WORKER_ENV'] ?? '').split(',').map((name) => name.trim())
  const hidden = (name: string) => (SECRET.test(name) || used.includes(name)) && !given.includes(name)
  const workerEnv = Object.fromEntries(Object.entries(env).filter(([name]) => !hidden(name)))
  return { env, workerEnv, cacheFolders: cacheFolders(env), executable: process.execPath, memory }
}
