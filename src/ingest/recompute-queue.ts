/** What waits to be computed again, per feature. */
import type { Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { type AffectedKeys, mustFollow } from './affected-keys.ts'

/** Keys of one batch. */
const MAX_BATCH_KEYS = 50_000

/** Keys that wait of a function that follows as well as it can; more are left to its schedule. */
const MAX_EASY_KEYS = 10_000

/** Keys of a feature that are remembered one by one while a store is down. */
const MAX_KEYS_WHILE_DOWN = 20_000

export interface Wanted {
  readonly key: EntityKey
  /** A computation as of an earlier time does not count. */
  readonly from: Micros
  readonly attempts: number
}

export interface RecomputeQueue {
  readonly name: string
  /** Rows are refused when it cannot keep up. */
  mustFollow: boolean
  keys: Map<string, Wanted>
  /** All keys in use, as of this time or later. */
  all: Micros | null
  /** When the first of these began to wait, by the monotonic clock. */
  since: number
  running: boolean
  lastMs: number
}

export function queueOf(queues: Map<string, RecomputeQueue>, feature: Feature): RecomputeQueue {
  const { name } = feature
  let queue = queues.get(name)
  if (!queue) {
    queue = { name, mustFollow: true, keys: new Map(), all: null, since: 0, running: false, lastMs: 0 }
    queues.set(name, queue)
  }
  queue.mustFollow = mustFollow(feature)
  return queue
}

export function hasWork(queue: RecomputeQueue): boolean {
  return queue.keys.size > 0 || queue.all !== null
}

/** Keys wait, as of this time or later. @returns false: they are left to the feature's schedule. */
export function enqueueKeys(queue: RecomputeQueue, keys: AffectedKeys, from: Micros): boolean {
  if (!queue.mustFollow && (keys === 'all' || queue.keys.size + keys.size > MAX_EASY_KEYS)) return false
  if (!hasWork(queue)) queue.since = performance.now()
  if (keys === 'all') queue.all = Math.max(queue.all ?? from, from)
  else for (const [encoded, key] of keys) queue.keys.set(encoded, { key, from, attempts: queue.keys.get(encoded)?.attempts ?? 0 })
  return true
}

/** Takes the next batch out of the queue. */
export function take(queue: RecomputeQueue): { wanted: Map<string, Wanted>; all: Micros | null } {
  const { all } = queue
  queue.all = null
  if (queue.keys.size <= MAX_BATCH_KEYS) {
    const wanted = queue.keys
    queue.keys = new Map()
    return { wanted, all }
  }
  const wanted = new Map([...queue.keys].slice(0, MAX_BATCH_KEYS))
  for (const encoded of wanted.keys()) queue.keys.delete(encoded)
  return { wanted, all }
}

/** What was taken waits again, as nothing can be looked up. Nobody is late while a store is down. */
export function putBack(queue: RecomputeQueue, { wanted, all }: ReturnType<typeof take>): void {
  for (const [encoded, one] of wanted) if (!queue.keys.has(encoded)) queue.keys.set(encoded, one)
  if (all !== null) queue.all = Math.max(queue.all ?? all, all)
  if (queue.keys.size > MAX_KEYS_WHILE_DOWN) {
    queue.all = [...queue.keys.values()].reduce((latest, one) => Math.max(latest, one.from), queue.all ?? 0)
    queue.keys.clear()
  }
  queue.since = performance.now()
}
