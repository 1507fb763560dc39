import type { StoredValue } from '../store/online-store.ts'

/** Values kept; beyond, the half that was not read of late goes. */
const MAX_VALUES = 400_000
/** Feature lists whose values are kept of one key. */
const MAX_LISTS = 4

/** What this process last read, to be served while the online store is away. Keeping must cost next to nothing: it happens at every read. */
export interface Copies {
  /** @param fields The same list object for the same list. */
  keep(entity: string, key: string, fields: readonly string[], values: readonly (StoredValue | undefined)[]): void
  /** The newest copy of a value. */
  find(entity: string, key: string, field: string): StoredValue | undefined
}

interface Kept {
  readonly fields: readonly string[]
  values: readonly (StoredValue | undefined)[]
}

type Generation = Map<string, Map<string, Kept[]>>

/** Two generations: what is read again moves to the young one, and when that is full the old one goes as a whole. */
export function createCopies(maxValues = MAX_VALUES): Copies {
  let young: Generation = new Map()
  let old: Generation = new Map()
  let count = 0

  return {
    keep(entity, key, fields, values) {
      let keys = young.get(entity)
      if (!keys) {
        keys = new Map()
        young.set(entity, keys)
      }
      const lists = keys.get(key)
      if (!lists) keys.set(key, [{ fields, values }])
      else {
        const known = lists.find((list) => list.fields === fields)
        if (known) {
          known.values = values
          return
        }
        if (lists.length === MAX_LISTS) lists.shift()
        lists.push({ fields, values })
      }
      count += fields.length
      if (count < maxValues / 2) return
      old = young
      young = new Map()
      count = 0
    },
    find(entity, key, field) {
      let newest: StoredValue | undefined
      for (const generation of [young, old]) {
        for (const { fields, values } of generation.get(entity)?.get(key) ?? []) {
          const value = values[fields.indexOf(field)]
          if (value && (!newest || value.eventAt > newest.eventAt)) newest = value
        }
      }
      return newest
    },
  }
}
