/**
 * Why the online store may not be taken at its word, though it answers.
 *
 * What is acknowledged is in history; what the online store says is a copy of it. While there is a doubt, whoever serves asks history too and
 * serves the newer of the two. `lost`: what is stored may be gone or old, so it does not count at all. The others: it may lack what came of late.
 */
import { FabraError } from '../../errors.ts'
import type { StoredRows } from './stored-value.ts'

export type DoubtKind = 'lost' | 'refused' | 'owed' | 'owed_by_others'

/** Nobody needs to be told of it: mostly it is over in a moment, and else there is more to tell. */
export const MAY_BE_OWED = 'may lack what another process has recorded: history is asked until that is known'

export interface Doubts {
  /** @param why Null: there is no such doubt. Without hosts and passwords. */
  set(kind: DoubtKind, why: string | null): void
  has(kind: DoubtKind): boolean
  readonly isAny: boolean
  /** Rises with each doubt that is over. What was asked for before it was, was said while the doubt held. */
  readonly ended: number
  /** Until when, by `performance.now()`, it may be taken that nobody else owes the store anything. Default: for ever. */
  readonly trustedUntil: number
  trustUntil(ms: number): void
  /** Of each doubt, in words. */
  why(): ReadonlyMap<DoubtKind, string>
}

export const DOUBT_KINDS: readonly DoubtKind[] = ['lost', 'refused', 'owed', 'owed_by_others']

/** @param onChange Told when a doubt arises, when its reason is another, and with null when it is over. */
export function createDoubts(onChange: (kind: DoubtKind, why: string | null) => void = () => undefined): Doubts {
  const doubts = new Map<DoubtKind, string>()
  let ended = 0
  let trustedUntil = Number.POSITIVE_INFINITY
  return {
    set(kind, why) {
      if ((doubts.get(kind) ?? null) === why) return
      if (why === null) {
        doubts.delete(kind)
        ended++
      } else doubts.set(kind, why)
      onChange(kind, why)
    },
    has: (kind) => doubts.has(kind),
    get isAny() {
      return doubts.size > 0
    },
    get ended() {
      return ended
    },
    get trustedUntil() {
      return trustedUntil
    },
    trustUntil(ms) {
      trustedUntil = ms
    },
    why: () => doubts,
  }
}

/** What was read may not be served as it is. */
export class DoubtedRows extends FabraError {
  /** They may lack what came of late; undefined: they do not count. */
  readonly rows: StoredRows | undefined
  /** Nothing says that they lack anything, only that nobody has told of late that they do not. */
  readonly isUnreported: boolean

  constructor(rows: StoredRows | undefined, isUnreported = false) {
    super('store_unavailable', 'The online store may lack values that are recorded.', { hint: 'Try again in a few seconds.' })
    this.rows = rows
    this.isUnreported = isUnreported
  }
}
