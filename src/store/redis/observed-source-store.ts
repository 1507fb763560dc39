import type { ObservedSourceStore } from '../ports/observed-source-store.ts'
import type { RedisConnection } from './redis.ts'

/** One set a feature version, `fabra:reads:<name>@<fingerprint>`: names of sources. */
export function createRedisObservedSourceStore(connection: RedisConnection): ObservedSourceStore {
  const setOf = (field: string) => `fabra:reads:${field}`
  return {
    async tell(field, sources) {
      if (sources.length > 0) await connection.send('SADD', setOf(field), ...sources)
    },
    of: (fields) => Promise.all(fields.map(async (field) => (await connection.send('SMEMBERS', setOf(field))) as string[])),
  }
}
