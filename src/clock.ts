/** Microseconds since the Unix epoch, UTC. Exact as a number between the years 1684 and 2255; all other times are refused at the edge. */
export type Micros = number

/** The only way anything in Fabra learns the time. Passed in, never read from a module. */
export interface Clock {
  /** The present. Does not run backwards by less than a clock step. */
  now(): Micros
}

/** A clock that can be told how far another one is ahead of the machine's: the one that the rows are timed by. */
export interface SteeredClock extends Clock {
  /** The machine's own present. */
  machine(): Micros
  /** The other one is ahead by at most this, in microseconds. */
  steer(atMost: Micros): void
}

/** A clock that is ahead by so little is left alone: how long the question took is in it. */
const SLACK = 2_000
/** A step back up to here is waited for; a longer one is a clock that was set. */
const LONGEST_WAIT = 1_000_000

/**
 * The machine's clock with microseconds. `Date.now()` has milliseconds only, so the fraction comes from the monotonic clock,
 * anchored again whenever the two drift apart by more than two milliseconds.
 * @param offset Microseconds added to the present (`--clock`).
 */
export function systemClock(offset: Micros = 0): SteeredClock {
  let anchor = Date.now() * 1000 - Math.floor(Bun.nanoseconds() / 1000)
  let ahead = 0
  let floor = Number.NEGATIVE_INFINITY
  const machine = () => {
    const elapsed = Math.floor(Bun.nanoseconds() / 1000)
    const wall = Date.now() * 1000
    if (Math.abs(anchor + elapsed - wall) > 2000) anchor = wall - elapsed
    return anchor + elapsed
  }
  const now = () => Math.max(floor, machine() + ahead + offset)
  return {
    machine,
    now,
    steer(atMost) {
      // Never behind the rows, not even by half of the way there and back: what is there when it is asked for is before the present.
      if (ahead >= atMost && ahead <= atMost + SLACK) return
      const before = now()
      ahead = Math.ceil(atMost)
      floor = before - (machine() + ahead + offset) > LONGEST_WAIT ? Number.NEGATIVE_INFINITY : before
    },
  }
}
