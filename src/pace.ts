/** Milliseconds that a long loop may hold the main thread before others get their turn. */
const HOLD_MS = 2

/**
 * Keeps a long loop from making requests wait: `const wait = pace(); if (wait) await wait` lets others in when the turn has lasted long enough.
 * One pace per loop; asking costs about as much as reading the clock, so ask every few dozen steps.
 */
export function createPace(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < HOLD_MS) return undefined
    return new Promise((resolve) => {
      setImmediate(() => {
        since = performance.now()
        resolve()
      })
    })
  }
}
