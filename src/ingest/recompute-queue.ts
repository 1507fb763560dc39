/** What waits to be computed again, per feature. */
import type { Micros } from '../clock.ts'
import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import { mustFollow } from './affected-keys.ts'

/** Keys of one batch. */
const MAX_BATCH_KEYS = 50_000

/** Keys of a feature that are remembered one by one while a store is down. */
const MAX_KEYS_WHILE_DOWN = 20_000

export interface Wanted {
  readonly key: EntityKey
  /** A computation as of an earlier time does not count. */
  readonly from: Micros
  readonly attempts: number
}

export interface Lane {
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

export function laneOf(lanes: Map<string, Lane>, feature: Feature): Lane {
  const { name } = feature
  let lane = lanes.get(name)
  if (!lane) {
    lane = { name, mustFollow: true, keys: new Map(), all: null, since: 0, running: false, lastMs: 0 }
    lanes.set(name, lane)
  }
  lane.mustFollow = mustFollow(feature)
  return lane
}

export function hasWork(lane: Lane): boolean {
  return lane.keys.size > 0 || lane.all !== null
}

/** Takes the next batch out of the lane. */
export function take(lane: Lane): { wanted: Map<string, Wanted>; all: Micros | null } {
  const { all } = lane
  lane.all = null
  if (lane.keys.size <= MAX_BATCH_KEYS) {
    const wanted = lane.keys
    lane.keys = new Map()
    return { wanted, all }
  }
  const wanted = new Map([...lane.keys].slice(0, MAX_BATCH_KEYS))
  for (const encoded of wanted.keys()) lane.keys.delete(encoded)
  return { wanted, all }
}

/** What was taken waits again, as nothing can be looked up. Nobody is late while a store is down. */
export function putBack(lane: Lane, { wanted, all }: ReturnType<typeof take>): void {
  for (const [encoded, one] of wanted) if (!lane.keys.has(encoded)) lane.keys.set(encoded, one)
  if (all !== null) lane.all = Math.max(lane.all ?? all, all)
  if (lane.keys.size > MAX_KEYS_WHILE_DOWN) {
    lane.all = [...lane.keys.values()].reduce((latest, one) => Math.max(latest, one.from), lane.all ?? 0)
    lane.keys.clear()
  }
  lane.since = performance.now()
}
