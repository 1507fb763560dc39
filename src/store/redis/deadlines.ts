const LATE_LOOK_MS = 20

/** Something asked, until its answer or its deadline is there. */
class Deadline {
  readonly dueAt: number
  private fail: ((error: Error) => void) | undefined

  constructor(dueAt: number, fail: (error: Error) => void) {
    this.dueAt = dueAt
    this.fail = fail
  }

  /** The answer is here. @returns false when it was over before. */
  meet(): boolean {
    const isInTime = this.fail !== undefined
    this.fail = undefined
    return isInTime
  }

  isOpen(): boolean {
    return this.fail !== undefined
  }

  end(): void {
    const { fail } = this
    this.fail = undefined
    fail?.(new Error('Command timed out'))
  }
}

/**
 * A cluster asks again by itself, each time with a timeout of its own: here the whole has one. All that is asked has the same time, so one
 * timer watches the oldest: one for each is a tenth of what a lot of few reads costs.
 */
export function createDeadlines(timeoutMs: number): (fail: (error: Error) => void) => Deadline {
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
      one.end()
      over++
    }
    waiting.splice(0, over)
    const [oldest] = waiting
    if (oldest) watch(oldest)
  }

  return (fail) => {
    const one = new Deadline(performance.now() + timeoutMs, fail)
    waiting.push(one)
    if (timer === undefined) watch(one)
    return one
  }
}
