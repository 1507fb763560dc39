import type { StoredValue } from '../store/ports/online-store.ts'
import { isNewer } from '../store/ports/value-order.ts'

/** Values kept; beyond, the older half goes. */
const MAX_VALUES = 100_000

/** What this process computed while the online store was away: nobody else has it. */
export interface OutageValues {
  /** A computation that began earlier may end later: its value does not take the place of a newer one. */
  keep(key: string, field: string, value: StoredValue): void
  find(key: string, field: string): StoredValue | undefined
}

/** Two generations: when the young one is full the old one goes as a whole. */
export function createOutageValues(maxValues = MAX_VALUES): OutageValues {
  let young = new Map<string, StoredValue>()
  let old = new Map<string, StoredValue>()
  const idOf = (key: string, field: string) => `${field}\0${key}`

  return {
    keep(key, field, value) {
      const id = idOf(key, field)
      const kept = young.get(id) ?? old.get(id)
      young.set(id, kept && isNewer(kept, value) ? kept : value)
      if (young.size < maxValues / 2) return
      old = young
      young = new Map()
    },
    find(key, field) {
      const id = idOf(key, field)
      return young.get(id) ?? old.get(id)
    },
  }
}
