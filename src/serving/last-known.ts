import type { EntityKey } from '../definition/entity-key.ts'
import type { Feature } from '../definition/model.ts'
import type { HistoryRow, OfflineStore } from '../store/offline-store.ts'

/** Keys of one question to history. */
const MAX_KEYS = 10_000

/**
 * Finds the newest recorded row of a key. What is asked in one turn goes to history as one question per feature: when a batch of ten thousand keys
 * is too slow to compute, ten thousand questions must not follow.
 */
export function createLastKnown(
  offline: Pick<OfflineStore, 'latestOf'>,
): (feature: Feature, key: EntityKey) => Promise<HistoryRow | undefined> {
  let waiting = new Map<string, Asked>()

  function askAll(): void {
    const all = waiting
    waiting = new Map()
    for (const { feature, keys } of all.values()) {
      const encoded = [...keys.keys()]
      for (let from = 0; from < encoded.length; from += MAX_KEYS) void ask(feature, encoded.slice(from, from + MAX_KEYS), keys)
    }
  }

  async function ask({ name, fingerprint }: Feature, encoded: readonly string[], keys: Asked['keys']): Promise<void> {
    try {
      const rows = await offline.latestOf(name, fingerprint, encoded)
      for (const [i, key] of encoded.entries()) keys.get(key)?.resolve(rows[i])
    } catch (error) {
      for (const key of encoded) keys.get(key)?.reject(error)
    }
  }

  return (feature, key) => {
    if (waiting.size === 0) setImmediate(askAll)
    const field = `${feature.name}@${feature.fingerprint}`
    const asked = waiting.get(field) ?? { feature, keys: new Map() }
    waiting.set(field, asked)
    const answer = asked.keys.get(key.encoded) ?? Promise.withResolvers<HistoryRow | undefined>()
    asked.keys.set(key.encoded, answer)
    return answer.promise
  }
}

interface Asked {
  readonly feature: Feature
  readonly keys: Map<string, PromiseWithResolvers<HistoryRow | undefined>>
}
