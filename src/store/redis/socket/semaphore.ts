import { createSemaphore as createLimited, type Semaphore } from '../../../collections/semaphore.ts'
import { unavailable } from './unavailable.ts'

/** Longest wait for a turn. */
const LONGEST_WAIT_MS = 10_000
/** More may not wait. */
const MAX_WAITING = 10_000

/**
 * The deadline of each piece of work then measures Redis, and not how much there is to do here: fifty batches that are pushed at once are
 * written one after the other instead of failing together. Work whose turn does not come is refused with `store_unavailable`.
 */
export function createSemaphore(width: number): Semaphore {
  return createLimited(width, {
    most: MAX_WAITING,
    longestMs: LONGEST_WAIT_MS,
    refuse: () => unavailable('Too many writes wait.'),
  })
}
