import type { Feature } from '../../definition/model.ts'
import { FabraError } from '../../errors.ts'
import type { ComputeOptions } from '../executor.ts'
import { longestMs } from './function-failure.ts'
import { createSlots } from './slots.ts'

/** On the clock of `performance.now()`. */
export interface Turn {
  readonly askedAt: number
  readonly deadlineAt: number
}

/**
 * Runs a call in its turn, within its time.
 * @param endsAt When the time of all that it belongs to is over. On the clock of `performance.now()`.
 * @param refused What becomes of it when it does not get a turn. Null: its time is over.
 */
export type InTurn = <T>(
  feature: Feature,
  batch: ComputeOptions,
  endsAt: number,
  run: (turn: Turn) => Promise<T>,
  refused: (error: FabraError | null) => T,
) => Promise<T>

export function createTurns(maxRunning: number, maxWaiting: number): InTurn {
  const slots = createSlots(maxRunning, maxWaiting)
  /** When a call of a feature ended within its time. */
  const endedAt = new Map<string, number>()
  return async (feature, batch, endsAt, run, refused) => {
    // A part asked for by a running function must not wait for that function's own slot.
    const nested = batch.chain.length > 0
    const askedAt = performance.now()
    const taken = nested || slots.take(feature.name)
    if (!(taken === true || (await taken))) return refused(crowdedOut(feature))
    try {
      const now = performance.now()
      const deadlineAt = Math.min(endsAt, now + longestMs(feature))
      // Where others were answered meanwhile, it is not the function that takes too long.
      const isCrowdedOut = (endedAt.get(feature.name) ?? askedAt) > askedAt
      if (batch.signal.aborted) return refused(null)
      if (now >= deadlineAt) return refused(isCrowdedOut ? crowdedOut(feature) : null)
      const answer = await run({ askedAt, deadlineAt })
      const ranTo = performance.now()
      if (ranTo < deadlineAt) endedAt.set(feature.name, ranTo)
      return answer
    } finally {
      if (!nested) slots.give(feature.name)
    }
  }
}

function crowdedOut({ name }: Feature): FabraError {
  return new FabraError('overloaded', `feature "${name}" waits behind too many others.`, { hint: 'Try again later.' })
}
