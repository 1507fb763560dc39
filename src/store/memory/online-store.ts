import { LargeMap } from '../../large-map.ts'
import { createFences, type Fence } from '../fences.ts'
import type { OnlineStore, StoredValue } from '../online-store.ts'

/** One entity: a slot number per field, and one array of slots per key. Ten times smaller than a map entry per value. */
interface EntityTable {
  readonly slots: Map<string, number>
  /** Slots of field lists asked for before: a plan asks with the same list object every time. */
  readonly known: WeakMap<readonly string[], readonly number[]>
  readonly rows: LargeMap<(StoredValue | undefined)[]>
}

/** Latest values in this process. Gone at exit; rewarmed from history at start. */
export function createMemoryOnlineStore(): OnlineStore {
  const tables = new Map<string, EntityTable>()
  const known = createFences([])
  const filled = new Set<string>()

  const tableOf = (entity: string): EntityTable => {
    let table = tables.get(entity)
    if (!table) {
      table = { slots: new Map(), known: new WeakMap(), rows: new LargeMap() }
      tables.set(entity, table)
    }
    return table
  }

  return {
    read(entity, keys, fields) {
      const table = tables.get(entity)
      const slots = table ? slotsOf(table, fields) : []
      const found: (StoredValue | undefined)[][] = new Array(keys.length)
      for (let k = 0; k < keys.length; k++) {
        const row = table?.rows.get(keys[k] as string)
        const values: (StoredValue | undefined)[] = new Array(fields.length)
        for (let f = 0; f < fields.length; f++) values[f] = row?.[slots[f] as number]
        found[k] = values
      }
      return found
    },
    async write(writes) {
      const refused: number[] = []
      const fences: Fence[] = []
      for (const [i, { entity, key, field, value }] of writes.entries()) {
        const fence = known.at(entity, key)
        if (fence !== undefined && value.eventAt <= fence) {
          refused.push(i)
          fences.push({ entity, entityKey: key, at: fence })
          continue
        }
        const table = tableOf(entity)
        let slot = table.slots.get(field)
        if (slot === undefined) {
          slot = table.slots.size
          table.slots.set(field, slot)
        }
        let row = table.rows.get(key)
        if (!row) {
          row = []
          table.rows.set(key, row)
        }
        const stored = row[slot]
        if (stored && !replaces(value, stored)) {
          refused.push(i)
          continue
        }
        // Filled up to the slot, so that the array never has holes.
        while (row.length < slot) row.push(undefined)
        row[slot] = value
      }
      // There is no other process.
      return { refused, fences, overOthers: [], standing: [] }
    },
    async forget(fence) {
      known.raise(fence)
      const rows = tables.get(fence.entity)?.rows
      const count = rows?.get(fence.entityKey)?.filter((value) => value !== undefined).length ?? 0
      rows?.delete(fence.entityKey)
      return count
    },
    async raise(fences) {
      for (const fence of fences) {
        known.raise(fence)
        const row = tables.get(fence.entity)?.rows.get(fence.entityKey)
        row?.forEach((value, slot) => {
          if (value && value.eventAt <= fence.at) row[slot] = undefined
        })
      }
    },
    fencesSince: async (at) => known.since(at),
    filled: async (fields) => fields.map((field) => filled.has(field)),
    async markFilled(field) {
      filled.add(field)
    },
    async close() {
      tables.clear()
    },
  }
}

/** By event time, then by when it became available, then by who was accepted last. */
function replaces(value: StoredValue, stored: StoredValue): boolean {
  if (value.eventAt !== stored.eventAt) return value.eventAt > stored.eventAt
  if (value.availableAt !== stored.availableAt) return value.availableAt > stored.availableAt
  return value.token >= stored.token
}

/** A field never written has no slot yet; such lists are not remembered. */
function slotsOf(table: EntityTable, fields: readonly string[]): readonly number[] {
  const known = table.known.get(fields)
  if (known) return known
  const slots = fields.map((field) => table.slots.get(field) ?? -1)
  if (!slots.includes(-1)) table.known.set(fields, slots)
  return slots
}
