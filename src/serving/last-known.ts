import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { HistoryRow, OfflineStore } from '../store/ports/offline-store.ts'

/** Keys of one read of history. */
const MAX_KEYS = 5_000
/** Reads under way: history has its own work to do. */
const MAX_READS = 6
/** Keys that may wait, of all features. */
const MAX_WAITING = 100_000
/** Longest wait of a key, its turn included. */
const LONGEST_WAIT_MS = 2_000
/** After a read that failed nobody waits for another one. */
const PAUSE_MS = 500

export type LastKnown = (feature: Feature, key: EntityKey) => Promise<HistoryRow | undefined>

type Rows = Map<string, PromiseWithResolvers<HistoryRow | undefined>>

/** Keys of one feature that are read together. */
interface KeyBatch {
  readonly feature: Feature
  readonly keys: Rows
  readonly since: number
}

/**
 * Finds the newest recorded row of a key. While a feature's history is being read the next keys gather: where an outage makes every request ask
 * history, it is asked for many keys a few times, and for no key twice at once.
 * @returns rejects with `overloaded` when history does not answer in time, or has just not done so; with its own error when it fails.
 */
export function createLastKnown(offline: Pick<OfflineStore, 'latestOf'>, nowMs: () => number = () => performance.now()): LastKnown {
  const reads = new HistoryReads(offline, nowMs)
  return (feature, key) => reads.newest(feature, key.encoded)
}

class HistoryReads {
  private readonly offline: Pick<OfflineStore, 'latestOf'>
  private readonly nowMs: () => number
  private readonly waiting = new Map<string, KeyBatch>()
  /** By feature: what is being read. */
  private readonly underWay = new Map<string, Rows>()
  private waitingKeys = 0
  private running = 0
  private isDue = false
  private failure: { readonly until: number; readonly error: unknown } | undefined

  constructor(offline: Pick<OfflineStore, 'latestOf'>, nowMs: () => number) {
    this.offline = offline
    this.nowMs = nowMs
  }

  newest(feature: Feature, key: string): Promise<HistoryRow | undefined> {
    const field = fieldOf(feature)
    const joined = this.underWay.get(field)?.get(key) ?? this.waiting.get(field)?.keys.get(key)
    if (joined) return joined.promise
    if (this.failure && this.nowMs() < this.failure.until) return Promise.reject(this.failure.error)
    if (this.waitingKeys >= MAX_WAITING) return Promise.reject(tooSlow())
    const batch = this.waiting.get(field) ?? { feature, keys: new Map(), since: this.nowMs() }
    this.waiting.set(field, batch)
    this.waitingKeys++
    const answer = Promise.withResolvers<HistoryRow | undefined>()
    // Whoever waits may have been answered otherwise.
    answer.promise.catch(() => undefined)
    batch.keys.set(key, answer)
    this.schedule()
    return answer.promise
  }

  /** At the end of the turn, so that all keys of a request go together. */
  private schedule(): void {
    if (this.isDue) return
    this.isDue = true
    setImmediate(() => this.start())
  }

  private start(): void {
    this.isDue = false
    for (const [field, batch] of this.waiting) {
      if (this.running >= MAX_READS) return
      if (this.underWay.has(field)) continue
      this.waiting.delete(field)
      this.waitingKeys -= batch.keys.size
      void this.read(field, batch)
    }
  }

  private async read(field: string, { feature, keys, since }: KeyBatch): Promise<void> {
    this.running++
    this.underWay.set(field, keys)
    try {
      const encoded = [...keys.keys()]
      for (let from = 0; from < encoded.length; from += MAX_KEYS) {
        const some = encoded.slice(from, from + MAX_KEYS)
        const reading = this.offline.latestOf(feature.name, feature.fingerprint, some)
        const rows = await inTime(reading, since + LONGEST_WAIT_MS - this.nowMs())
        for (const [i, key] of some.entries()) keys.get(key)?.resolve(rows[i])
      }
    } catch (error) {
      this.failure = { until: this.nowMs() + PAUSE_MS, error }
      for (const { reject } of keys.values()) reject(error)
    }
    this.underWay.delete(field)
    this.running--
    this.start()
  }
}

/** History is there, and others may be writing to it: what it did not say in time is not to be guessed. */
function tooSlow(): FabraError {
  return new FabraError('overloaded', 'History does not answer in time.', { hint: 'Try again in a few seconds.' })
}

/** @param limitMs At least a moment: a read that has begun is not given up before it can be answered. */
async function inTime<T>(reading: Promise<T>, limitMs: number): Promise<T> {
  reading.catch(() => undefined)
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(tooSlow()), Math.max(50, limitMs))
  try {
    return await Promise.race([reading, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
