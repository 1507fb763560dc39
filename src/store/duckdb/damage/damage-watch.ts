import { FabraError } from '../../../errors.ts'
import type { SessionPool } from '../connection/session-pool.ts'
import { damageMet } from './file-damage.ts'

/** Nobody reads the whole file at the start: a damaged block is met by the statement that needs it. */
export interface DamageWatch {
  /** The same pool; errors of those who use it are looked at. */
  watching(pool: SessionPool): SessionPool
  /** Null where nothing was met. */
  now(): FabraError | null
}

/** @param onDamage Told once. */
export function createDamageWatch(file: string, onDamage: (message: string, cause: unknown) => void): DamageWatch {
  let met: FabraError | null = null
  const look = (error: unknown) => {
    const what = met ? undefined : damageMet(error, file)
    if (what === undefined) return
    met = new FabraError('data_file_corrupt', `The database ${file} is damaged: ${what}.`, { hint: HOW, cause: error })
    onDamage(`${met.message} ${HOW}`, error)
  }
  return {
    watching: (pool) => ({
      ...pool,
      async use(options, work) {
        try {
          return await pool.use(options, work)
        } catch (error) {
          look(error)
          throw error
        }
      },
    }),
    now: () => met,
  }
}

const HOW =
  'Stop the server and run "fabra doctor --repair": it moves the file aside, keeps what can still be read and says what is lost; or put a backup in its place.'
