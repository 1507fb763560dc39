/** What the engine that puts training sets together may hold, and what it says when that is not enough. */
import { FabraError } from '../../../errors.ts'
import { SqlError } from '../../ports/source-engine.ts'
import type { Session } from '../connection/session.ts'

/** In bytes. What does not fit is spilled to disk, as far as it can be. */
export const WORKSPACE_MEMORY = 1024 * 1024 * 1024

/** The same session, whose statements say which setting to raise where the engine has run out of memory. */
export function tellingOfMemory(session: Session, limit: number): Session {
  const explained = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      throw isOutOfMemory(error) ? beyond(limit, error) : error
    }
  }
  return {
    ...session,
    execute: (text, options) => explained(session.execute(text, options)),
    read: (text, parameters, options) => explained(session.read(text, parameters, options)),
    open: (text, parameters, options) => explained(session.open(text, parameters, options)),
    stream: (text, options, begin) => explained(session.stream(text, options, begin)),
  }
}

export function isOutOfMemory(error: unknown): boolean {
  return error instanceof SqlError && error.cause instanceof Error && /out of memory/i.test(error.cause.message)
}

function beyond(limit: number, cause: unknown): FabraError {
  return new FabraError('out_of_memory', `The training set does not fit into the ${shownBytes(limit)} it may take.`, {
    hint: `Raise FABRA_TRAINING_MEMORY (now ${shownBytes(limit)}), or ask for fewer features or rows at a time.`,
    cause,
  })
}

/** As the setting is written. */
function shownBytes(bytes: number): string {
  const mebibytes = Math.round(bytes / 1024 ** 2)
  return mebibytes % 1024 === 0 ? `${mebibytes / 1024}GiB` : `${mebibytes}MiB`
}
