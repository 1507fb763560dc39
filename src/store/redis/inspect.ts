import type { Micros } from '../../clock.ts'
import { FabraError } from '../../errors.ts'
import type { RedisConnection } from './redis.ts'

/** What there is to know of a Redis before trusting it with latest values and leases. */
export interface RedisFacts {
  readonly version: string
  readonly isCluster: boolean
  /** Median of a few commands. */
  readonly latencyMs: number
  readonly isEncrypted: boolean
  /** Positive when its clock is ahead of ours. */
  readonly clockSkew: Micros
  /** `maxmemory-policy`; null where the user may not ask. */
  readonly evictionPolicy: string | null
  /** Whether anything is written to disk; null where the user may not ask. */
  readonly isPersistent: boolean | null
  /** Commands that Fabra needs and the user may not run. */
  readonly missingCommands: readonly string[]
}

const PINGS = 5
const KEY = 'fabra:doctor'
/** They read, or change nothing where the key is not there. */
const NEEDED: readonly (readonly [command: string, ...args: readonly string[]])[] = [
  ['HMGET', KEY, 'field'],
  ['HDEL', KEY, 'field'],
  ['DEL', KEY],
  ['ZREM', KEY, 'member'],
  ['EVAL', 'return 1', '1', KEY],
  ['EVALSHA', '0'.repeat(40), '1', KEY],
]

/** @throws FabraError store_unavailable */
export async function inspectRedis(redis: RedisConnection): Promise<RedisFacts> {
  const pings = await measure(redis)
  const info = String((await allowed(redis, 'INFO')) ?? '')
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? null
  const missingCommands: string[] = []
  for (const [command, ...args] of NEEDED) if ((await allowed(redis, command, ...args)) === undefined) missingCommands.push(command)
  const save = await allowed(redis, 'CONFIG', 'GET', 'save')
  const isSaved = Array.isArray(save) && save.length > 1 ? String(save[1]) !== '' : null
  return {
    version: field('redis_version') ?? 'unknown',
    isCluster: field('cluster_enabled') === '1',
    latencyMs: pings[Math.floor(PINGS / 2)]?.ms ?? 0,
    isEncrypted: redis.isEncrypted,
    // The quickest says most exactly when it was asked.
    clockSkew: Math.round(pings[0]?.skew ?? 0),
    evictionPolicy: field('maxmemory_policy'),
    isPersistent: field('aof_enabled') === '1' ? true : isSaved,
    missingCommands,
  }
}

/** Quickest first. */
async function measure(redis: RedisConnection): Promise<{ readonly ms: number; readonly skew: Micros }[]> {
  const pings: { readonly ms: number; readonly skew: Micros }[] = []
  for (let i = 0; i < PINGS; i++) {
    const sentAt = now()
    const [seconds, micros] = (await redis.ask('TIME')) as [string, string]
    const cameAt = now()
    pings.push({ ms: (cameAt - sentAt) / 1000, skew: Number(seconds) * 1_000_000 + Number(micros) - (sentAt + cameAt) / 2 })
  }
  return pings.sort((a, b) => a.ms - b.ms)
}

/** The answer; null for an error of the command itself, undefined where the user may not run it. */
async function allowed(redis: RedisConnection, command: string, ...args: readonly string[]): Promise<unknown> {
  try {
    return (await redis.ask(command, ...args)) ?? null
  } catch (error) {
    const cause = error instanceof FabraError ? error.cause : error
    return /NOPERM|no permissions/i.test(cause instanceof Error ? cause.message : String(cause)) ? undefined : null
  }
}

function now(): Micros {
  return Math.round((performance.timeOrigin + performance.now()) * 1000)
}
