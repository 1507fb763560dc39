import type { CallFailure } from '../../compute/function-runner.ts'
import { FabraError } from '../../errors.ts'

/** A process of users' code that is no more. */
export interface WorkerEnd {
  readonly how: string
  readonly hint: string | null
  /** What it printed last. */
  readonly lastWords: string
}

export const ENDED = 'Others go on in a new process. The log has what it printed last.'

/** Of calls that it took along. */
export function callFailure(kind: 'process' | 'Python process', { how, hint }: Pick<WorkerEnd, 'how' | 'hint'>): CallFailure {
  return { code: 'feature_failed', message: `The ${kind} that it ran in ended: ${how}.`, hint: hint ?? ENDED }
}

/** Without a hint of its own it gets the one of all that end while they are loaded. */
export function loadFailure({ how, lastWords, hint }: WorkerEnd): Error {
  if (hint !== null) return new FabraError('invalid_definition', `loading it ended the process: ${how}.`, { hint })
  return new Error(lastWords === '' ? how : `${how}; it said: ${lastWords}`)
}
