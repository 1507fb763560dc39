import type { Feature } from '../../definition/model.ts'
import { type ErrorCode, FabraError } from '../../errors.ts'
import type { ComputeOptions, ComputeRow } from '../executor.ts'
import type { CallFailure, CallOutcome } from '../function-runner.ts'
import type { FunctionLog } from './function-log.ts'
import type { RowHost } from './row-host.ts'

/** Of a list of keys. */
const LIST_MS = 30_000
/** Characters of what was thrown that are kept with a run. */
const MAX_THROWN = 500

/** What Python writes before the stack of an error that led to the one before. */
const BETWEEN = /^(?:caused by|with)$/

/** Failures beneath a function that are not the function's own. */
const PASSED_ON: ReadonlySet<ErrorCode> = new Set(['store_unavailable', 'source_loading', 'feature_timeout', 'overloaded'])

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
  if (code === 'source_loading')
    return new FabraError(code, `${subject} waits for sources: their files are still being loaded after the start.`, {
      hint: 'Try again in a moment; GET /ready tells how far it is.',
    })
  const hint = "The server's log has the error and its file:line."
  const thrown = firstLine(error.thrown)
  return new FabraError(code, `${subject} failed for ${keyText(row)}.`, { hint, thrown, ...(place ? { place } : {}) })
}

function firstLine(thrown: string): string {
  const line = thrown.trimStart().split('\n', 1)[0] ?? ''
  return line.length > MAX_THROWN ? `${line.slice(0, MAX_THROWN)}…` : line
}

/** Of what was thrown, the innermost line that lies in the file of the definition: JavaScript names it first, Python last. */
function placeOf({ location }: Feature, thrown: string | undefined): { readonly file: string; readonly line: number } | undefined {
  if (location === null || thrown === undefined) return undefined
  let found: number | undefined
  for (const line of thrown.split('\n')) {
    const at = line.indexOf(location.file)
    const behind = at < 0 ? '' : line.slice(at + location.file.length)
    const [, own] = /^:(\d+)/.exec(behind) ?? []
    if (own !== undefined) return { file: location.file, line: Number(own) }
    const [, guest] = /^", line (\d+)/.exec(behind) ?? []
    if (guest !== undefined) found = Number(guest)
    else if (found !== undefined && BETWEEN.test(line)) break
  }
  return found === undefined ? undefined : { file: location.file, line: found }
}

/** How long one call may take: what the feature says; a list of keys without a word of it, as long as a refresh. */
export function longestMs({ timeout, batch }: Feature): number {
  if (timeout !== null) return timeout / 1000
  return batch === null ? Number.POSITIVE_INFINITY : LIST_MS
}

export function timedOut(feature: Feature, row: ComputeRow, { timeoutMs }: ComputeOptions): FabraError {
  const limit = Math.min(timeoutMs, longestMs(feature))
  return new FabraError('feature_timeout', `feature "${feature.name}" did not answer within ${Math.ceil(limit)} ms for ${keyText(row)}.`, {
    hint: 'Make it faster, give it more time with "timeout", or ask for fewer rows at a time.',
  })
}

function keyText(row: ComputeRow): string {
  const text = row.key.encoded
  return `key ${JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)}`
}
