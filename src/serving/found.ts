/** What a value that was found, or was not, is told as. */
import { FabraError } from '../errors.ts'
import type { StoredValue } from '../store/ports/online-store.ts'
import type { PlannedFeature } from './plan.ts'
import type { Found, ServedFrom, Status } from './row-result.ts'

/** Null texts are a stored "nothing is known": the default stands in, as when nothing is stored. */
export function foundStored(planned: PlannedFeature, stored: StoredValue, status: Status, servedFrom: ServedFrom): Found {
  if (stored.texts === null) return foundDefault(planned)
  return { texts: stored.texts, status, servedFrom, eventAt: stored.eventAt, oldestInputAt: stored.oldestInputAt }
}

export function foundDefault(planned: PlannedFeature): Found {
  const { defaults } = planned.feature
  if (defaults) return { texts: defaults, status: 'default', servedFrom: 'default', eventAt: null, oldestInputAt: null }
  return { texts: null, status: 'missing', servedFrom: null, eventAt: null, oldestInputAt: null }
}

export function foundError(error: FabraError): Found {
  return { texts: null, status: 'error', servedFrom: null, eventAt: null, oldestInputAt: null, error }
}

export function foundUnavailable(message: string): Found {
  return foundError(new FabraError('store_unavailable', message, { hint: 'Try again in a few seconds.' }))
}
