import type { Micros } from '../../clock.ts'

/** The next sequence number of all that this process accepts. */
export type NextSeq = (now: Micros) => number

/**
 * Sequence numbers rise over restarts and, as far as clocks agree, over processes that write at once: each is the present in microseconds, or one
 * more than the last. @param lastSeq Where history ends.
 */
export function createSequence(lastSeq: number): NextSeq {
  let seq = lastSeq
  return (now) => {
    seq = Math.max(seq + 1, now)
    return seq
  }
}
