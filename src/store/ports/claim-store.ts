/** One value that somebody computes. */
export interface Claim {
  readonly entity: string
  /** Encoded entity key. */
  readonly key: string
  /** `name@fingerprint` */
  readonly field: string
}

/** `won_after`: ours, and another's computation ended so shortly before that its answer may not have been seen. */
export type ClaimResult = 'taken' | 'won' | 'won_after'

/** What is being computed by which process, so that no other computes the same meanwhile. Claims end by themselves: they only save work. */
export interface ClaimStore {
  /** @throws FabraError store_unavailable */
  claim(claims: readonly Claim[], ttlMs: number): Promise<readonly ClaimResult[]>
  /** @returns for each whether any process has it now. @throws FabraError store_unavailable */
  taken(claims: readonly Claim[]): Promise<readonly boolean[]>
  /** Keep ours for longer. @throws FabraError store_unavailable */
  extend(claims: readonly Claim[], ttlMs: number): Promise<void>
  /** Let go of ours. @param seenMs For how long who claims next is told. @throws FabraError store_unavailable */
  release(claims: readonly Claim[], seenMs: number): Promise<void>
}
