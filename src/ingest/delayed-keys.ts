import type { Clock, Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { AffectedKeys } from './affected-keys.ts'

/** Keys of rows that become visible close together wait as one. */
const BUCKET: Micros = 100_000
/** Longest sleep: the clock may be set. */
const LONGEST_SLEEP_MS = 10_000

/** Keys of a feature that change at a time to come. */
export interface DelayedBatch {
  readonly feature: string
  readonly keys: AffectedKeys
  readonly at: Micros
}

/** Keys of rows that become visible later, until then. */
export interface DelayedKeys {
  /** The time at which a row that is visible from then on is looked at: a tenth of a second later at most. */
  bucketOf(time: Micros): Micros
  add(keys: DelayedBatch): void
  /** Keys that wait. */
  size(): number
  close(): void
}

export function createDelayedKeys(clock: Clock, onDue: (due: DelayedBatch) => void): DelayedKeys {
  const buckets = new Map<Micros, Map<string, Map<string, EntityKey> | 'all'>>()
  let timer: Timer | undefined
  let wakeAt = Number.POSITIVE_INFINITY
  let size = 0

  function wake(): void {
    wakeAt = Number.POSITIVE_INFINITY
    const now = clock.now()
    for (const at of [...buckets.keys()].filter((bucket) => bucket <= now).sort((a, b) => a - b)) {
      const features = buckets.get(at)
      buckets.delete(at)
      for (const [feature, keys] of features ?? []) {
        size -= keys === 'all' ? 1 : keys.size
        onDue({ feature, keys, at })
      }
    }
    if (buckets.size > 0) sleepUntil(Math.min(...buckets.keys()))
  }

  function sleepUntil(at: Micros): void {
    if (at >= wakeAt) return
    clearTimeout(timer)
    wakeAt = at
    timer = setTimeout(wake, Math.min(LONGEST_SLEEP_MS, Math.max(0, Math.ceil((at - clock.now()) / 1000))))
    timer.unref()
  }

  return {
    bucketOf: (time) => Math.ceil(time / BUCKET) * BUCKET,
    add({ feature, keys, at }) {
      const features = buckets.get(at) ?? new Map<string, Map<string, EntityKey> | 'all'>()
      buckets.set(at, features)
      const known = features.get(feature)
      if (known === 'all') return
      if (keys === 'all') {
        size += 1 - (known?.size ?? 0)
        features.set(feature, 'all')
      } else {
        const before = known?.size ?? 0
        const merged = known ?? new Map<string, EntityKey>()
        for (const [encoded, key] of keys) merged.set(encoded, key)
        features.set(feature, merged)
        size += merged.size - before
      }
      sleepUntil(at)
    },
    size: () => size,
    close() {
      clearTimeout(timer)
      buckets.clear()
      size = 0
    },
  }
}
