/**
 * Every error a user can meet, by its code. A code fixes the HTTP status, the exit code of the command line and whether trying again can help.
 * Anything that is not a FabraError is a bug: clients see `internal` and a request id, the log has the stack.
 */
const CODES = {
  // The definitions (fabra check, fabra serve).
  invalid_definition: { status: 500, exit: 1, retryable: false },
  definition_not_found: { status: 500, exit: 2, retryable: false },
  invalid_source: { status: 500, exit: 1, retryable: false },
  // The request or the command.
  bad_request: { status: 400, exit: 2, retryable: false },
  bad_usage: { status: 400, exit: 2, retryable: false },
  invalid_body: { status: 422, exit: 2, retryable: false },
  invalid_key: { status: 422, exit: 2, retryable: false },
  invalid_input: { status: 422, exit: 2, retryable: false },
  invalid_time: { status: 422, exit: 2, retryable: false },
  invalid_value: { status: 422, exit: 2, retryable: false },
  invalid_labels: { status: 422, exit: 2, retryable: false },
  column_conflict: { status: 422, exit: 2, retryable: false },
  unknown_feature: { status: 404, exit: 2, retryable: false },
  unknown_feature_set: { status: 404, exit: 2, retryable: false },
  unknown_entity: { status: 404, exit: 2, retryable: false },
  unknown_source: { status: 404, exit: 2, retryable: false },
  not_found: { status: 404, exit: 2, retryable: false },
  method_not_allowed: { status: 405, exit: 2, retryable: false },
  not_refreshable: { status: 409, exit: 2, retryable: false },
  not_appendable: { status: 409, exit: 2, retryable: false },
  not_trainable: { status: 409, exit: 2, retryable: false },
  history_removed: { status: 409, exit: 2, retryable: false },
  body_too_slow: { status: 408, exit: 1, retryable: true },
  body_too_large: { status: 413, exit: 2, retryable: false },
  unsupported_type: { status: 415, exit: 2, retryable: false },
  unauthorized: { status: 401, exit: 2, retryable: false },
  forbidden: { status: 403, exit: 2, retryable: false },
  too_many_requests: { status: 429, exit: 1, retryable: true },
  overloaded: { status: 503, exit: 1, retryable: true },
  // Computing and serving.
  feature_failed: { status: 502, exit: 1, retryable: true },
  feature_timeout: { status: 504, exit: 1, retryable: true },
  not_one_row: { status: 502, exit: 1, retryable: false },
  wrong_type: { status: 500, exit: 1, retryable: false },
  value_too_large: { status: 500, exit: 1, retryable: false },
  source_loading: { status: 503, exit: 1, retryable: true },
  store_unavailable: { status: 503, exit: 1, retryable: true },
  outcome_unknown: { status: 504, exit: 1, retryable: true },
  // The process.
  port_in_use: { status: 500, exit: 1, retryable: false },
  data_dir_locked: { status: 500, exit: 1, retryable: false },
  data_file_corrupt: { status: 500, exit: 1, retryable: false },
  invalid_config: { status: 500, exit: 2, retryable: false },
  schema_mismatch: { status: 500, exit: 1, retryable: false },
  file_exists: { status: 500, exit: 1, retryable: false },
  io_failed: { status: 500, exit: 1, retryable: false },
  out_of_memory: { status: 500, exit: 1, retryable: false },
  server_unreachable: { status: 503, exit: 1, retryable: true },
  internal: { status: 500, exit: 1, retryable: false },
} as const satisfies Record<string, { status: number; exit: number; retryable: boolean }>

export type ErrorCode = keyof typeof CODES
export const errorCodes = Object.keys(CODES) as ErrorCode[]

export interface ErrorFacts {
  /** What to do about it, one sentence. */
  readonly hint?: string
  /** What went wrong beneath. For the log only: never sent to a client. */
  readonly cause?: unknown
  /** The line of the user's that failed, where it is known. Not sent to a client either. */
  readonly place?: { readonly file: string; readonly line: number }
  /** In one line what the user's code threw, which may hold data: for those who administer, and no answer to a read. */
  readonly thrown?: string
}

/** An error that is somebody's to mend. `message` says what happened to what; `hint` says what to do. Both may be shown to clients. */
export class FabraError extends Error {
  override readonly name = 'FabraError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly place: ErrorFacts['place']
  readonly thrown: string | undefined

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.hint = facts.hint
    this.place = facts.place
    this.thrown = facts.thrown
  }

  get status(): number {
    return CODES[this.code].status
  }

  /** Exit code of the command line: 1 failed, 2 misused. */
  get exitCode(): number {
    return CODES[this.code].exit
  }

  get retryable(): boolean {
    return CODES[this.code].retryable
  }
}

/** `Did you mean "x"?` when a known name is close to the one given; otherwise what is known, cut to eight names. */
export function suggest(given: string, known: readonly string[]): string {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(given.length / 3)) + 1
  for (const name of known) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase(), bestDistance)
    if (distance < bestDistance) [best, bestDistance] = [name, distance]
  }
  if (best !== undefined) return `Did you mean "${best}"?`
  if (known.length === 0) return 'There are none yet.'
  const shown = known.slice(0, 8).join(', ')
  return known.length > 8 ? `Known: ${shown} and ${known.length - 8} more.` : `Known: ${shown}.`
}

/** Levenshtein distance, giving up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current[j] = Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1)
    }
    previous = current
  }
  return previous[b.length] ?? limit
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof FabraError && error.code === 'store_unavailable'
}

export function isOverloaded(error: unknown): boolean {
  return error instanceof FabraError && error.code === 'overloaded'
}
