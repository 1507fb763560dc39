export interface Backoff {
  /** Pause after the first failure, in the unit that the answer shall have. */
  readonly first: number
  readonly longest: number
}

/** Enough for every longest pause, and far from where numbers end. */
const MOST_DOUBLINGS = 20

/** The pause before the next attempt: twice as long with each failure. @param failures In a row; 1 for the first. */
export function backoff(failures: number, { first, longest }: Backoff): number {
  return Math.min(longest, first * 2 ** Math.min(failures - 1, MOST_DOUBLINGS))
}

/** Half of the pause or more, so that those who failed together do not all come again together. @param random From 0 to 1. */
export function jittered(pause: number, random: () => number): number {
  return pause * (0.5 + random() / 2)
}
