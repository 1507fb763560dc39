import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { SqlError } from '../../store/ports/source-engine.ts'

/** A query that ran and failed. What the engine says may hold the user's data, so it goes to the log only. */
export function computeError(feature: Feature, error: SqlError, timeoutMs: number): FabraError {
  if (error.kind === 'timeout' || error.kind === 'interrupted') {
    return new FabraError('feature_timeout', `Feature "${feature.name}" was not computed within ${Math.ceil(timeoutMs)} ms.`, {
      hint: 'Give it more time with "timeout", make its query cheaper, or ask for fewer rows at a time.',
      cause: error,
    })
  }
  return new FabraError('feature_failed', `Feature "${feature.name}" could not be computed: its query failed.`, {
    hint: "The server's log says why, by the request id.",
    cause: error,
  })
}

export function notOneRow(feature: Feature): FabraError {
  return new FabraError('not_one_row', `Feature "${feature.name}" gave more than one row for one key.`, {
    hint: 'Aggregate, or add ORDER BY … LIMIT 1.',
  })
}

export function refusedForPast(feature: Feature, reason: string): FabraError {
  return new FabraError('feature_failed', `Feature "${feature.name}" cannot be computed for the past: ${reason}`, {
    hint: 'Without the time of its rows, the answer would hold what was not yet known.',
  })
}

export function unknownDefinition(feature: Feature): FabraError {
  return new FabraError('feature_failed', `Feature "${feature.name}" has no SQL that can be run.`, { hint: 'Run "fabra check".' })
}
