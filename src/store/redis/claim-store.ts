import type { Claim, ClaimResult, ClaimStore } from '../ports/claim-store.ts'
import { CLAIM, CLAIMED, EXTEND_CLAIM, RELEASE_CLAIM, type RedisScript } from './format/scripts.ts'
import type { RedisConnection } from './redis.ts'

/** By the answer of the script. */
const RESULTS: readonly ClaimResult[] = ['taken', 'won', 'won_after']

/** Claims in one script. */
const STEP = 200

/** `fabra:claim:{User:u1}:name@fingerprint` holds who computes it. @param holder No other process's. */
export function createRedisClaimStore(connection: RedisConnection, holder: string): ClaimStore {
  /** @returns what the script said of each claim. */
  async function each(script: RedisScript, claims: readonly Claim[], ...args: readonly (string | number)[]): Promise<number[]> {
    const keys = claims.map(({ entity, key, field }) => `fabra:claim:{${entity}:${key}}:${field}`)
    const step = connection.spansSlots ? STEP : 1
    const asked: Promise<unknown>[] = []
    for (let from = 0; from < keys.length; from += step)
      asked.push(connection.run(script, keys.slice(from, from + step), [holder, ...args]))
    return (await Promise.all(asked)).flat() as number[]
  }
  return {
    claim: async (claims, ttlMs) => (await each(CLAIM, claims, ttlMs)).map((answer) => RESULTS[answer] ?? 'taken'),
    taken: async (claims) => (await each(CLAIMED, claims)).map((answer) => answer === 1),
    async extend(claims, ttlMs) {
      await each(EXTEND_CLAIM, claims, ttlMs)
    },
    async release(claims, seenMs) {
      await each(RELEASE_CLAIM, claims, seenMs)
    },
  }
}
