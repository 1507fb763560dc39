import { FabraError } from '../errors.ts'
import { type Doubts, MAY_BE_OWED } from '../store/ports/doubts.ts'
import { SqlError } from '../store/ports/source-engine.ts'

/**
 * So long what was asked last holds, from when it was asked. What another process owes is acknowledged once it is noted, and whoever reads a second later
 * must have heard of it, also where history answers this process slowly.
 */
const TOLD_FOR_MS = 900
export const OWED_BY_OTHERS = 'lacks what another process has recorded: history is asked until it is there'

/**
 * Whether other processes may have yet to bring to the online store what it refused to them.
 *
 * As long as it refuses writes, and until it is seen to take them again, any of them may be refused one and note it beside history. That nobody
 * owes anything therefore counts only where it was asked after the store was seen to take writes. A store that is not reached takes none either:
 * who reaches it again while history is away cannot hear of what others noted meanwhile. And it counts for less than a second: then what the store
 * says is not taken for all there is until history has told again.
 */
export class OwedByOthers {
  private readonly doubts: Pick<Doubts, 'set' | 'has' | 'trustUntil'>
  private readonly nowMs: () => number
  /** Counts the looks that found, or followed, a refusal, and those that failed. */
  private refusals = 0

  /** From now on it is to be told. */
  constructor(doubts: Pick<Doubts, 'set' | 'has' | 'trustUntil'>, nowMs: () => number = () => performance.now()) {
    this.doubts = doubts
    this.nowMs = nowMs
    doubts.trustUntil(nowMs())
  }

  /**
   * @param look Sets or clears the doubt `refused`, or fails where the store is not reached. One that clears it follows a refusal, be it one that only
   * a write has met.
   */
  async duringLook(look: () => Promise<void>): Promise<void> {
    const wasRefused = this.doubts.has('refused')
    if (wasRefused) this.suspect()
    try {
      await look()
    } catch (error) {
      this.refusals++
      if (!this.doubts.has('owed_by_others')) this.doubts.set('owed_by_others', MAY_BE_OWED)
      throw error
    } finally {
      if (wasRefused || this.doubts.has('refused')) this.suspect()
    }
  }

  /** @param ask What other processes have noted that they owe. */
  async duringQuestion<Note>(ask: () => Promise<readonly Note[]>): Promise<readonly Note[]> {
    const { refusals } = this
    const askedAt = this.nowMs()
    const notes = await ask().catch((error: unknown) => {
      // Nobody records anything in a history that is away, and what was noted before that has mostly been told.
      if (isAway(error)) this.doubts.trustUntil(this.nowMs() + TOLD_FOR_MS)
      throw error
    })
    this.doubts.trustUntil(askedAt + TOLD_FOR_MS)
    if (notes.length > 0) this.doubts.set('owed_by_others', OWED_BY_OTHERS)
    else if (refusals === this.refusals && !this.doubts.has('refused')) this.doubts.set('owed_by_others', null)
    return notes
  }

  private suspect(): void {
    this.refusals++
    this.doubts.set('owed_by_others', OWED_BY_OTHERS)
  }
}

/** It was not reached, where a question that took too long tells nothing. */
function isAway(error: unknown): boolean {
  return error instanceof FabraError && error.cause instanceof SqlError && error.cause.kind === 'unavailable'
}
