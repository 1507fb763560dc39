import { isOk } from '../http/readiness.ts'
import type { Recorder } from '../store/recording/recorder.ts'
import type { Stores } from './stores.ts'

/** Of history the recorder knows more than the store itself, but that it takes rows does not mean that the store is well. */
export function healthOf(stores: Stores, recorder: Recorder): Readonly<Record<string, string>> {
  const health = stores.health()
  const words = recorder.words()
  if (words === null || (isOk(words) && health[stores.historyIn] !== 'ok')) return health
  return { ...health, [stores.historyIn]: words }
}
