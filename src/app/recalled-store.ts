/**
 * Latest values in memory, while they come back from history after a start: what memory may lack of a key is asked of history when somebody reads
 * it, and kept. What is read is therefore what it will be when everything is there, only later.
 *
 * Of each field that is on its way it is known which keys are complete: those that were asked for, and those that the recovery has brought. What this
 * process itself has written is not: history may have something newer of the key.
 */
import { type EntityKey, plainKey } from '../definition/entity-key.ts'
import { fieldOf } from '../definition/feature-version.ts'
import type { Feature } from '../definition/model.ts'
import { createLastKnown, type Patience } from '../serving/last-known.ts'
import type { OfflineStore } from '../store/ports/offline-store.ts'
import type { OnlineStore, StoredRows, StoredValue, StoredWrite } from '../store/ports/online-store.ts'
import { lateValue } from './late-value.ts'

/** Keys remembered as complete, or as written; beyond, they are asked for once more. */
const MAX_REMEMBERED = 200_000

export interface RecalledStore extends OnlineStore {
  /** These are on their way from history, until they are marked as filled. */
  recall(features: readonly Feature[]): void
  /** The newest values that history has of their keys. */
  bring(values: readonly StoredWrite[]): Promise<void>
}

export interface RecalledStoreOptions {
  /** In this process. */
  readonly memory: OnlineStore
  /** The newest value that history has. @throws FabraError overloaded, store_unavailable */
  readonly ask: (feature: Feature, key: EntityKey) => Promise<StoredValue | undefined>
}

/** A read waits in turn behind those of others, and no other process writes meanwhile what it would have to hear of soon. */
const PATIENCE: Patience = { waitMs: 20_000, readMs: 10_000 }

/** Null: latest values are not in this process. */
export function recalledFrom({ online, offline }: { readonly online: OnlineStore; readonly offline: OfflineStore }): RecalledStore | null {
  if (online.isShared) return null
  const lastKnown = createLastKnown(offline, undefined, PATIENCE)
  return createRecalledStore({
    memory: online,
    async ask(feature, key) {
      const row = await lastKnown(feature, key)
      return row && lateValue(feature, row)
    },
  })
}

interface Wanted {
  readonly feature: Feature
  readonly field: string
  readonly key: string
}

export function createRecalledStore({ memory, ask }: RecalledStoreOptions): RecalledStore {
  const coming = new Map<string, Feature>()
  const complete = new Set<string>()
  /** Keys with a value of this process that nobody has compared with history; `all`: there are too many of them. */
  let written: Set<string> | 'all' = new Set()

  const isBrought = (id: string) => written !== 'all' && !written.has(id)

  function lackingOf(keys: readonly string[], fields: readonly string[], stored: StoredRows): Wanted[] {
    const lacking: Wanted[] = []
    for (const [f, field] of fields.entries()) {
      const feature = coming.get(field)
      if (!feature) continue
      for (const [k, key] of keys.entries()) {
        const id = idOf(field, key)
        if (!complete.has(id) && (stored[k]?.[f] === undefined || !isBrought(id))) lacking.push({ feature, field, key })
      }
    }
    return lacking
  }

  async function recallOne(entity: string, { feature, field, key }: Wanted): Promise<void> {
    const value = await ask(feature, plainKey(key))
    if (value) await memory.write([{ entity, key, field, value }])
    if (complete.size >= MAX_REMEMBERED) complete.clear()
    complete.add(idOf(field, key))
    if (written !== 'all') written.delete(idOf(field, key))
  }

  async function readWhole(...asked: Parameters<OnlineStore['read']>): Promise<StoredRows> {
    const [entity, keys, fields] = asked
    const stored = await memory.read(...asked)
    const lacking = lackingOf(keys, fields, stored)
    if (lacking.length === 0) return stored
    await Promise.all(lacking.map((one) => recallOne(entity, one)))
    return memory.read(...asked)
  }

  function noteWritten(writes: readonly StoredWrite[]): void {
    for (const { field, key } of writes) {
      if (written === 'all' || !coming.has(field) || complete.has(idOf(field, key))) continue
      written.add(idOf(field, key))
      if (written.size > MAX_REMEMBERED) written = 'all'
    }
  }

  return {
    ...memory,
    recall(features) {
      for (const feature of features) coming.set(fieldOf(feature), feature)
    },
    bring: async (values) => void (await memory.write(values)),
    read: (entity, keys, fields, use) =>
      coming.size === 0 ? memory.read(entity, keys, fields, use) : readWhole(entity, keys, fields, use),
    write(writes) {
      if (coming.size > 0) noteWritten(writes)
      return memory.write(writes)
    },
    async markFilled(field) {
      await memory.markFilled(field)
      if (!coming.delete(field) || coming.size > 0) return
      complete.clear()
      written = new Set()
    },
  }
}

function idOf(field: string, key: string): string {
  return `${field}\0${key}`
}
