/**
 * Who answers a ping: the thread that reads, which shows that the interpreter's lock is free, and, where there is an event loop, the loop. A process
 * that answers with one of them alone is blocked for a part of its calls. A call's answer says as much as the reader's: under a rush of calls the reader
 * is one of many that want the lock, and has it late.
 */
export interface SignsOfLife {
  /** A ping is sent. */
  asked(): void
  seen(sign: 'pong' | 'beat'): void
  /** A call was answered: whoever wrote that had the lock. */
  answered(): void
  /** The reader has answered the last ping, the loop has not. */
  loopIsSilent(): boolean
}

/** @param onAll Called when everybody has answered. */
export function createSignsOfLife(onAll: () => void): SignsOfLife {
  let hasLoop = false
  let awaitsPong = false
  let awaitsBeat = false
  return {
    asked() {
      awaitsPong = true
      awaitsBeat = hasLoop
    },
    seen(sign) {
      if (sign === 'pong') awaitsPong = false
      else {
        hasLoop = true
        awaitsBeat = false
      }
      if (!awaitsPong && !awaitsBeat) onAll()
    },
    answered() {
      if (!awaitsPong) return
      awaitsPong = false
      if (!awaitsBeat) onAll()
    },
    loopIsSilent: () => awaitsBeat && !awaitsPong,
  }
}
