import type { Feature } from '../../definition/model.ts'
import { type ErrorCode, FabraError } from '../../errors.ts'
import type { ComputeOptions, ComputeRow } from '../executor.ts'
import type { CallFailure, CallOutcome } from '../function-runner.ts'
import type { FunctionLog } from './function-log.ts'
import type { RowHost } from './row-host.ts'

/** Failures beneath a function that are not the function's own. */
const PASSED_ON: ReadonlySet<ErrorCode> = new Set(['store_unavailable', 'feature_timeout', 'overloaded'])

/** What a client may read of a failure. Messages of the user's code and of the database go to the log only. */
export function failureOf(
  feature: Feature,
  row: ComputeRow,
  outcome: CallOutcome,
  { host, log, batch }: { readonly host: RowHost; readonly log: FunctionLog; readonly batch: ComputeOptions },
): FabraError {
  const error: CallFailure = outcome.error ?? { code: 'internal', message: '' }
  if (error.code === 'feature_timeout' && error.thrown === undefined) {
    log.failure(feature, row, error)
    return timedOut(feature, row, batch)
  }
  const place = placeOf(feature, error.thrown)
  const facts = { ...(error.hint === undefined ? {} : { hint: error.hint }), ...(place ? { place } : {}) }
  const subject = `feature "${feature.name}"`
  // Written by Fabra: a value of the wrong type, a definition that was replaced.
  if (error.thrown === undefined) return new FabraError(error.code, `${subject} for ${keyText(row)}: ${error.message}`, facts)
  log.failure(feature, row, error)
  const code = PASSED_ON.has(error.code) ? error.code : 'feature_failed'
  if (error.message !== '' && (error.shown === true || host.saidByPart(error.message))) {
    return new FabraError(code, `${subject} failed for ${keyText(row)}: ${error.message}`, facts)
  }
  if (code === 'store_unavailable')
    return new FabraError(code, `${subject} cannot reach the database.`, { hint: 'Try again; "/ready" tells what is unreachable.' })
  const hint = "The server's log has the error and its file:line."
  return new FabraError(code, `${subject} failed for ${keyText(row)}.`, { hint, ...(place ? { place } : {}) })
}

/** The first line of what was thrown that lies in the file of the definition. */
function placeOf({ location }: Feature, thrown: string | undefined): { readonly file: string; readonly line: number } | undefined {
  if (location === null || thrown === undefined) return undefined
  for (const line of thrown.split('\n')) {
    const at = line.indexOf(location.file)
    const [, number] = at < 0 ? [] : (/^:(\d+)/.exec(line.slice(at + location.file.length)) ?? [])
    if (number !== undefined) return { file: location.file, line: Number(number) }
  }
  return undefined
}

export function timedOut(feature: Feature, row: ComputeRow, { timeoutMs }: ComputeOptions): FabraError {
  const limit = feature.timeout === null ? timeoutMs : Math.min(timeoutMs, feature.timeout / 1000)
  return new FabraError('feature_timeout', `feature "${feature.name}" did not answer within ${Math.ceil(limit)} ms for ${keyText(row)}.`, {
    hint: 'Make it faster, give it more time with "timeout", or ask for fewer rows at a time.',
  })
}

function keyText(row: ComputeRow): string {
  const text = row.key.encoded
  return `key ${JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)}`
}
