import type { EntityKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { FabraError } from '../errors.ts'
import type { HistoryRow, OfflineStore } from '../store/ports/offline-store.ts'

/** Keys of one question to history. */
const MAX_KEYS = 5_000
/** Questions under way: history has its own work to do. */
const MAX_QUESTIONS = 6
/** Keys that may wait, of all features. */
const MAX_WAITING = 100_000
/** Longest wait of a key, its turn included. */
const LONGEST_WAIT_MS = 2_000
/** After a question that failed nobody else waits for one. */
const PAUSE_MS = 500

export type LastKnown = (feature: Feature, key: EntityKey) => Promise<HistoryRow | undefined>

/** Keys of one feature that wait for their question. */
interface Lot {
  readonly feature: Feature
  readonly keys: Map<string, PromiseWithResolvers<HistoryRow | undefined>>
  readonly since: number
}

/**
 * Finds the newest recorded row of a key. While a feature's question is under way the next one gathers: where an outage makes every read ask history,
 * it is asked a few large questions at a time, and no key twice at once.
 * @returns rejects with `overloaded` when history does not answer in time, or has just not done so; with its own error when it fails.
 */
export function createLastKnown(offline: Pick<OfflineStore, 'latestOf'>, nowMs: () => number = () => performance.now()): LastKnown {
  const waiting = new Map<string, Lot>()
  /** By feature: what is being asked. */
  const underWay = new Map<string, ReadonlyMap<string, PromiseWithResolvers<HistoryRow | undefined>>>()
  let waitingKeys = 0
  let questions = 0
  let isDue = false
  let restsUntil = 0
  let restsFor: unknown

  function readAll(): void {
    isDue = false
    for (const [field, lot] of waiting) {
      if (questions >= MAX_QUESTIONS) return
      if (underWay.has(field)) continue
      waiting.delete(field)
      waitingKeys -= lot.keys.size
      void readFeature(field, lot)
    }
  }

  async function readFeature(field: string, lot: Lot): Promise<void> {
    const { feature, keys, since } = lot
    questions++
    underWay.set(field, keys)
    try {
      const encoded = [...keys.keys()]
      for (let from = 0; from < encoded.length; from += MAX_KEYS) {
        const some = encoded.slice(from, from + MAX_KEYS)
        const rows = await inTime(offline.latestOf(feature.name, feature.fingerprint, some), since + LONGEST_WAIT_MS - nowMs())
        for (const [i, key] of some.entries()) keys.get(key)?.resolve(rows[i])
      }
    } catch (error) {
      restsUntil = nowMs() + PAUSE_MS
      restsFor = error
      for (const { reject } of keys.values()) reject(error)
    }
    underWay.delete(field)
    questions--
    readAll()
  }

  return (feature, key) => {
    const field = fieldOf(feature)
    const historyRead = underWay.get(field)?.get(key.encoded) ?? waiting.get(field)?.keys.get(key.encoded)
    if (historyRead) return historyRead.promise
    if (nowMs() < restsUntil) return Promise.reject(restsFor)
    if (waitingKeys >= MAX_WAITING) return Promise.reject(tooSlow())
    const lot = waiting.get(field) ?? { feature, keys: new Map(), since: nowMs() }
    waiting.set(field, lot)
    waitingKeys++
    const answer = Promise.withResolvers<HistoryRow | undefined>()
    // Whoever asked may have been answered otherwise.
    answer.promise.catch(() => undefined)
    lot.keys.set(key.encoded, answer)
    if (!isDue) {
      isDue = true
      setImmediate(readAll)
    }
    return answer.promise
  }
}

/** History is there, and others may be writing to it: what it was not asked in time is not to be guessed. */
function tooSlow(): FabraError {
  return new FabraError('overloaded', 'History does not answer in time.', { hint: 'Try again in a few seconds.' })
}

/** @param limitMs At least a moment: a question that is asked is not given up before it can be answered. */
async function inTime<T>(historyRead: Promise<T>, limitMs: number): Promise<T> {
  historyRead.catch(() => undefined)
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(tooSlow()), Math.max(50, limitMs))
  try {
    return await Promise.race([historyRead, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
