/**
 * Time-limited rights that one process has at a time. A lease saves work, it does not keep data right: whoever holds one may have lost it
 * without knowing, so what is done under it must be right when two do it. Its token, which rises with every term, tells terms apart.
 */
export interface LeaseStore {
  /** @returns the fencing token of a new term; undefined while anybody, this process included, holds the lease. @throws FabraError store_unavailable */
  acquire(name: string, ttlMs: number): Promise<number | undefined>
  /** @returns false when the term has ended: it ran out, or was released. @throws FabraError store_unavailable */
  renew(name: string, token: number, ttlMs: number): Promise<boolean>
  /** Ends the term; nothing happens when it has ended. @throws FabraError store_unavailable */
  release(name: string, token: number): Promise<void>
}
