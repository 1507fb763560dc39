import type { Micros } from '../clock.ts'
import type { Feature } from '../definition/model.ts'
import type { Origin } from './offline-store.ts'

const DAY: Micros = 86_400_000_000
/** Keys per feature whose newest row is remembered. Beyond, the oldest are forgotten: their next value is written though it may be equal. */
const MAX_REMEMBERED_KEYS = 1_000_000

interface Newest {
  /** Event time and text of the newest row written. */
  eventAt: Micros
  text: string | null
  /** Event time of the newest value seen, written or not. */
  seenAt: Micros
}

/**
 * Which values become history rows (`history` of a feature). `changes` leaves out a computed value equal to the row just before it in event
 * time, but confirms it before a quarter of the smallest of look-back, max staleness and a day has gone by. Where it does not know the row
 * before (a first value, a late one, after a restart), it writes: a row too many is never wrong.
 */
export interface HistoryPolicy {
  accepts(
    feature: Feature,
    key: string,
    value: { readonly eventAt: Micros; readonly origin: Origin; readonly text: string | null },
  ): boolean
}

export function createHistoryPolicy(): HistoryPolicy {
  const fields = new Map<string, Map<string, Newest>>()

  const newestOf = (feature: Feature): Map<string, Newest> => {
    const field = `${feature.name}@${feature.fingerprint}`
    let keys = fields.get(field)
    if (!keys) {
      keys = new Map()
      fields.set(field, keys)
    }
    return keys
  }

  return {
    accepts(feature, key, value) {
      if (value.origin === 'computed' && feature.history === 'off') return false
      if (feature.history !== 'changes') return true
      const keys = newestOf(feature)
      const newest = keys.get(key)
      if (newest && value.origin === 'computed' && value.eventAt > newest.eventAt && value.text === newest.text) {
        // The next value is expected as far away as this one is from the last; it must still come in time to confirm.
        const step = Math.max(0, value.eventAt - newest.seenAt)
        newest.seenAt = Math.max(newest.seenAt, value.eventAt)
        if (value.eventAt - newest.eventAt + step <= confirmEvery(feature)) return false
      }
      if (newest && value.eventAt < newest.eventAt) return true
      if (!newest && keys.size >= MAX_REMEMBERED_KEYS) keys.delete(keys.keys().next().value ?? '')
      keys.set(key, { eventAt: value.eventAt, text: value.text, seenAt: value.eventAt })
      return true
    },
  }
}

function confirmEvery(feature: Feature): Micros {
  return Math.min(feature.lookBack ?? DAY, feature.maxStaleness ?? DAY, DAY) / 4
}
