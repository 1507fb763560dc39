import { freePort } from '../../test/support/ports.ts'
import { askRedis, emptyRedis, type TestServer } from '../../test/support/servers.ts'

export interface Fault {
  readonly name: string
  /** Before the load: what is written later is lost. */
  readonly prepare?: () => Promise<unknown>
  readonly begin: () => Promise<unknown>
  readonly end: () => Promise<unknown>
  /** Milliseconds between the two. */
  readonly lastsMs: number
}

export function faults(redis: TestServer, postgres: TestServer): readonly Fault[] {
  const config = (name: string, value: string) => askRedis(redis, 'CONFIG', 'SET', name, value)
  const nothing = async () => undefined
  return [
    { name: 'flushed', begin: () => emptyRedis(redis), end: nothing, lastsMs: 0 },
    {
      name: 'restarted empty',
      begin: async () => {
        await redis.kill()
        await redis.start()
      },
      end: nothing,
      lastsMs: 0,
    },
    {
      name: 'restarted with an older snapshot',
      prepare: () => askRedis(redis, 'SAVE'),
      begin: async () => {
        await redis.kill()
        await redis.start()
      },
      end: nothing,
      lastsMs: 0,
    },
    { name: 'away', begin: () => redis.kill(), end: () => redis.start(), lastsMs: 4_000 },
    { name: 'out of memory', begin: () => config('maxmemory', '1'), end: () => config('maxmemory', '0'), lastsMs: 6_000 },
    {
      name: 'a replica',
      begin: async () => askRedis(redis, 'REPLICAOF', '127.0.0.1', String(await freePort())),
      end: () => askRedis(redis, 'REPLICAOF', 'NO', 'ONE'),
      lastsMs: 6_000,
    },
    {
      name: 'writes paused',
      begin: () => askRedis(redis, 'CLIENT', 'PAUSE', '600000', 'WRITE'),
      end: () => askRedis(redis, 'CLIENT', 'UNPAUSE'),
      lastsMs: 4_000,
    },
    { name: 'postgres away', begin: () => postgres.kill(), end: () => postgres.start(), lastsMs: 4_000 },
  ]
}
