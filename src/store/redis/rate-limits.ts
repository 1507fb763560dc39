/**
 * Requests of keys that have a limit, counted by rate-limiter-flexible: a bucket a second for each, in Redis where there is one, so that all replicas share
 * it, and in this process where there is none or while it does not answer. What has used up its bucket is refused here without asking Redis.
 */
import { createHash } from 'node:crypto'
import type { RateLimiterAbstract } from 'rate-limiter-flexible'
import type { RateLimitStore } from '../ports/rate-limit-store.ts'
import type { RedisConnection } from './redis.ts'

/** What the library asks of a driver. */
interface Counter {
  rlflxIncr(args: readonly string[]): Promise<unknown>
}

/** As in the library, which has its driver keep the script: keys of users may lack that right. */
const LUA = `redis.call('set', KEYS[1], 0, 'EX', ARGV[2], 'NX')
local consumed = redis.call('incrby', KEYS[1], ARGV[1])
local ttl = redis.call('pttl', KEYS[1])
if ttl == -1 then
  redis.call('expire', KEYS[1], ARGV[2])
  ttl = 1000 * ARGV[2]
end
return {consumed, ttl}`
const COUNT = { lua: LUA, sha: createHash('sha1').update(LUA).digest('hex') }
const PREFIX = 'fabra:rate'

export function createRateLimits(redis: Pick<RedisConnection, 'runAtOnce'> | null): RateLimitStore {
  // Loaded by who has such a key.
  const library = () => import('rate-limiter-flexible')
  /** By requests a second: there are as many as there are different limits. */
  const limiters = new Map<number, Promise<RateLimiterAbstract>>()

  async function open(perSecond: number): Promise<RateLimiterAbstract> {
    const { RateLimiterMemory, RateLimiterRedis } = await library()
    const bucket = { points: perSecond, duration: 1, keyPrefix: PREFIX }
    const here = new RateLimiterMemory(bucket)
    if (!redis) return here
    const storeClient: Counter = { rlflxIncr: ([key = '', ...args]) => redis.runAtOnce(COUNT, [key], args) }
    return new RateLimiterRedis({ ...bucket, storeClient, insuranceLimiter: here, inMemoryBlockOnConsumed: perSecond + 1 })
  }

  return {
    async take(key, perSecond) {
      let limiter = limiters.get(perSecond)
      if (!limiter) {
        limiter = open(perSecond)
        limiters.set(perSecond, limiter)
      }
      try {
        await (await limiter).consume(key)
        return 0
      } catch (refusal) {
        // With a count of its own behind it the library throws nothing but refusals.
        if (refusal instanceof Error) throw refusal
        return Math.max(1, (refusal as { readonly msBeforeNext: number }).msBeforeNext)
      }
    },
  }
}
