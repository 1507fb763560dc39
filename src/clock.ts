/** Microseconds since the Unix epoch, UTC. Exact as a number between the years 1684 and 2255; all other times are refused at the edge. */
export type Micros = number

/** The only way anything in Fabra learns the time. Passed in, never read from a module. */
export interface Clock {
  /** The present. Does not run backwards by less than a clock step. */
  now(): Micros
}

/**
 * The machine's clock with microseconds. `Date.now()` has milliseconds only, so the fraction comes from the monotonic clock,
 * anchored again whenever the two drift apart by more than two milliseconds.
 * @param offset Microseconds added to the present (`--clock`).
 */
export function systemClock(offset: Micros = 0): Clock {
  let anchor = Date.now() * 1000 - Math.floor(Bun.nanoseconds() / 1000)
  return {
    now() {
      const elapsed = Math.floor(Bun.nanoseconds() / 1000)
      const wall = Date.now() * 1000
      if (Math.abs(anchor + elapsed - wall) > 2000) anchor = wall - elapsed
      return anchor + elapsed + offset
    },
  }
}
