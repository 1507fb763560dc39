import { FabraError } from '../../../../errors.ts'
import type { OfflineStore } from '../../../ports/offline-store.ts'
import type { KeptFiles } from './kept-files.ts'

/** What interrupted training sets left holds values of every key: it goes with the first key that is forgotten. */
export function forgettingKeptFiles(offline: OfflineStore, parts: KeptFiles): OfflineStore {
  const removeAll = async () => {
    try {
      await parts.removeAll()
    } catch (cause) {
      throw new FabraError('store_unavailable', 'What interrupted training sets left behind cannot be removed.', {
        hint: 'Check that the data folder can be written, and ask again.',
        cause,
      })
    }
  }
  return {
    ...offline,
    async forget(features, erasure) {
      await removeAll()
      const count = await offline.forget(features, erasure)
      // Once more: a set that was begun meanwhile may have read the key.
      await removeAll()
      return count
    },
  }
}
