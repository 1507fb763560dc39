/**
 * Turns requests away when there are more than can be answered in time, before they queue: by how late the event loop is, which is what a request waits
 * before anybody looks at it, and not by a number of requests, which says nothing of how long each takes. While it is late tick after tick and
 * requests come, a growing share is refused at the door; the share shrinks as soon as it is on time.
 */
const TICK_MS = 100
/** A request has then waited longer than most take. */
const LATE_MS = 200
/** One late tick is a pause (a collection, a large answer), and over when it is seen. */
const LATE_TICKS = 3
/** In a tick; with fewer it is not requests that make the loop late. */
const FEWEST_REQUESTS = 50
const GROWS_BY = 0.15
const SHRINKS_BY = 0.1
/** Some are let in, or nobody would know that it is over. */
const HIGHEST_SHARE = 0.95

export class Shedder {
  private share = 0
  private requests = 0
  private lateTicks = 0
  private readonly random: () => number

  constructor(random: () => number) {
    this.random = random
  }

  /** Called for every request. */
  admits(): boolean {
    this.requests++
    return this.share === 0 || this.random() >= this.share
  }

  /** The share of requests that is refused, 0 to 1. */
  get refused(): number {
    return this.share
  }

  /** @param lateMs How much later than wanted the event loop came round. */
  tick(lateMs: number): void {
    const isLate = lateMs > LATE_MS && this.requests >= FEWEST_REQUESTS
    this.requests = 0
    this.lateTicks = isLate ? this.lateTicks + 1 : 0
    if (this.lateTicks >= LATE_TICKS) this.share = Math.min(HIGHEST_SHARE, this.share + GROWS_BY)
    else if (!isLate) this.share = this.share <= SHRINKS_BY ? 0 : this.share - SHRINKS_BY
  }
}

/** @returns ends it. */
export function watchLateness(shedder: Shedder): () => void {
  let due = performance.now() + TICK_MS
  const timer = setInterval(() => {
    const now = performance.now()
    shedder.tick(now - due)
    due = now + TICK_MS
  }, TICK_MS)
  timer.unref()
  return () => clearInterval(timer)
}
