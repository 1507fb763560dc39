import { FabraError } from '../../errors.ts'
import { type Prepared, type PythonGuest, type PythonGuestOptions, startPythonGuest } from './python-guest.ts'

/** The way to a process that may not have started yet: what is sent before waits for it. */
export interface PythonLink {
  post(frames: readonly string[]): void
  /** Null until it has started. */
  guest(): PythonGuest | null
  /** Resolves when it has ended, or will never start. @param now Without the time for what it does at its end. */
  end(now: boolean): Promise<void>
}

export interface PythonLinkOptions extends Omit<PythonGuestOptions, keyof Prepared> {
  /** Sent before all else. */
  readonly first: string
  onCannotStart(reason: FabraError): void
}

const FOLDER = 'Set FABRA_CACHE_DIR to a folder you own.'

export function openPythonLink(prepared: Promise<Prepared>, options: PythonLinkOptions): PythonLink {
  const waiting = [options.first]
  let guest: PythonGuest | null = null
  let isEnding = false
  prepared.then(
    (found) => {
      if (isEnding) return
      guest = startPythonGuest({ ...options, ...found })
      guest.post(waiting.splice(0))
    },
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error)
      if (!isEnding)
        options.onCannotStart(error instanceof FabraError ? error : new FabraError('invalid_definition', message, { hint: FOLDER }))
    },
  )
  return {
    post(frames) {
      if (guest === null) waiting.push(...frames)
      else guest.post(frames)
    },
    guest: () => guest,
    async end(now) {
      isEnding = true
      if (guest === null) options.onEnd({ how: 'it was not needed any more', lastWords: '', hint: null, isFromOutside: false })
      else await guest.end(now)
    },
  }
}
