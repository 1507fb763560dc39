import { createRedisActiveKeyStore } from '../../src/store/redis/active-key-store.ts'
import { createRedisClaimStore } from '../../src/store/redis/claim-store.ts'
import { createRedisLeaseStore } from '../../src/store/redis/lease-store.ts'
import { createRedisOnlineStore } from '../../src/store/redis/online-store.ts'
import { openRedis } from '../../src/store/redis/socket/connection.ts'
import type { BenchShared } from './bench.ts'
import { PATIENT_REDIS } from './patience.ts'

/** What one process has of a Redis, on connections of its own; closed with its online store. */
export async function sharedRedis({ url }: { readonly url: string }): Promise<BenchShared> {
  const redis = await openRedis({ url, ...PATIENT_REDIS })
  return {
    online: createRedisOnlineStore(redis),
    leases: createRedisLeaseStore(redis),
    activeKeys: createRedisActiveKeyStore(redis),
    claims: createRedisClaimStore(redis, crypto.randomUUID()),
  }
}
