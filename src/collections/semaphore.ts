export interface Semaphore {
  /** Does the work when its turn has come. @throws what `limits.refuse` gives, when it does not come. */
  pass<T>(work: () => Promise<T>): Promise<T>
}

export interface WaitingLimits {
  /** More may not wait. */
  readonly most: number
  readonly longestMs: number
  refuse(): Error
}

/** Lets only so much work be under way; the rest waits for its turn. @param limits Of the waiting; left out, there are none. */
export function createSemaphore(width: number, limits?: WaitingLimits): Semaphore {
  const waiting: (() => void)[] = []
  let running = 0

  const turn = () =>
    new Promise<void>((resolve, reject) => {
      if (limits === undefined) {
        waiting.push(resolve)
        return
      }
      if (waiting.length >= limits.most) return reject(limits.refuse())
      const go = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(go), 1)
        reject(limits.refuse())
      }, limits.longestMs)
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
