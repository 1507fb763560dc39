import { SqlError } from '../../ports/source-engine.ts'

/** What the driver throws: the server's own fields, or a code of the network. */
interface DriverError {
  readonly code?: unknown
  readonly severity?: unknown
  readonly position?: unknown
  readonly message?: unknown
}

/** An error of the server, with its SQLSTATE: some callers act on it. */
export class PostgresSqlError extends SqlError {
  /** Five characters; null when the server was not reached. */
  readonly state: string | null
  /** It came in the middle of a commit: what was written may be there. */
  readonly inCommit: boolean
  constructor(kind: SqlError['kind'], state: string | null, message: string, position: number | null, cause?: unknown, inCommit = false) {
    super(kind, message, position, cause)
    this.state = state
    this.inCommit = inCommit
  }
}

/** What the server says of a COMMIT that it took back: a constraint that was deferred, a conflict, a statement that had failed before, the deadline. */
const TAKEN_BACK = /^(?:2[0-9A-F]|40(?!003)|57014|P0)/

/** An error of COMMIT. */
export function asCommitError(error: unknown): SqlError {
  const failure = toSqlError(error)
  const state = failure instanceof PostgresSqlError ? failure.state : null
  if (state !== null && TAKEN_BACK.test(state)) return failure
  return new PostgresSqlError(failure.kind, state, failure.message, null, failure.cause ?? failure, true)
}

const STATE = /^[0-9A-Z]{5}$/
const LOST =
  /^(CONNECTION_(CLOSED|DESTROYED|ENDED)|CONNECT_TIMEOUT|ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$/

/** A longer beginning goes before a shorter one. What is not here is the values' fault: `runtime`. */
const KINDS: readonly [beginning: string, kind: SqlError['kind']][] = [
  ['42601', 'syntax'],
  ['42602', 'syntax'],
  ['42622', 'syntax'],
  ['42', 'binding'],
  ['3F', 'binding'],
  ['57014', 'timeout'],
  ['57', 'unavailable'],
  ['08', 'unavailable'],
  // Too many connections, a full disk, no memory.
  ['53', 'unavailable'],
  ['58', 'unavailable'],
  ['28', 'unavailable'],
  ['3D', 'unavailable'],
  ['55P03', 'timeout'],
  ['25P03', 'timeout'],
  // Another way to ask may work.
  ['0A', 'internal'],
  ['54', 'internal'],
  ['XX', 'internal'],
]

/**
 * A driver's error as ours. Messages of kind `unavailable` name no host, user or database: they may reach a client.
 * @param text The statement that the position points into.
 * @param readOnly Writing was not asked for: where the server refuses it, that is the statement's fault.
 */
export function toSqlError(error: unknown, text = '', readOnly = false): SqlError {
  if (error instanceof SqlError) return error
  const { code, message, position, severity } = (typeof error === 'object' && error !== null ? error : {}) as DriverError
  const state = typeof code === 'string' && STATE.test(code) && severity !== undefined ? code : null
  // The driver hangs the statement and its parameters on its errors; a log must not print them.
  const cause = new Error(`${state ?? String(code ?? 'unknown')}: ${String(message ?? error)}`)
  if (state === null) {
    const reason = typeof code === 'string' && LOST.test(code) ? 'PostgreSQL cannot be reached.' : 'The connection to PostgreSQL failed.'
    return new PostgresSqlError('unavailable', null, reason, null, cause)
  }
  const kind = kindOf(state, readOnly)
  if (kind === 'unavailable') return new PostgresSqlError(kind, state, unavailable(state), null, cause)
  const at = Number(position)
  return new PostgresSqlError(kind, state, String(message), at > 0 ? offsetOfCodePoint(text, at - 1) : null, cause)
}

function kindOf(state: string, readOnly: boolean): SqlError['kind'] {
  // A standby, or a server that was made one.
  if (state === '25006') return readOnly ? 'binding' : 'unavailable'
  return KINDS.find(([beginning]) => state.startsWith(beginning))?.[1] ?? 'runtime'
}

function unavailable(state: string): string {
  if (state.startsWith('28')) return 'PostgreSQL refused the user or the password.'
  if (state.startsWith('3D')) return 'PostgreSQL has no database of that name.'
  if (state === '53300') return 'PostgreSQL has no connection left for this process.'
  if (state === '53100') return "PostgreSQL's disk is full."
  if (state === '25006') return 'PostgreSQL is read-only: a standby, or made one.'
  return 'PostgreSQL is not available.'
}

/** PostgreSQL counts code points; we count as JavaScript strings do. */
function offsetOfCodePoint(text: string, points: number): number {
  let seen = 0
  let offset = 0
  for (const character of text) {
    if (seen >= points) break
    seen++
    offset += character.length
  }
  return offset
}
