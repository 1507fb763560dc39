/** One value that somebody computes. */
export interface Claim {
  readonly entity: string
  /** Encoded entity key. */
  readonly key: string
  /** `name@fingerprint` */
  readonly field: string
}

/** What is being computed by which process, so that no other computes the same meanwhile. Claims end by themselves: they only save work. */
export interface ClaimStore {
  /** @returns for each whether it is ours now; false while another process has it. @throws FabraError store_unavailable */
  claim(claims: readonly Claim[], ttlMs: number): Promise<readonly boolean[]>
  /** @returns for each whether any process has it now. @throws FabraError store_unavailable */
  taken(claims: readonly Claim[]): Promise<readonly boolean[]>
  /** Keep ours for longer. @throws FabraError store_unavailable */
  extend(claims: readonly Claim[], ttlMs: number): Promise<void>
  /** Let go of ours. @throws FabraError store_unavailable */
  release(claims: readonly Claim[]): Promise<void>
}
