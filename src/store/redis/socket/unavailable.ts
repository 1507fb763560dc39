import { FabraError } from '../../../errors.ts'

/** A driver's error in words that may go to a log: errors of ioredis carry the command, with its keys or passwords, and addresses. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Redis failed.'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (code !== undefined && CONNECTION_FAILURES[code] !== undefined) return CONNECTION_FAILURES[code]
  // A cluster wraps what its last node said.
  if ('lastNodeError' in error && error.lastNodeError instanceof Error) return failureOf(error.lastNodeError)
  const known = DRIVER_WORDS.find(([begin]) => error.message.startsWith(begin))
  if (known) return known[1]
  return error.message.replace(/\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\[[\da-f:]+\](:\d+)?/gi, '…')
}

export const NO_ANSWER = 'Redis does not answer in time.'

const DRIVER_WORDS: readonly [begin: string, meaning: string][] = [
  ['Command timed out', NO_ANSWER],
  ['Socket timeout', NO_ANSWER],
  ["Stream isn't writeable", 'There is no connection.'],
  ['Connection is closed', 'There is no connection.'],
  ['Reached the max retries per request limit', 'The connection was lost.'],
  ['Cluster isn', 'There is no connection.'],
  ['All sentinels are unreachable', 'No sentinel knows a master of that name, or none can be reached.'],
]

const CONNECTION_FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens at its address.',
  ENOENT: 'There is no socket at its path.',
  EACCES: 'Its socket may not be opened by this user.',
  ENOTSOCK: 'What is at its path is no socket.',
  ECONNRESET: 'The connection was reset.',
  EPIPE: 'The connection was reset.',
  ETIMEDOUT: 'The connection could not be made in time.',
  ENOTFOUND: 'Its host name is not known.',
  EAI_AGAIN: 'Its host name cannot be looked up at the moment.',
  EHOSTUNREACH: 'Its host cannot be reached.',
  ENETUNREACH: 'Its network cannot be reached.',
}

/** @param failure As `failureOf` tells it. For the log alone: clients learn only that the store is away. */
export function unavailable(failure: string): FabraError {
  const [hint] = HINTS.filter(([word]) => new RegExp(`(^|-)${word} `).test(failure)).map(([, text]) => text)
  return new FabraError('store_unavailable', 'The online store (Redis) cannot be reached.', {
    cause: new Error(failure),
    hint: hint ?? 'Try again in a few seconds.',
  })
}

/** Redis itself said no: its errors begin with a word in capitals. @param failure As `failureOf` tells it. */
export function isRefusal(failure: string): boolean {
  return /^[A-Z]{3,} /.test(failure)
}

/** By the first word of what Redis says; older ones put it behind what they say of the script. */
const HINTS: readonly [word: string, hint: string][] = [
  ['OOM', 'Redis has no memory left: raise its maxmemory.'],
  ['NOAUTH', 'Redis wants a user and password.'],
  ['WRONGPASS', 'Redis refuses the user or password.'],
  ['NOPERM', 'The Redis user lacks a permission: see docs/redis.md.'],
  ['MISCONF', 'Redis cannot write its snapshot and takes no writes until it can: look at its disk and its log.'],
  ['NOREPLICAS', 'Redis has fewer replicas than its min-replicas-to-write.'],
  ['READONLY', 'This Redis is a replica: only its master takes writes.'],
]
