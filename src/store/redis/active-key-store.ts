import type { ActiveKeyStore } from '../ports/active-key-store.ts'
import { DROP_OLD } from './format/scripts.ts'
import type { RedisConnection } from './redis.ts'

const MAX_KEYS = 1_000_000
/** Members in one command: Redis answers nobody else meanwhile. */
const STEP = 500
const PAGE = 5_000

/** One sorted set a feature, `fabra:active:<feature>`: keys by the time of their last use. */
export function createRedisActiveKeyStore(connection: RedisConnection): ActiveKeyStore {
  const setOf = (feature: string) => `fabra:active:${feature}`
  return {
    async markUsed(feature, uses) {
      for (let from = 0; from < uses.length; from += STEP) {
        const members = uses.slice(from, from + STEP).flatMap(({ key, at }) => [at, key])
        await connection.send('ZADD', setOf(feature), 'GT', ...members)
      }
      await connection.send('ZREMRANGEBYRANK', setOf(feature), 0, -MAX_KEYS - 1)
    },
    async *since(feature, at) {
      let from = at
      let seen = new Set<string>()
      // Pages follow the scores, not ranks: keys that are used meanwhile move to later pages, and none is passed over.
      for (;;) {
        const page = (await connection.send(
          'ZRANGEBYSCORE',
          setOf(feature),
          from,
          '+inf',
          'WITHSCORES',
          'LIMIT',
          0,
          PAGE + seen.size,
        )) as string[]
        const uses = Array.from({ length: page.length / 2 }, (_, i) => ({ key: page[2 * i] as string, at: Number(page[2 * i + 1]) }))
        const fresh = uses.filter(({ key }) => !seen.has(key))
        if (fresh.length > 0) yield fresh
        const last = uses.at(-1)
        if (uses.length < PAGE + seen.size || last === undefined) return
        seen = new Set(uses.filter((use) => use.at === last.at).map(({ key }) => key))
        from = last.at
      }
    },
    async lastUses(feature, keys) {
      const found: (number | undefined)[] = []
      for (let from = 0; from < keys.length; from += STEP) {
        const scores = (await connection.send('ZMSCORE', setOf(feature), ...keys.slice(from, from + STEP))) as (string | null)[]
        found.push(...scores.map((score) => (score === null ? undefined : Number(score))))
      }
      return found
    },
    async drop(feature, keys) {
      for (let from = 0; from < keys.length; from += STEP) await connection.send('ZREM', setOf(feature), ...keys.slice(from, from + STEP))
    },
    async dropBefore(feature, at) {
      // A million in one command would hold up every reader for a second.
      while (Number(await connection.run(DROP_OLD, [setOf(feature)], [at, STEP])) === STEP) await Bun.sleep(0)
    },
  }
}
