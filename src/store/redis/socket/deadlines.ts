const LATE_LOOK_MS = 20

/** A command, until its answer or its deadline is there. */
export abstract class Deadline {
  dueAt = 0

  abstract isOpen(): boolean
  /** Told of the deadline while it is open. */
  abstract failed(error: Error): void
}

/**
 * A cluster asks again by itself, each time with a timeout of its own: here the whole has one. All that is asked has the same time, so one
 * timer watches the oldest: one for each is a tenth of what a batch of few reads costs.
 */
export function createDeadlines(timeoutMs: number): (one: Deadline) => void {
  const waiting: Deadline[] = []
  let timer: Timer | undefined

  /** A process that was busy for long finds the timer due before it has looked at the socket: what lies there counts. */
  function watch(oldest: Deadline): void {
    const look = () => {
      const seenAt = performance.now()
      setTimeout(end, LATE_LOOK_MS, seenAt).unref()
    }
    timer = setTimeout(look, Math.max(0, oldest.dueAt - performance.now())).unref()
  }

  /** Only what was due before the look: the process may have been busy since. */
  function end(seenAt: number): void {
    timer = undefined
    let over = 0
    for (const one of waiting) {
      if (one.isOpen() && one.dueAt > seenAt) break
      if (one.isOpen()) one.failed(new Error('Command timed out'))
      over++
    }
    waiting.splice(0, over)
    const [oldest] = waiting
    if (oldest) watch(oldest)
  }

  /** What is answered goes with the next command: kept for as long as it could have taken, it would be much for the collector to look at. */
  function letGo(): void {
    while (waiting[0]?.isOpen() === false) waiting.shift()
  }

  return (one) => {
    one.dueAt = performance.now() + timeoutMs
    letGo()
    waiting.push(one)
    if (timer === undefined) watch(one)
  }
}
