/** Milliseconds that a long loop may hold the main thread before others get their turn. */
const HOLD_MS = 1
/** Steps taken without a look at the clock, which costs about as much as a step. */
const STEPS = 200

/** Loops that go on, one in a turn: together they would hold the thread as long as there are loops. */
const paused: (() => void)[] = []

function goOn(): void {
  paused.shift()?.()
  if (paused.length > 0) setImmediate(goOn)
}

/**
 * Keeps a long loop from making requests wait: `const wait = pace(); if (wait) await wait` lets others in when the turn has lasted long enough.
 * One pace per loop.
 */
export function createPace(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < HOLD_MS) return undefined
    return new Promise((resolve) => {
      paused.push(() => {
        since = performance.now()
        resolve()
      })
      if (paused.length === 1) setImmediate(goOn)
    })
  }
}

/** Does something with each item, in order, letting others in on the way. Short lists are done within the turn. */
export async function inSteps<Item>(items: Iterable<Item>, work: (item: Item) => void | Promise<void>): Promise<void> {
  const pace = createPace()
  let count = 0
  for (const item of items) {
    const working = work(item)
    if (working) await working
    const wait = ++count % STEPS === 0 ? pace() : undefined
    if (wait) await wait
  }
}
