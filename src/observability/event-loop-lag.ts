const LOOK_EVERY_MS = 250

/** How late the event loop is: everything that the process does waits so long at most. */
export class EventLoopLag {
  private longestMs = 0
  private readonly timer: Timer

  constructor() {
    let due = performance.now() + LOOK_EVERY_MS
    this.timer = setInterval(() => {
      const now = performance.now()
      this.longestMs = Math.max(this.longestMs, now - due)
      due = now + LOOK_EVERY_MS
    }, LOOK_EVERY_MS)
    this.timer.unref()
  }

  /** The longest since this was asked last. */
  takeMs(): number {
    const { longestMs } = this
    this.longestMs = 0
    return longestMs
  }

  stop(): void {
    clearInterval(this.timer)
  }
}
