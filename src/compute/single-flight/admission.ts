/**
 * Whether a feature takes another question: so that under more of them than it can answer those it takes are answered in time, and the others are
 * told at once, instead of all of them too late.
 *
 * It goes by what is measured. As long as answers come in good time nobody is refused, however many there are. When they take most of their time,
 * and much longer than they take alone, more is asked than can be done: then what a question would wait is how many are before it over how many
 * answers come in a second, and it is taken where that leaves time enough. How many come is measured on and on, and what is taken grows a little
 * with each look, until answers are late again or nothing has to be refused any more. A slow function is not taken for a busy one: alone it is as slow;
 * and of one that never answered in time nothing is refused, so that its callers are told that.
 */

import type { Computed } from '../executor.ts'
import type { ComputeCall, InFlight } from './in-flight.ts'

/** Computations of one feature that may wait or run, however quick it is. */
const MAX_IN_FLIGHT = 100_000
/** So few are no crowd: when they are late something else stood still, and what was answered meanwhile says nothing of how many can be. */
const FEW = 8
/**
 * A look needs so much time, or while some are refused as much as answers took, so that they tell of what was taken since the last one; and so many
 * answers; after LONGEST_LOOK_MS it makes do with fewer.
 */
const LOOK_MS = 100
const ANSWERS = 8
const LONGEST_LOOK_MS = 1_000
const FEWEST_ANSWERS = 3
/** Of the time a question has: answers that take more of it are late; and from SLOW_SHARE on if those who wait then will take more. */
const LATE_SHARE = 0.5
const SLOW_SHARE = 0.15
/** So many times what it takes alone. */
const TIMES_ALONE = 2
/** Of the time a question has: what it may wait where too much is asked. */
const WAIT_SHARE = 0.4
const GROWS_BY = 1.1
/** So many times what could be answered in time is not asked for: there is room again. */
const ENOUGH_ROOM = 4
/** How fast what a call takes alone is learnt anew, in good times. */
const LEARNS = 0.1

export class Admission {
  /** Answers in a millisecond; 0: nothing is refused. */
  private pace = 0
  /** How many times more is taken than was answered in time when too much was asked. */
  private room = 1
  private refused = 0
  /** Milliseconds that the quickest took. */
  private alone = Number.POSITIVE_INFINITY
  private lookedAt: number
  private lookForMs = LOOK_MS
  private ended = 0
  /** Of those that ended, in time. */
  private answered = 0
  private took = 0
  private share = 0
  private quickest = Number.POSITIVE_INFINITY

  /** @param now Here and below on the clock of `performance.now()`. */
  constructor(now: number) {
    this.lookedAt = now
  }

  /** @param ahead How many wait or run. What a running function asks for belongs to what was taken. */
  admits(ahead: number, { chain, timeoutMs }: Pick<ComputeCall, 'chain' | 'timeoutMs'>): boolean {
    if (ahead >= MAX_IN_FLIGHT) return false
    if (this.pace === 0 || chain.length > 0 || ahead < FEW || ahead <= this.pace * timeoutMs * WAIT_SHARE * this.room) return true
    this.refused++
    return false
  }

  /** One whose time was over counts as the latest of answers: where all of them are, less and less is taken, until some are not. */
  settled({ begunAt, timeoutMs }: Pick<InFlight, 'begunAt' | 'timeoutMs'>, computed: Computed, ahead: number, now: number): void {
    if (computed.kind === 'error' && computed.error.code === 'overloaded') return
    const tookMs = now - begunAt
    const isInTime = computed.kind !== 'error' || computed.error.code !== 'feature_timeout'
    this.ended++
    if (isInTime) this.answered++
    this.took += tookMs
    this.share += tookMs / timeoutMs
    if (isInTime && tookMs < this.quickest) this.quickest = tookMs
    const lookMs = now - this.lookedAt
    if (lookMs < this.lookForMs || (this.ended < ANSWERS && lookMs < LONGEST_LOOK_MS)) return
    if (this.ended < FEWEST_ANSWERS) return
    this.judge(ahead, lookMs)
    this.lookedAt = now
    this.ended = 0
    this.answered = 0
    this.took = 0
    this.share = 0
    this.refused = 0
    this.quickest = Number.POSITIVE_INFINITY
  }

  private judge(ahead: number, lookMs: number): void {
    const pace = this.answered / lookMs
    const meanMs = this.took / this.ended
    const share = this.share / this.ended
    const willTakeShare = (ahead / pace / this.took) * this.share
    const isLate = share > LATE_SHARE || (share > SLOW_SHARE && willTakeShare > LATE_SHARE)
    this.lookForMs = LOOK_MS
    if (isLate && meanMs > TIMES_ALONE * this.alone) {
      this.lookForMs = Math.min(LONGEST_LOOK_MS, Math.max(LOOK_MS, meanMs))
      // Where nothing was answered in time, it is not known how many can be: fewer than were taken.
      this.pace = pace > 0 ? pace : Math.min(this.pace || Number.POSITIVE_INFINITY, this.ended / lookMs) / 2
      this.room = 1
      return
    }
    // Of one that was not answered in time it is not known what it takes.
    if (this.answered > 0) this.alone = this.quickest < this.alone ? this.quickest : this.alone + LEARNS * (this.quickest - this.alone)
    if (this.pace === 0) return
    this.lookForMs = Math.min(LONGEST_LOOK_MS, Math.max(LOOK_MS, meanMs))
    // What was answered can be answered again.
    if (pace > this.pace) this.pace = pace
    this.room *= GROWS_BY
    if (this.refused === 0 && this.room > ENOUGH_ROOM) this.pace = 0
  }
}
