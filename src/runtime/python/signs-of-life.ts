/**
 * Who answers a ping: the thread that reads, which shows that the interpreter's lock is free, and, where there is an event loop, the loop. A process
 * that answers with one of them alone is blocked for a part of its calls.
 */
export interface SignsOfLife {
  /** A ping is sent. */
  asked(): void
  seen(sign: 'pong' | 'beat'): void
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
    loopIsSilent: () => awaitsBeat && !awaitsPong,
  }
}
