import { FabraError } from '../errors.ts'
import { SqlError } from '../store/ports/source-engine.ts'

export function tooLate(): FabraError {
  return new FabraError('store_unavailable', 'The rows were not written: the store did not take them in time.', {
    hint: 'Nothing of them is there. Send them again in a few seconds.',
  })
}

export function unanswered(): FabraError {
  return new FabraError('outcome_unknown', 'The store did not answer in time: the rows may be in the table or not.', {
    hint: 'Send the same rows again where they have an id or an Idempotency-Key: what is there already is dropped. Else look first.',
  })
}

/** What the store says against the work, as an error of ours. @throws FabraError */
export async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStoreFailure(error)
  }
}

export function asStoreFailure(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error
  return new FabraError('store_unavailable', 'The rows could not be written.', {
    hint: 'Check that the store is up and its disk not full. The log has the reason.',
    cause: error,
  })
}
