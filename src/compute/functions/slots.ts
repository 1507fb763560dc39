/** Calls that run at once, shared among features: one whose calls all hang must not take every place from the others. */
export interface Slots {
  /** @returns false when too many wait already; at once, when one is free. */
  take(feature: string): boolean | Promise<boolean>
  give(feature: string): void
}

/** A feature may have as many places as are left: the first half, the next a quarter. Whoever waits gets one in turn, feature by feature. */
export function createSlots(limit: number, maxWaiting: number): Slots {
  let free = limit
  let waitingCount = 0
  const used = new Map<string, number>()
  /** By feature, the one whose turn is next first. */
  const waiting = new Map<string, Queue>()
  const usedBy = (feature: string) => used.get(feature) ?? 0
  const mayTake = (feature: string) => free > 0 && usedBy(feature) <= free

  const hold = (feature: string) => {
    free -= 1
    used.set(feature, usedBy(feature) + 1)
  }
  const admitOne = () => {
    for (const [feature, queue] of waiting) {
      if (!mayTake(feature)) continue
      const next = queue.shift()
      waiting.delete(feature)
      if (!queue.isEmpty()) waiting.set(feature, queue)
      waitingCount -= 1
      hold(feature)
      next?.()
      return true
    }
    return false
  }
  return {
    take(feature) {
      if (mayTake(feature) && !waiting.has(feature)) {
        hold(feature)
        return true
      }
      if (waitingCount >= maxWaiting) return false
      waitingCount += 1
      const queue = waiting.get(feature) ?? createQueue()
      waiting.set(feature, queue)
      return new Promise((resolve) => queue.push(() => resolve(true)))
    },
    give(feature) {
      free += 1
      const left = usedBy(feature) - 1
      if (left > 0) used.set(feature, left)
      else used.delete(feature)
      while (admitOne());
    },
  }
}

interface Queue {
  push(item: () => void): void
  shift(): (() => void) | undefined
  isEmpty(): boolean
}

/** Taking from the front of a long array copies all of it. */
function createQueue(): Queue {
  const items: (() => void)[] = []
  let head = 0
  return {
    push: (item) => void items.push(item),
    shift() {
      const item = items[head]
      head += 1
      if (head > 1000) {
        items.splice(0, head)
        head = 0
      }
      return item
    },
    isEmpty: () => head >= items.length,
  }
}
