import type { Micros } from '../../clock.ts'

export interface KeyUse {
  /** Encoded entity key. */
  readonly key: string
  /** When it was last read. */
  readonly at: Micros
}

/** Which keys of which feature are in use, told to one another by all processes. A hint: losing it costs a computation at the next read. */
export interface ActiveKeyStore {
  /** A use never moves back. Beyond a million keys of a feature those longest unused are let go. @throws FabraError store_unavailable */
  markUsed(feature: string, uses: readonly KeyUse[]): Promise<void>
  /** Keys used since then, in pages. @throws FabraError store_unavailable */
  since(feature: string, at: Micros): AsyncIterable<readonly KeyUse[]>
  /** When each of these keys was last used, in the order given; undefined: not that anybody knows. @throws FabraError store_unavailable */
  lastUses(feature: string, keys: readonly string[]): Promise<readonly (Micros | undefined)[]>
  /** @throws FabraError store_unavailable */
  drop(feature: string, keys: readonly string[]): Promise<void>
  /** Let go of keys unused since then. @throws FabraError store_unavailable */
  dropBefore(feature: string, at: Micros): Promise<void>
}
