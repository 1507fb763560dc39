/** How slowly a body may come: who sends a byte a second would hold a connection, and what waits behind it, for ever. */
import { createDeadlines } from '../collections/deadlines.ts'
import { FabraError } from '../errors.ts'

/** That every sender is given, whatever its line. */
const GRACE_MS = 10_000
/** Of a body that is read whole, bytes a millisecond; of a file, which may come as it is made. */
const [WHOLE_PACE, FILE_PACE] = [256, 16]
/** Longest pause within a file. */
const PAUSE_MS = 30_000

const deadlines = createDeadlines()

/** @param bytes As the request says; unknown: 0. @throws FabraError body_too_slow */
export function inPace<T>(reading: Promise<T>, bytes: number): Promise<T> {
  return until(reading, GRACE_MS + bytes / WHOLE_PACE)
}

/** For each piece of a file in turn. */
export class FilePace {
  private readonly begun = performance.now()
  private bytes = 0

  /** @throws FabraError body_too_slow */
  async piece<T extends { readonly value?: Uint8Array | undefined }>(reading: Promise<T>): Promise<T> {
    const left = this.begun + GRACE_MS + this.bytes / FILE_PACE - performance.now()
    const piece = await until(reading, Math.min(left, PAUSE_MS))
    this.bytes += piece.value?.byteLength ?? 0
    return piece
  }
}

function until<T>(reading: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const takeBack = deadlines.after(ms, () => {
      const seconds = Math.max(1, Math.round(ms / 1_000))
      reject(
        new FabraError('body_too_slow', `The body did not come within ${seconds} s.`, {
          hint: 'Send it at once, or fewer rows in one request.',
        }),
      )
    })
    reading.then(
      (value) => {
        takeBack()
        resolve(value)
      },
      (error: unknown) => {
        takeBack()
        reject(error)
      },
    )
  })
}
