import type { SessionPool } from './session-pool.ts'

/**
 * To read a commit back from the log takes the engine about as long as the commit itself did, a millisecond and more: after a kill, a log of small
 * commits would hold up the start for minutes long before it has the size at which the engine writes it into the file by itself.
 */
const MOST_COMMITS = 500
/** After one that could not be: another session was writing. */
const AGAIN_AFTER = 50

export interface Checkpoints {
  /** The same pool; whoever has used it has committed once, we suppose. */
  counted(pool: SessionPool): SessionPool
  /** Writes the log into the file now, behind whatever else goes on. */
  begin(): void
}

/** @param checkpoint Rejects where another session is writing. */
export function createCheckpoints(checkpoint: () => Promise<void>): Checkpoints {
  let commits = 0
  let isRunning = false
  const begin = () => {
    isRunning = true
    checkpoint()
      .then(
        () => {
          commits = 0
        },
        () => {
          commits = MOST_COMMITS - AGAIN_AFTER
        },
      )
      .finally(() => {
        isRunning = false
      })
  }
  return {
    counted: (pool) => ({
      ...pool,
      async use(options, work) {
        try {
          return await pool.use(options, work)
        } finally {
          if (++commits >= MOST_COMMITS && !isRunning) begin()
        }
      },
    }),
    begin,
  }
}
