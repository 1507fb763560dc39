import type { LeaseStore } from '../ports/lease-store.ts'
import { ACQUIRE_LEASE, RELEASE_LEASE, RENEW_LEASE } from './format/scripts.ts'
import type { RedisConnection } from './redis.ts'

/** Leases among all processes: `fabra:lease:{name}` holds the token of the term under way, `fabra:lease-term:{name}` that of the last one. */
export function createRedisLeaseStore(connection: RedisConnection): LeaseStore {
  const held = (name: string) => `fabra:lease:{${name}}`
  return {
    async acquire(name, ttlMs) {
      const token = await connection.run(ACQUIRE_LEASE, [held(name), `fabra:lease-term:{${name}}`], [ttlMs])
      return token === null ? undefined : Number(token)
    },
    renew: async (name, token, ttlMs) => (await connection.run(RENEW_LEASE, [held(name)], [token, ttlMs])) === 1,
    async release(name, token) {
      await connection.run(RELEASE_LEASE, [held(name)], [token])
    },
  }
}
