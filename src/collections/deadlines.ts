/**
 * Deadlines of many short things that nearly all end before theirs: one timer for all of them, since a timer for each costs more than all else that
 * is done about it. A deadline comes up to two ticks late, never early.
 */
export interface Deadlines {
  /** @returns takes it back. */
  after(ms: number, onDue: () => void): () => void
}

const TICK_MS = 16

export function createDeadlines(): Deadlines {
  /** By the tick that they come in. */
  const ticks = new Map<number, Set<() => void>>()
  let count = 0
  let next = 0
  let timer: ReturnType<typeof setInterval> | null = null

  function look(): void {
    for (const now = tickOf(performance.now()); next <= now; next++) {
      const due = ticks.get(next)
      if (due === undefined) continue
      ticks.delete(next)
      count -= due.size
      for (const onDue of due) onDue()
    }
    if (count > 0 || timer === null) return
    clearInterval(timer)
    timer = null
    // Those that are left had all been taken back.
    ticks.clear()
  }

  return {
    after(ms, onDue) {
      const now = performance.now()
      if (timer === null) {
        next = tickOf(now)
        timer = setInterval(look, TICK_MS)
      }
      const tick = tickOf(now + Math.max(0, ms)) + 1
      // Each is a thing of its own, though the functions may be one.
      const own = () => onDue()
      const due = ticks.get(tick)
      if (due === undefined) ticks.set(tick, new Set([own]))
      else due.add(own)
      count += 1
      return () => {
        if (ticks.get(tick)?.delete(own)) count -= 1
      }
    },
  }
}

function tickOf(ms: number): number {
  return Math.floor(ms / TICK_MS)
}
