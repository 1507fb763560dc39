import type { Doubts } from '../store/ports/doubts.ts'

const OWED_BY_OTHERS = 'lacks what another process has recorded: history is asked until it is there'

/**
 * Whether other processes may have yet to bring to the online store what it refused to them.
 *
 * As long as it refuses writes, and until it is seen to take them again, any of them may be refused one and note it beside history. That nobody
 * owes anything therefore counts only where it was asked after the store was seen to take writes.
 */
export class OwedByOthers {
  private readonly doubts: Pick<Doubts, 'set' | 'has'>
  /** Counts the looks that found, or followed, a refusal. */
  private refusals = 0

  constructor(doubts: Pick<Doubts, 'set' | 'has'>) {
    this.doubts = doubts
  }

  /** @param look Sets or clears the doubt `refused`. One that clears it follows a refusal, be it one that only a write has met. */
  async duringLook(look: () => Promise<void>): Promise<void> {
    const wasRefused = this.doubts.has('refused')
    if (wasRefused) this.suspect()
    try {
      await look()
    } finally {
      if (wasRefused || this.doubts.has('refused')) this.suspect()
    }
  }

  /** @param ask What other processes have noted that they owe. */
  async duringQuestion<Note>(ask: () => Promise<readonly Note[]>): Promise<readonly Note[]> {
    const { refusals } = this
    const notes = await ask()
    if (notes.length > 0) this.doubts.set('owed_by_others', OWED_BY_OTHERS)
    else if (refusals === this.refusals && !this.doubts.has('refused')) this.doubts.set('owed_by_others', null)
    return notes
  }

  private suspect(): void {
    this.refusals++
    this.doubts.set('owed_by_others', OWED_BY_OTHERS)
  }
}
