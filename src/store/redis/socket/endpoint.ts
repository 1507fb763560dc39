import type { RedisOptions } from 'ioredis'
import type { RedisAddress } from './url.ts'

/** Longest wait for the answer of a sentinel; then the next one is asked. */
const SENTINEL_MS = 1_000

/** Where one server is: at its host, behind a socket, or wherever the sentinels say that the master is now. */
export function endpoint({ nodes, socket, sentinel, tls }: RedisAddress, pause: (times: number) => number): RedisOptions {
  if (socket !== undefined) return { path: socket }
  if (!sentinel) return nodes[0] ?? {}
  return {
    sentinels: [...nodes],
    name: sentinel.master,
    role: 'master',
    ...(sentinel.username === undefined ? {} : { sentinelUsername: sentinel.username }),
    ...(sentinel.password === undefined ? {} : { sentinelPassword: sentinel.password }),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.ca === undefined ? {} : { ca: tls.ca } } : {}),
    sentinelCommandTimeout: SENTINEL_MS,
    sentinelRetryStrategy: pause,
  }
}
