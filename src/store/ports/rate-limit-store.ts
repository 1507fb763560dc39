/** How often each key may ask, counted for all processes together where they share a store. */
export interface RateLimitStore {
  /** Never rejects: a store that is away is stood in for by a count of this process. @returns milliseconds to wait; 0: go on. */
  take(key: string, perSecond: number): Promise<number>
}
