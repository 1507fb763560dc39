import { FabraError } from '../../../errors.ts'

const LATE_LOOK_MS = 20
/**
 * Of what is asked over one socket the answers come in turn: while some come, ours is on its way, and it is this process that is slow to read them.
 * With half a second of timeout it is less than a second in all: a later answer might contradict what was acknowledged meanwhile.
 */
const PATIENCE_WHILE_HEARD = 1.8

/** Given so that tests can move it. */
export interface Time {
  nowMs(): number
  later(work: () => void, ms: number): void
}

const REAL_TIME: Time = { nowMs: () => performance.now(), later: (work, ms) => void setTimeout(work, ms).unref() }

/** A command, until its answer or its deadline is there. */
export abstract class Deadline {
  dueAt = 0

  abstract isOpen(): boolean
  /** Told of the deadline while it is open. */
  abstract failed(error: Error): void
}

/**
 * A cluster asks again by itself, each time with a timeout of its own: here the whole has one. All that is asked has the same time, so one
 * timer watches the oldest: one for each is a tenth of what a batch of few reads costs.
 * @param heardAt When the other side was last heard, by performance.now(), where answers come in the order of the commands; undefined: nobody knows.
 */
export function createDeadlines(
  timeoutMs: number,
  heardAt: () => number | undefined = () => undefined,
  { nowMs, later }: Time = REAL_TIME,
): (one: Deadline) => void {
  const waiting: Deadline[] = []
  let isWatching = false

  /** A process that was busy for long finds the timer due before it has looked at the socket: what lies there counts. */
  function watch(dueAt: number): void {
    const look = () => {
      const seenAt = nowMs()
      later(() => end(seenAt), LATE_LOOK_MS)
    }
    isWatching = true
    later(look, Math.max(0, dueAt - nowMs()))
  }

  /** Only what was due before the look: the process may have been busy since. */
  function end(seenAt: number): void {
    isWatching = false
    const silentAt = (heardAt() ?? Number.NEGATIVE_INFINITY) + timeoutMs
    const isHeard = silentAt > seenAt
    const patienceMs = isHeard ? (PATIENCE_WHILE_HEARD - 1) * timeoutMs : 0
    let over = 0
    for (const one of waiting) {
      if (one.isOpen() && one.dueAt + patienceMs > seenAt) break
      if (one.isOpen()) one.failed(isHeard ? tooMuch() : new Error('Command timed out'))
      over++
    }
    waiting.splice(0, over)
    const [oldest] = waiting
    if (oldest) watch(Math.max(oldest.dueAt, Math.min(silentAt, oldest.dueAt + patienceMs)))
  }

  /** What is answered goes with the next command: kept for as long as it could have taken, it would be much for the collector to look at. */
  function letGo(): void {
    while (waiting[0]?.isOpen() === false) waiting.shift()
  }

  return (one) => {
    one.dueAt = nowMs() + timeoutMs
    letGo()
    waiting.push(one)
    if (!isWatching) watch(one.dueAt)
  }
}

/** Its own work keeps this process from reading what is there: neither the store's fault, nor to be mended by asking another one. */
export function tooMuch(): FabraError {
  return new FabraError('overloaded', 'The server has more to read than it can in time.', { hint: 'Try again in a second.' })
}
