import type { SessionPool } from '../../connection/session-pool.ts'

/** Whether anything was written meanwhile, told without a look at the data: nobody but this process writes to the file. */
export interface Changes {
  /** The same pool; whoever uses it may have written. */
  counted(pool: SessionPool): SessionPool
  /** Equal numbers: nothing was written in between. Null while somebody may be writing. */
  now(): number | null
}

export function createChanges(): Changes {
  let begun = 0
  let running = 0
  return {
    counted: (pool) => ({
      ...pool,
      async use(options, work) {
        begun++
        running++
        try {
          return await pool.use(options, work)
        } finally {
          running--
        }
      },
    }),
    now: () => (running === 0 ? begun : null),
  }
}
