import { FabraError, isUnavailable } from '../errors.ts'
import { RefusedRows } from '../store/ports/offline-store.ts'

/** What a sender is told of a push of which nothing is recorded, and never will be. @param places Of the rows that were sent to the store. */
export function asRefusal(error: unknown, places: readonly number[] = []): unknown {
  if (error instanceof RefusedRows) {
    const place = error.indexes === null ? undefined : places[error.indexes[0] ?? -1]
    const which = place === undefined ? 'A row' : `Row ${place}`
    return new FabraError('invalid_value', `${which} cannot be stored: ${error.why}.`, {
      hint: 'Nothing was recorded. Send rows that the database can hold.',
      cause: error,
    })
  }
  return isUnavailable(error) ? notRecorded('it cannot be reached', error) : error
}

export function notRecorded(why: string, cause: unknown): FabraError {
  return new FabraError('store_unavailable', `The rows were not recorded: the offline store does not take them now (${why}).`, {
    hint: 'Nothing of them is stored or served. Send them again in a few seconds.',
    cause,
  })
}

export function outcomeUnknown(cause: unknown): FabraError {
  return new FabraError(
    'outcome_unknown',
    'The rows may be recorded or not: the offline store did not answer in the middle of their commit.',
    {
      hint: 'Send the same rows again: those that are recorded are not recorded twice where they have an event_timestamp.',
      cause,
    },
  )
}
