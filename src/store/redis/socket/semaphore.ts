import { unavailable } from './unavailable.ts'

/** Longest wait for a turn. */
const LONGEST_WAIT_MS = 10_000
/** More may not wait. */
const MAX_WAITING = 10_000

export interface Semaphore {
  /** @throws FabraError store_unavailable when its turn does not come */
  pass<T>(work: () => Promise<T>): Promise<T>
}

/**
 * Lets only so much work be under way. The deadline of each piece then measures Redis, and not how much there is to do here: fifty batches
 * that are pushed at once are written one after the other instead of failing together.
 */
export function createSemaphore(width: number): Semaphore {
  const waiting: (() => void)[] = []
  let running = 0

  const turn = () =>
    new Promise<void>((resolve, reject) => {
      if (waiting.length >= MAX_WAITING) return reject(unavailable('Too many writes wait.'))
      const go = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(go), 1)
        reject(unavailable('Too many writes wait.'))
      }, LONGEST_WAIT_MS)
      waiting.push(go)
    })

  return {
    async pass(work) {
      if (running >= width) await turn()
      else running++
      try {
        return await work()
      } finally {
        // The place goes to the next one, or is given back.
        const next = waiting.shift()
        if (next) next()
        else running--
      }
    },
  }
}
